//! The plug-ins under a host in C, which shares no line with those who made them, only the layouts; and called as Arroyo does.
//!
//! The plug-ins have to be built before, as `make test` does.

#![cfg(test)]

mod arroyo;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use davy_forest::package::Package;

/// A plug-in: they are built into the folder above this executable's.
fn built(name: &str) -> PathBuf {
    let library = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join(name);
    assert!(library.exists(), "{} is not there; run `make plugins`", library.display());
    library
}

/// Compiles the host; every warning is an error.
fn host() -> &'static Path {
    static HOST: OnceLock<PathBuf> = OnceLock::new();
    HOST.get_or_init(|| {
        let host = Path::new(env!("CARGO_TARGET_TMPDIR")).join("host");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("host.c");
        let mut cc = Command::new("cc");
        cc.args(["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&host).arg(source).args(["-ldl", "-lm"]);
        assert!(cc.status().expect("`cc` is installed, `make setup` does it").success(), "{cc:?}");
        host
    })
}

/// Calls a plug-in with rows, of which the first is only there to be skipped.
fn check(library: &str, formats: &str, rows: &[String], expected: &str) {
    let mut host = Command::new(host());
    host.arg(built(library)).args([formats, "g", &rows.len().to_string()]);
    let mut child = host.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(rows.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (String::from_utf8_lossy(&output.stdout).as_ref(), output.status.success()),
        (expected, expected.starts_with("ok"))
    );
}

#[test]
fn a_host_in_c_calls_a_row_by_row_plug_in() {
    let rows = ["7 7 -", "1500 10 150", "- 10 -", "1500 - -", "90 0 -", "40 1 40"].map(str::to_owned);
    check("libdavy_rowwise.so", "ll", &rows, "ok: 5 rows\n");
}

#[test]
fn a_host_in_c_scores_golden_rows_with_the_forest() {
    let (formats, rows) = golden();
    check("libdavy_forest.so", &formats, &rows, &format!("ok: {} rows\n", rows.len() - 1));
}

#[test]
fn a_host_in_c_hears_why_the_forest_cannot_score() {
    let (formats, rows) = golden();
    let reason = format!("takes {} arguments, not {}\n", formats.len(), formats.len() - 1);
    let fewer: Vec<String> = rows.iter().map(|row| row.split_once(' ').unwrap().1.to_owned()).collect();
    let package = package();
    check(
        "libdavy_forest.so",
        &formats[1..],
        &fewer,
        &format!("failed: the plug-in failed: `{}` {reason}", package.card.name),
    );
}

/// The model that the plug-in is built with in tests.
#[expect(clippy::disallowed_methods, reason = "the build of the plug-in reads the same variable")]
fn package() -> Package {
    let folder = std::env::var("DAVY_MODEL").expect("`make test` names the model's folder in DAVY_MODEL");
    let card = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").join(folder).join("card.toml");
    Package::open(&card).unwrap()
}

/// Rows for the host: one to skip, the golden rows of the card with the trainer's scores, and one of them with a null.
fn golden() -> (String, Vec<String>) {
    let card = package().card;
    let row = |features: &[f64], score: &str| {
        let features: Vec<String> = features.iter().map(f64::to_string).collect();
        format!("{} {score}", features.join(" "))
    };
    let golden: Vec<String> =
        card.golden.iter().map(|golden| row(&golden.features, &golden.score.to_string())).collect();
    let rest = card.golden[0].features[1..].to_vec();
    let with_null = format!("- {}", row(&rest, "-"));
    let mut rows = vec![golden[0].clone()];
    rows.extend(golden);
    rows.push(with_null);
    ("g".repeat(card.features.len()), rows)
}
