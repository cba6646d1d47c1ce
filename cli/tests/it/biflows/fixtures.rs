//! Real records: nfdump pairs them too, and the reference pipeline has done so. Where the files are missing, the tests say so.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::paired;
use super::record::{Flow, Record};
use crate::run::{davy, folder, repository, text};

/// A folder of the real captures, which the project may not ship.
#[expect(clippy::print_stdout, reason = "the test harness shows it with the test")]
fn fixtures(name: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the environment says where real flows are")]
    let named = std::env::var_os("DAVY_TEST_DATA").map(PathBuf::from);
    let beside = ["../shared/data", "../../shared/data"].map(|path| repository().join(path));
    let found = named.into_iter().chain(beside).map(|data| data.join("fixtures").join(name)).find(|path| path.is_dir());
    if found.is_none() {
        println!("left out: fixtures/{name} (no DAVY_TEST_DATA and no ../shared/data)");
    }
    found
}

fn nfdump(file: &Path, options: &[&str]) -> Option<String> {
    let output =
        Command::new("nfdump").env("TZ", "UTC").args(["-q", "-o", "csv", "-r"]).arg(file).args(options).output();
    Some(text(&output.ok().filter(|output| output.status.success())?.stdout))
}

/// What nfdump and Davy have to agree on, whichever side they call the first: the ends in order, protocol, packets and bytes.
type Sums = BTreeMap<(Vec<(String, u16)>, String), [[u64; 2]; 2]>;

fn sums<'a>(flows: impl Iterator<Item = &'a Flow>) -> Sums {
    let mut sums = Sums::new();
    for flow in flows {
        let mut sides = [(flow.ends[0].clone(), flow.sent), (flow.ends[1].clone(), flow.back)];
        sides.sort();
        let key = (sides.iter().map(|side| side.0.clone()).collect(), flow.pr.clone());
        let twice = sums.insert(key, [sides[0].1, sides[1].1]);
        assert!(twice.is_none(), "two flows between the same ends: {flow:?}");
    }
    sums
}

/// nfdump joins what is in a file, however long nothing came: Davy does the same with a gap of a day.
#[test]
fn with_a_long_gap_the_pairs_are_those_of_nfdump() {
    let Some(captures) = fixtures("nfcapd-a300i60") else { return };
    let mut n_pairs = 0;
    for entry in std::fs::read_dir(captures).expect("captures") {
        let file = entry.expect("readable").path();
        let (Some(records), Some(by_nfdump)) = (nfdump(&file, &[]), nfdump(&file, &["-b"])) else {
            println!("left out: nfdump is not installed");
            return;
        };
        // By the time of their end, so that none is late.
        let mut records: Vec<&str> = records.lines().filter(|line| line.starts_with(char::is_numeric)).collect();
        records.sort_by_key(|line| line.split(',').nth(1));
        // The aggregates are not nfdump's.
        let its: Vec<Flow> = by_nfdump
            .lines()
            .filter(|line| line.starts_with(char::is_numeric))
            .map(|line| Flow::parse(&(line.splitn(57, ',').take(48).collect::<Vec<_>>().join(",") + &",0".repeat(8))))
            .collect();
        let folder = folder(&[("flows.csv", &records.join("\n"))]);
        let ours = paired(&folder.path().join("flows.csv"), "INTERVAL '30 days'");
        n_pairs += ours.iter().filter(|flow| 0 < flow.back[0]).count();
        assert_eq!(sums(ours.iter()), sums(its.iter()), "{}", file.display());
    }
    assert!(700 < n_pairs, "a test of nothing: {n_pairs} pairs");
}

/// 2,500 records of a router, by the moment of their end: as nfdump prints them.
fn router_records(golden: &Path) -> Vec<String> {
    let mut json = String::new();
    let file = std::fs::File::open(golden.join("alsda-goflow2-flows.jsonl.gz")).expect("records");
    flate2::read::GzDecoder::new(file).read_to_string(&mut json).expect("gzip");
    let mut records: Vec<(u64, String)> = json.lines().map(from_goflow2).collect();
    records.sort();
    records.into_iter().map(|(_, line)| line).collect()
}

/// A row that the Semantic Data Aggregator made of two of these records.
struct Reference {
    ends: [(String, u16); 2],
    aggregates: [f64; 8],
    td_ms: i64,
}

fn reference_rows(golden: &Path) -> Vec<Reference> {
    let text = std::fs::read_to_string(golden.join("alsda-cds-features.csv")).expect("rows");
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let float = |at: usize| fields[at].parse::<f64>().expect("a number");
        let end = |address: usize, port: usize| (fields[address].to_owned(), fields[port].parse().expect("a port"));
        let td_ms = (float(13) - float(12)) as i64;
        Reference { ends: [end(8, 10), end(9, 11)], aggregates: std::array::from_fn(float), td_ms }
    };
    text.lines().map(row).collect()
}

fn assert_near(ours: &[f64], theirs: &[f64], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!((ours - theirs).abs() <= 1e-5 * theirs.abs(), "{ours} instead of {theirs}: {what}");
    }
}

