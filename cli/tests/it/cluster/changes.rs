//! Changes that people make while rows come in: pause, resume, update, stop.

use super::commands::word;
use super::node::PATIENCE;
use super::plan::Fault;
use super::rig::{NAME, Rig};
use crate::end_to_end::alone;
use crate::end_to_end::input::WINDOW_MS;
use crate::end_to_end::pipeline::{N_OUT, Script};
use crate::end_to_end::reader::read_all;
use crate::run::text;
use davy_testkit::wait::until;

use rdkafka::message::Message;

#[test]
fn changes_lose_no_row_unless_the_pipeline_begins_anew() {
    let _alone = alone();
    let mut rig = Rig::new(0, 1_000, 2, Script::default());
    for fault in [Fault::Pause, Fault::Update, Fault::Pause, Fault::Update] {
        rig.inject(&fault);
    }
    other_windows_are_refused(&mut rig);
    rig.catch_up();
    assert_eq!(rig.judge().1, [""; 0]);
    assert_eq!(versions(&rig), [None, Some(1), Some(2)], "all three versions have closed windows");
    begins_anew(&mut rig);
    rig.client().must(&["stop", NAME, "--wait"]);
    let rows = rig.client().must(&["list", "--all"]);
    assert_eq!(rows.iter().map(|row| word(row, "state")).collect::<Vec<_>>(), ["stopped"]);
    // The name is free again.
    rig.client().must(&["submit", "pipeline.sql", "--name", NAME, "--wait"]);
    rig.client().must(&["stop", NAME, "--now", "--wait"]);
    rig.end();
}

/// What the query above the windows has written, in the order of its versions.
fn versions(rig: &Rig) -> Vec<Option<i64>> {
    let mut versions = Vec::new();
    read_all(&rig.broker, "windows", N_OUT, |message| {
        let row: serde_json::Value = serde_json::from_slice(message.payload().expect("a row")).expect("JSON");
        versions.push(row["version"].as_i64());
    });
    versions.sort_unstable();
    versions.dedup();
    versions
}

fn other_windows_are_refused(rig: &mut Rig) {
    let before = rig.client().must(&["list"]);
    let kept = rig.script;
    rig.script = Script { window_ms: 2 * WINDOW_MS, ..kept };
    rig.write_script();
    let refused = rig.client().run(&["update", NAME, "pipeline.sql"]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot take up the state that is there") && said.contains("--fresh"), "{said}");
    let version = |rows: &[serde_json::Value]| rows[0]["version"].as_u64();
    assert_eq!(version(&rig.client().must(&["list"])), version(&before), "a refused change changes nothing");
    rig.await_running();
    rig.goes_on();
    rig.script = kept;
}

/// With `--fresh` the topics are read from the beginning, into windows that are twice as wide.
fn begins_anew(rig: &mut Rig) {
    let before = rig.client().must(&["list"]);
    rig.script = Script { window_ms: 2 * WINDOW_MS, version: Some(9), ..rig.script };
    rig.write_script();
    rig.client().must(&["update", NAME, "pipeline.sql", "--fresh", "--wait"]);
    let after = rig.client().must(&["list"]);
    let incarnation = |rows: &[serde_json::Value]| rows[0]["incarnation"].as_u64().expect("a number");
    assert_eq!(incarnation(&after), incarnation(&before) + 1);
    rig.await_running();
    until("windows of the new kind are closed", PATIENCE, || versions(rig).contains(&Some(9)).then_some(()));
}
