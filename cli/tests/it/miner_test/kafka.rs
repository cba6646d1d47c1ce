//! The whole way: the recorded session into a topic, the shipped pipeline, verdicts, and what the command says of them.

use std::collections::BTreeMap;

use davy_testkit::broker::servers;

use crate::cds::kafka::{make_topic, terminate};
use crate::end_to_end::process::{Davy, command};
use crate::run::{davy, folder, repository, text};

/// The shipped pipeline between two topics of its own.
fn start(folder: &std::path::Path, flows: &str, miners: &str) -> Davy {
    let mut command = command();
    command.args(["run", "pipelines/miners_kafka.sql", "--quiet", "--commit-interval", "200ms", "--tasks", "1"]);
    for set in [
        format!("flows.bootstrap_servers={}", servers()),
        format!("miners.bootstrap_servers={}", servers()),
        format!("flows.topic={flows}"),
        format!("miners.topic={miners}"),
        format!("pipeline={miners}"),
    ] {
        command.args(["--set", &set]);
    }
    command.current_dir(repository());
    Davy::start(command, folder.join("davy.log"))
}

#[test]
fn a_recorded_session_is_found_by_the_shipped_pipeline() {
    let folder = folder(&[]);
    let (flows, miners) = (make_topic("flows", 2), make_topic("miners", 1));
    let pipeline = start(folder.path(), &flows, &miners);
    let played =
        ["miner-test", "-b", servers(), "--flows", &flows, "--verdicts", &miners, "--speed", "2000", "-o", "csv"];
    let output = davy(&repository(), &played);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("plays 19268 flows with 11 miners among 907 conversations"), "{said}");
    assert!(said.contains("0 of 896 benign conversations with verdicts"), "{said}");
    let rows = text(&output.stdout);
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows.lines().skip(1) {
        *outcomes.entry(row.split(',').nth(4).expect("an outcome")).or_default() += 1;
    }
    assert!(9 <= outcomes["found"], "{rows}");
    assert_eq!(outcomes.values().sum::<usize>(), 11, "{rows}");
    terminate(pipeline);
    explains_its_first_verdict(&flows, &miners);
}

/// The messages that a verdict names give it again, while the pipeline does not run.
fn explains_its_first_verdict(flows: &str, miners: &str) {
    let script = format!(
        "CREATE TABLE miners (line TEXT) WITH (connector = 'kafka', bootstrap_servers = '{}', topic = '{miners}',
         type = 'source', format = 'raw_string', 'source.ranges' = '{miners}/0@0-0'); SELECT line FROM miners;",
        servers()
    );
    let folder = folder(&[("first.sql", &script)]);
    let read = davy(folder.path(), &["run", "first.sql", "-q", "-o", "json"]);
    let row: serde_json::Value = serde_json::from_slice(&read.stdout).expect("a row");
    let verdict = folder.path().join("verdict.json");
    std::fs::write(&verdict, row["line"].as_str().expect("a text")).expect("written");
    let topic = format!("flows.topic={flows}");
    let address = format!("flows.bootstrap_servers={}", servers());
    let verdict = verdict.to_string_lossy();
    let arguments = [
        "explain-alert",
        &verdict,
        "-p",
        "pipelines/miners_kafka.sql",
        "--set",
        &topic,
        "--set",
        &address,
        "-o",
        "json",
    ];
    let output = davy(&repository(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(found["alert"]["why"].as_str().is_some_and(|why| why.contains("base")), "{found}");
    // Of an early result: its flows so far, and those that have come between them.
    assert!(found["alert"]["flows"].as_u64() <= found["n_flows"].as_u64(), "{found}");
}

#[test]
fn a_pipeline_that_finds_nothing_fails_the_test() {
    let folder = folder(&[(
        "labels.csv",
        "client,server,server_port,protocol,label,kind\n10.0.0.1,10.0.0.2,3333,tcp,miner,xmrig\n",
    )]);
    let flow = format!("2026-11-21 06:30:33,2026-11-21 06:31:00,27.000,{}2026-11-21 06:31:30\n", "0,".repeat(44));
    std::fs::write(folder.path().join("flows.csv"), flow).expect("written");
    let (flows, miners) = (make_topic("flows", 1), make_topic("miners", 1));
    let played = [
        "miner-test",
        "-b",
        servers(),
        "--flows",
        &flows,
        "--verdicts",
        &miners,
        "--patience",
        "0s",
        "--session",
        "flows.csv",
        "--labels",
        "labels.csv",
    ];
    let output = davy(folder.path(), &played);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("0 of 1 miners were found"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("not found"), "{}", text(&output.stdout));
}

#[test]
fn a_topic_that_is_missing_is_named() {
    let folder = folder(&[]);
    let flows = make_topic("flows", 1);
    let output = davy(folder.path(), &["miner-test", "-b", servers(), "--flows", &flows, "--verdicts", "not-there"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("`not-there`"), "{}", text(&output.stderr));
}
