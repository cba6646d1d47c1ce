//! What is printed, for people and for programs: `output.txt` has it all. `UPDATE_GOLDEN=1` writes it anew.

use std::fmt::Write;
use std::path::Path;

use davy_proto::v1::{PipelineState, Scaling, TailResponse, TailRow, Task, TaskState, Worker, WorkerState};

use super::server::{Answers, Coordinator};
use super::{pipeline, printed, query};
use crate::run::text;

fn answers() -> Answers {
    let mut degraded = pipeline(PipelineState::Degraded, 4);
    degraded.problems = vec!["task soc/miners/1/1/7 fails: topic `flows` is gone".to_owned(), "slow".to_owned()];
    let mut other = pipeline(PipelineState::Paused, 1);
    (other.name, other.lag_messages, other.n_tasks_running) = ("scans".to_owned(), 0, 0);
    let running = Task {
        id: "soc/miners/1/1/0".to_owned(),
        state: TaskState::Running.into(),
        worker_id: "w-1".to_owned(),
        worker_name: "host-a".to_owned(),
        epoch: 41,
        reason: "stays where it was".to_owned(),
        lag_messages: 1_234_000,
        rows_per_second: 98_765.4,
        busy_ratio: 0.93,
        watermark_ms: Some(1_714_557_600_123),
        ..Task::default()
    };
    let failed = Task {
        id: "soc/miners/1/1/7".to_owned(),
        state: TaskState::Failed.into(),
        worker_id: "w-1".to_owned(),
        worker_name: "host-a".to_owned(),
        epoch: 44,
        error: "topic `flows` is gone".to_owned(),
        restarts: 1_002,
        lag_messages: 567,
        ..Task::default()
    };
    let worker = Worker {
        id: "w-1".to_owned(),
        name: "host-a".to_owned(),
        state: WorkerState::Alive.into(),
        version: "0.1.0".to_owned(),
        slots: 8,
        n_tasks: 12,
        labels: [("zone".to_owned(), "a".to_owned())].into(),
        registered_at_ms: 1_714_557_600_000,
        silent_ms: 2_400,
        busy_ratio: 0.655,
    };
    let row = |offset, key: &[u8], value: &[u8]| TailRow {
        topic: "alerts".to_owned(),
        partition: 3,
        offset,
        written_at_ms: 1_714_557_600_123,
        key: key.to_vec(),
        value: value.to_vec(),
    };
    let rows = vec![row(41, b"10.0.0.1", br#"{"src":"10.0.0.1","score":0.93}"#), row(42, b"", &[0xff, 0x00])];
    Answers {
        pipelines: vec![degraded, other],
        tasks: vec![running, failed],
        workers: vec![worker],
        scaling: Scaling {
            desired_workers: 3,
            reason: "lag of 1.2 M rows needs 5 min at 4,000 rows/s more".to_owned(),
        },
        tail: vec![TailResponse { rows, skipped: 1_200 }],
        ..Answers::default()
    }
}

const COMMANDS: &[&[&str]] = &[
    &["list"],
    &["describe", "miners"],
    &["workers"],
    &["tasks"],
    &["scaling"],
    &["pause", "miners"],
    &["tail", "miners"],
];

#[test]
fn answers_are_printed_for_people_and_for_programs() {
    let coordinator = Coordinator::start(answers());
    let mut said = String::new();
    for arguments in COMMANDS {
        for format in ["table", "json"] {
            let arguments = [*arguments, &["-o", format]].concat();
            let output = printed(&coordinator.url, &arguments);
            // Tables are padded to the right; trailing spaces do not count.
            let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
            writeln!(said, "== davy {}\n{}\n", arguments.join(" "), lines.join("\n")).expect("memory");
        }
    }
    check_golden(&said);
}

/// Compares with a file beside the tests, or writes it.
#[expect(clippy::disallowed_methods, reason = "how golden files are written anew")]
fn check_golden(said: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/remote/output.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, said).expect("the golden file");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == said, "output.txt says otherwise; UPDATE_GOLDEN=1 writes it anew:\n{said}");
}

#[test]
fn each_line_of_json_is_an_object() {
    let coordinator = Coordinator::start(answers());
    for arguments in COMMANDS {
        let output = printed(&coordinator.url, &[*arguments, &["-o", "json"]].concat());
        assert!(!output.is_empty());
        for line in output.lines() {
            let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert!(value.is_object(), "{line}");
        }
    }
}

#[test]
fn nothing_is_said_as_well() {
    let coordinator = Coordinator::start(Answers::default());
    for (command, said) in
        [("list", "no pipelines"), ("workers", "no workers; start one with `davy worker`"), ("tasks", "no tasks")]
    {
        assert_eq!(printed(&coordinator.url, &[command]), format!("{said}\n"));
        assert_eq!(printed(&coordinator.url, &[command, "-o", "json"]), "");
    }
}

#[test]
fn a_sample_ends_at_its_limit_and_says_what_it_left_out() {
    let coordinator = Coordinator::start(answers());
    let one =
        printed(&coordinator.url, &["tail", "miners", "alerts", "--limit", "1", "--rate", "5", "--from-beginning"]);
    assert_eq!(one.lines().count(), 1, "{one}");
    let requests = coordinator.requests().join("");
    let request =
        r#"TailRequest { name: "miners", table: "alerts", limit: 1, rows_per_second: 5, from_beginning: true }"#;
    assert_eq!(requests, request);
    let all = query(Path::new("."), &coordinator.url, &["tail", "miners"]);
    assert!(text(&all.stderr).contains("1,200 rows skipped"), "{}", text(&all.stderr));
}
