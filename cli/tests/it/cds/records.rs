//! Records as a detection system reads them, made up here, and what has to come out for them.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::run::{davy, repository, text};

/// A flow's columns that matter.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) te: &'static str,
    pub(super) td: &'static str,
    pub(super) sa: &'static str,
    pub(super) da: &'static str,
    /// `ipkt`, `ibyt`, `opkt`, `obyt`.
    pub(super) counts: [u64; 4],
    pub(super) aggregates: &'static str,
}

pub(super) const PLAIN: Flow = Flow {
    te: "2024-03-01 10:00:20",
    td: "20.000",
    sa: "10.1.0.7",
    da: "192.0.2.9",
    counts: [12, 1_800, 9, 450],
    aggregates: "0.6,0.45,90.0,22.5,150.0,50.0,4.0,1.3333334",
};
pub(super) const IPV6: Flow = Flow { sa: "2001:db8::7", da: "2001:db8:0:1::9", ..PLAIN };

const ZEEK: &str = "$";
/// Column names, as the samples of the system have them.
const PREPROCESSED: &str = "tpkt,tbyt,cp,prtcp,prudp,pricmp,prigmp,prother,flga,flgs,flgf,flgr,flgp,flgu";
/// How many columns a record may have.
pub(super) const LAYOUTS: [usize; 8] = [48, 49, 56, 57, 62, 70, 71, 74];

impl Flow {
    /// The record with so many columns.
    pub(super) fn record(&self, n_columns: usize) -> String {
        let Self { te, td, sa, da, counts: [ipkt, ibyt, opkt, obyt], aggregates } = self;
        let nothing = ["0"; 8].join(",");
        let names = ["0-0-0"; 10].join(",");
        let nfdump = format!(
            "2024-03-01 10:00:00,{te},{td},{sa},{da},443,40001,TCP,...AP...,0,0,{ipkt},{ibyt},{opkt},{obyt},1,2,{nothing},\
             0,0,00:00:00:00:00:00,00:00:00:00:00:00,00:00:00:00:00:00,00:00:00:00:00:00,{names},\
             \u{20}  0.000,    0.000,    0.000,10.9.9.9,0/0,1,6/3/24 12:29"
        );
        let parts: &[&str] = match n_columns {
            48 => &[],
            49 => &[ZEEK],
            56 => &[aggregates],
            57 => &[ZEEK, aggregates],
            62 => &[PREPROCESSED],
            70 => &[aggregates, PREPROCESSED],
            71 => &[ZEEK, aggregates, PREPROCESSED],
            74 => &[ZEEK, aggregates, PREPROCESSED, "Crypto,Malware,0.25"],
            _ => panic!("no record has {n_columns} columns"),
        };
        let record = [&[nfdump.as_str()], parts].concat().join(",");
        assert_eq!(record.split(',').count(), n_columns);
        record
    }
}

/// Between which values a tree of the test's forest decides, by feature.
const THRESHOLDS: [f64; 13] = [10.0, 5.0, 1_000.0, 9.5, 400.0, 0.5, 0.5, 50.0, 20.0, 120.0, 60.0, 2.0, 1.0];

/// A forest with a tree for each feature, whose confidence distinguishes which features are above their threshold: tree `i` adds 2⁻¹³⁺ⁱ.
pub(super) fn forest() -> String {
    let tree = |(feature, threshold): (usize, &f64)| {
        let weight = 1 << feature;
        serde_json::json!({
            "children_left": [1, -1, -1], "children_right": [2, -1, -1],
            "feature": [feature, -2, -2], "threshold": [threshold, -2.0, -2.0],
            "value": [[8192, 8192], [8192, 0], [8192 - weight, weight]],
        })
    };
    let trees: Vec<serde_json::Value> = THRESHOLDS.iter().enumerate().map(tree).collect();
    serde_json::json!({ "n_features": 13, "trees": trees }).to_string()
}

/// Makes `forest.json` and the package `model/` in a folder.
pub(super) fn make_model(folder: &Path) {
    std::fs::write(folder.join("forest.json"), forest()).expect("written");
    let output = davy(folder, &["model", "import", "forest.json", "--out", "model", "--threshold", "0.02"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// The records with their verdicts, as Python computes them.
pub(super) fn expected(forest: &Path, records: &[String]) -> Vec<String> {
    let mut python = Command::new("python3")
        .arg(repository().join("cli/tests/it/cds/oracle.py"))
        .arg(forest)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let mut input = python.stdin.take().expect("a pipe");
    let lines = records.join("\n");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(lines.as_bytes()).expect("Python reads"));
        python.wait_with_output().expect("Python ends")
    });
    assert!(output.status.success());
    text(&output.stdout).lines().map(str::to_owned).collect()
}
