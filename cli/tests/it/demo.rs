//! What `make demo` reports of the recorded session, by the binary under test.

use std::process::Command;

use crate::run::{repository, text};

#[test]
fn the_demo_compares_the_detectors_and_proves_a_verdict() {
    let script = repository().join("scripts/demo.py");
    let output =
        Command::new(script).args(["--davy", env!("CARGO_BIN_EXE_davy")]).output().expect("python3 is installed");
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    let lines: Vec<String> = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for expected in [
        "10.77.1.18 10.77.2.19 14444 0.983 8 new xmrig",
        "forest (score from 0.89) 11 of 11 0 of 789",
        "rule (points of NEMEA) 6 of 11 43 of 789",
        "baseline (new connections) 11 of 11 49 of 789",
        "why: what moved the score",
        "The same alert comes out: all 17 fields are equal.",
        "Flows: 6, the first 5",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected}: {said}");
    }
}