#[test]
fn the_aggregates_are_those_of_the_reference_pipeline() {
    let Some(golden) = fixtures("golden") else { return };
    let folder = folder(&[("flows.csv", &router_records(&golden).join("\n"))]);
    let ours = paired(&folder.path().join("flows.csv"), "INTERVAL '1 minute'");
    let found: BTreeMap<[(String, u16); 2], &Flow> = ours.iter().map(|flow| (flow.ends.clone(), flow)).collect();
    let (mut n_same, mut n_exchanged) = (0, 0);
    for Reference { ends, aggregates, td_ms } in reference_rows(&golden) {
        // All pairs begin in the same millisecond. The reference calls `in` what it read first, the pipeline what goes to the server.
        let (flow, expected) = if let Some(flow) = found.get(&ends) {
            n_same += 1;
            (flow, aggregates)
        } else {
            n_exchanged += 1;
            let [pktips, pktops, bytips, bytops, bytippkt, bytoppkt, bytipo, pktipo] = aggregates;
            let flow = &found[&[ends[1].clone(), ends[0].clone()]];
            (flow, [pktops, pktips, bytops, bytips, bytoppkt, bytippkt, 1.0 / bytipo, 1.0 / pktipo])
        };
        assert_near(&flow.aggregates, &expected, &format!("{ends:?}"));
        assert_eq!(flow.td_ms, td_ms, "{ends:?}");
    }
    assert_eq!((ours.len(), n_same, n_exchanged), (1_250, 1_217, 33));
}

/// `davy cds` computes the aggregates of records that have none; here of the reference's own pairs.
#[test]
fn the_aggregates_that_davy_cds_computes_are_those_of_the_reference_pipeline() {
    let Some(golden) = fixtures("golden") else { return };
    let records: Vec<Record> = router_records(&golden).iter().map(|line| Record::of_line(line)).collect();
    let by_ends: BTreeMap<[(String, u16); 2], &Record> =
        records.iter().map(|record| (record.ends.clone(), record)).collect();
    let reference = reference_rows(&golden);
    let line = |Reference { ends, td_ms, .. }: &Reference| {
        let there = by_ends[ends];
        let back = by_ends[&[ends[1].clone(), ends[0].clone()]];
        Record { td_ms: *td_ms, back: back.sent, ..there.clone() }.line()
    };
    let lines: Vec<String> = reference.iter().map(line).collect();
    let folder = folder(&[("flows.csv", &lines.join("\n"))]);

    let shipped = std::fs::read_to_string(repository().join("pipelines/cds.sql")).expect("the pipeline");
    let views =
        &shipped[shipped.find("CREATE VIEW computed").expect("it")..shipped.find("CREATE VIEW scored").expect("it")];
    let columns = "td, ipkt, ibyt, opkt, obyt, pktips, pktops, bytips, bytops, bytippkt, bytoppkt, bytipo, pktipo";
    let table = "CREATE TABLE flows (te TEXT, sa TEXT, da TEXT, sp TEXT, dp TEXT, pr TEXT, td DOUBLE, ipkt DOUBLE, ibyt DOUBLE, opkt DOUBLE,
    obyt DOUBLE, pktips DOUBLE, pktops DOUBLE, bytips DOUBLE, bytops DOUBLE, bytippkt DOUBLE, bytoppkt DOUBLE, bytipo DOUBLE, pktipo DOUBLE,
    threat_label TEXT, record TEXT METADATA FROM 'value')
WITH (connector = 'single_file', path = 'flows.csv', type = 'source', format = 'csv', 'csv.columns' = 'nfdump');\n";
    std::fs::write(folder.path().join("features.sql"), format!("{table}{views}SELECT {columns} FROM features;"))
        .expect("written");
    let output = davy(folder.path(), &["run", "features.sql", "-o", "csv", "--tasks", "1", "--quiet"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    let rows: Vec<Vec<f64>> = printed
        .lines()
        .skip(1)
        .map(|row| row.split(',').map(|field| field.parse().expect("a number")).collect())
        .collect();
    assert_eq!(rows.len(), 1_250);
    for (row, Reference { ends, aggregates, .. }) in rows.iter().zip(&reference) {
        assert_near(&row[5..], aggregates, &format!("{ends:?}"));
    }
}

/// A record of goflow2 as nfdump prints it, behind the time of its end.
fn from_goflow2(line: &str) -> (u64, String) {
    let record: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
    let number = |name: &str| record[name].as_u64().expect("a number");
    let word = |name: &str| record[name].as_str().expect("a text").to_owned();
    let (begun, ended) = (number("TimeFlowStartMs"), number("TimeFlowEndMs"));
    let moment = |ms: u64| format!("{}.{:03}", ms / 1_000, ms % 1_000);
    let line = format!(
        "{},{},{},{},{},{},{},{},........,0,0,{},{},0,0,{}",
        moment(begun),
        moment(ended),
        moment(ended - begun),
        word("SrcAddr"),
        word("DstAddr"),
        number("SrcPort"),
        number("DstPort"),
        word("ProtoName"),
        number("PacketsIn"),
        number("BytesIn"),
        ["0"; 33].join(",")
    );
    (ended, line)
}
