//! `davy dev`: a whole cluster in one process.

use super::node::PATIENCE;
use crate::end_to_end::alone;
use crate::end_to_end::broker::Broker;
use crate::end_to_end::input::N_PARTITIONS;
use crate::end_to_end::oracle::{actual, expected};
use crate::end_to_end::pipeline::{N_OUT, OUTPUTS, Script};
use crate::end_to_end::process::{Davy, command};
use crate::end_to_end::producer::{Input, InputProducer};
use crate::end_to_end::reader::{Watcher, held_open};
use davy_testkit::wait::until;

#[test]
fn a_cluster_in_one_process_runs_a_script() {
    let _alone = alone();
    let broker = Broker::start("dev", 1);
    broker.make_topics(&[&[("flows", N_PARTITIONS)], &OUTPUTS[..]].concat());
    let servers = broker.servers.clone();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("pipeline.sql"), Script::default().text()).expect("written");
    let source = Input { servers: servers.clone(), topic: "flows".to_owned(), seed: 0, rows_per_second: 1_000 };
    let (mut input, watcher) = (InputProducer::start(source), Watcher::start(&servers, &OUTPUTS));
    let mut command = command();
    command.args(["dev", "pipeline.sql", "--workers", "2", "--tasks", "2", "--commit-interval", "100ms"]);
    command.args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]).current_dir(folder.path());
    command.env("DAVY_KAFKA", &servers).env("TRANSACTION_MS", "4000");
    let mut davy = Davy::start(command, folder.path().join("dev.log"));
    until("rows are committed", PATIENCE, || {
        assert_eq!(davy.ended(), None, "it goes on: {}", davy.said());
        (0 < watcher.n_seen()).then_some(())
    });
    watcher.await_progress(PATIENCE);
    input.finish();
    let expected = expected(&broker, "flows");
    let is_complete = || actual(&broker, N_OUT).differences(&expected).is_empty().then_some(());
    until("every row has come out once", PATIENCE, is_complete);
    davy.signal("TERM");
    let status = davy.await_end("it stops after SIGTERM", PATIENCE);
    assert_eq!(status.code(), Some(0), "{}", davy.said());
    assert_eq!(actual(&broker, N_OUT).differences(&expected), [""; 0]);
    assert_eq!(held_open(&broker), [""; 0], "open transactions");
}
