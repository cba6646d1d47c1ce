//! Calls the coordinator with a client that does not use the project's code.

use std::path::PathBuf;
use std::process::Command;

use super::rig::Rig;
use crate::end_to_end::alone;
use crate::end_to_end::pipeline::Script;
use crate::end_to_end::reader::topics;
use crate::run::{repository, text};

/// Python's gRPC, where `make setup` puts it.
fn python() -> PathBuf {
    let home = std::env::home_dir().expect("a home");
    let python = home.join(".cache/davy/client/bin/python3");
    assert!(python.exists(), "{} is not there; run: make setup", python.display());
    python
}

#[test]
fn a_foreign_client_runs_a_pipeline_by_reflection_alone() {
    let _alone = alone();
    let mut rig = Rig::idle(0, 1_000);
    rig.scale(1);
    rig.write_script();
    let before = topics(&rig.broker);
    rig.client().must(&["submit", "pipeline.sql", "--name", "tried", "--dry-run"]);
    assert_eq!(topics(&rig.broker), before, "who only tries makes no topics");
    let other = Script { window_ms: 20_000, ..rig.script };
    std::fs::write(rig.folder().join("other.sql"), other.text()).expect("written");
    let address = rig.client().coordinators[0].replace("http://", "");
    let mut command = Command::new(python());
    command.arg(repository().join("cli/tests/it/cluster/client.py")).arg(address).args(["pipeline.sql", "other.sql"]);
    let output = command.current_dir(rig.folder()).output().expect("Python starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    println!("{}", text(&output.stdout).trim());
}
