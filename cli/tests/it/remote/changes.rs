//! Submit, update, pause, resume, stop: what is sent, retried and waited for, and how refusals are shown.

use davy_proto::v1::{Pipeline, PipelineState};
use tonic::{Code, Status};

use super::server::{Answers, Coordinator, refusal};
use super::{pipeline, query};
use crate::run::{folder, text};

use PipelineState::{Degraded, Paused, Pausing, Running, Starting, Stopped, Stopping};

const SCRIPT: &str = "SELECT 1;";

fn answers(sent: Pipeline, watches: Vec<Vec<Pipeline>>) -> Answers {
    Answers { pipelines: vec![sent], watches, ..Answers::default() }
}

#[test]
fn a_submission_is_retried_with_its_request_id_until_a_coordinator_leads() {
    let folder = folder(&[("s.sql", SCRIPT)]);
    let away = || Status::unavailable("this coordinator does not lead");
    let refusals = vec![away(), away()];
    let coordinator = Coordinator::start(Answers { refusals, ..answers(pipeline(Starting, 1), Vec::new()) });
    let arguments = ["submit", "s.sql", "--name", "miners", "--set", "flows.topic=f"];
    let output = query(folder.path(), &coordinator.url, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "miners: starting, version 1, 11 of 12 tasks run\n");
    assert!(text(&output.stderr).contains("does not lead; trying again"), "{}", text(&output.stderr));
    let requests = coordinator.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| *request == requests[0]), "{requests:?}");
    assert!(
        requests[0].contains(r#"sql: "SELECT 1;", settings: {"flows.topic": "f"}, request_id: ""#),
        "{}",
        requests[0]
    );
    let id = requests[0].split("request_id: \"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
    assert_eq!(id.len(), 32, "{id}");

    let other = query(folder.path(), &coordinator.url, &arguments);
    assert!(other.status.success());
    assert_ne!(coordinator.requests().last(), requests.last(), "another submission has another id");
    let named = query(folder.path(), &coordinator.url, &[&arguments[..], &["--request-id", "mine"]].concat());
    assert!(named.status.success());
    assert!(coordinator.requests().last().is_some_and(|request| request.contains(r#"request_id: "mine""#)));
}

#[test]
fn a_dry_run_says_what_would_run() {
    let folder = folder(&[("s.sql", SCRIPT)]);
    let coordinator = Coordinator::start(answers(pipeline(Starting, 1), Vec::new()));
    let output = query(folder.path(), &coordinator.url, &["submit", "s.sql", "--name", "miners", "--dry-run"]);
    assert_eq!(text(&output.stdout), "ok: `miners` would run with 12 tasks\n");
    assert!(coordinator.requests()[0].contains("dry_run: true"));
}

#[test]
fn a_refusal_shows_line_column_and_hint_and_sets_the_exit_code() {
    let folder = folder(&[("file.sql", SCRIPT)]);
    let wrong = || refusal(Code::InvalidArgument, "no column `volume`", (3, 7), "there are `src`, `dst`");
    let submit: &[&str] = &["submit", "file.sql", "--name", "miners"];
    let update: &[&str] = &["update", "miners", "file.sql"];
    let cases: Vec<(&[&str], Status, i32, &str)> = vec![
        (submit, wrong(), 2, "error: file.sql:3:7: no column `volume`; there are `src`, `dst`\n"),
        (update, wrong(), 2, "error: file.sql:3:7: no column `volume`; there are `src`, `dst`\n"),
        (
            submit,
            refusal(Code::AlreadyExists, "`miners` runs", (0, 0), "stop it"),
            2,
            "error: `miners` runs; stop it\n",
        ),
        (submit, Status::permission_denied("a viewer may not"), 2, "error: a viewer may not\n"),
        (&["stop", "miners"], Status::not_found("no `miners`"), 2, "error: no `miners`\n"),
        (&["resume", "miners"], Status::failed_precondition("it runs"), 2, "error: it runs\n"),
        (
            &["list"],
            Status::unauthenticated("who?"),
            2,
            "error: who?; name the file that holds your token with --token-file\n",
        ),
        (&["list"], Status::resource_exhausted("slower"), 1, "error: slower\n"),
        (&["list"], Status::internal("broken"), 1, "error: internal error: broken; please report it"),
        (&["workers"], Status::unimplemented(""), 1, "error: the coordinator does not know this call"),
    ];
    for (arguments, status, code, expected) in cases {
        let coordinator = Coordinator::start(Answers { refusals: vec![status], ..Answers::default() });
        let output = query(folder.path(), &coordinator.url, arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.starts_with(expected), "{arguments:?} should say {expected}: {said}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
    }
}

#[test]
fn wait_returns_when_the_state_is_reached() {
    let folder = folder(&[("s.sql", SCRIPT)]);
    let one = |(state, version)| vec![pipeline(state, version)];
    let cases: Vec<(&[&str], Answers, &str)> = vec![
        (
            &["submit", "s.sql", "--name", "miners", "--wait"],
            answers(pipeline(Starting, 1), vec![vec![pipeline(Starting, 1), pipeline(Running, 1)]]),
            "running, version 1",
        ),
        // Reports about the previous version do not count; a watch that breaks is started again.
        (
            &["update", "miners", "s.sql", "--wait"],
            answers(pipeline(Running, 2), [(Running, 1), (Degraded, 2), (Running, 2)].map(one).into()),
            "running, version 2",
        ),
        (&["pause", "miners", "--wait"], answers(pipeline(Pausing, 2), vec![one((Paused, 2))]), "paused, version 2"),
        (
            &["resume", "miners", "--wait"],
            answers(pipeline(Starting, 3), vec![one((Running, 3))]),
            "running, version 3",
        ),
        (
            &["stop", "miners", "--now", "--wait"],
            answers(pipeline(Stopping, 4), vec![one((Stopped, 4))]),
            "stopped, version 4",
        ),
    ];
    for (arguments, answers, expected) in cases {
        let coordinator = Coordinator::start(answers);
        let output = query(folder.path(), &coordinator.url, arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stdout).starts_with(&format!("miners: {expected}")), "{}", text(&output.stdout));
    }
}

#[test]
fn wait_reports_why_the_state_cannot_be_reached() {
    let folder = folder(&[("s.sql", SCRIPT)]);
    let submit: &[&str] = &["submit", "s.sql", "--name", "miners", "--wait", "--timeout", "3s"];
    let mut degraded = pipeline(Degraded, 1);
    degraded.problems = vec!["no worker is there".to_owned()];
    let cases = [
        (
            degraded,
            "error: pipeline `miners` is still degraded after 3s; no worker is there; see `davy describe miners`",
        ),
        (pipeline(Stopped, 2), "error: pipeline `miners`: another change came in between: it is stopped"),
    ];
    for (last, expected) in cases {
        let coordinator = Coordinator::start(answers(pipeline(Starting, 1), vec![vec![last]]));
        let output = query(folder.path(), &coordinator.url, submit);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stderr).trim_end(), expected);
    }
}

#[test]
fn a_watch_prints_each_change_once() {
    let watches =
        vec![vec![pipeline(Starting, 1), pipeline(Running, 1)], vec![pipeline(Running, 1), pipeline(Paused, 2)]];
    let coordinator = Coordinator::start(Answers { watches, ..Answers::default() });
    let mut command = super::command(std::path::Path::new("."), &coordinator.url, &["watch", "miners"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("the binary starts");
    let out = std::io::BufReader::new(child.stdout.take().expect("piped"));
    let lines: Vec<String> = std::io::BufRead::lines(out).take(3).map(|line| line.expect("text")).collect();
    child.kill().expect("it runs until it is interrupted");
    child.wait().expect("it ends");
    let rest = "11/12 tasks, lag 1,234,567 messages, 98,765 rows/s";
    assert_eq!(lines, ["starting", "running", "paused"].map(|state| format!("miners: {state}, {rest}")));
}
