//! What a change of a pipeline becomes, or why it is refused, case by case.

use super::*;

const NOW: i64 = 7;

fn script(sql: &str) -> Script {
    Script { sql: sql.to_owned(), settings: [("group".to_owned(), "g".to_owned())].into() }
}

fn submit(sql: &str, request_id: &str) -> Change {
    Change::Submit { script: script(sql), request_id: request_id.to_owned(), dry_run: false }
}

fn update(sql: &str, request_id: &str, expected_version: u64) -> Change {
    Change::Update { script: script(sql), request_id: request_id.to_owned(), fresh: false, expected_version }
}

fn fresh(sql: &str) -> Change {
    Change::Update { script: script(sql), request_id: String::new(), fresh: true, expected_version: 0 }
}

fn request(id: &str, change: Change) -> ChangeRequest {
    ChangeRequest { id: id.parse().expect("an id"), caller: "ann".into(), change }
}

/// Carries a change through, as the driver does.
fn apply(current: Option<&PipelineRecord>, id: &str, change: Change) -> Result<PipelineRecord, Kind> {
    let request = request(id, change);
    match begin(&request, current, NOW).map_err(|refused| refused.kind)? {
        Step::Nothing => Ok(current.expect("nothing comes of nothing").clone()),
        Step::Write(record) => Ok(*record),
        Step::Plan(deployment) => {
            Ok(planned(&request, current, Plan { deployment, dataflows: Vec::new() }, NOW).expect("it has a script"))
        }
    }
}

fn show(result: Result<PipelineRecord, Kind>) -> String {
    match result {
        Ok(record) => {
            let PipelineRecord { spec, desired_state, version, .. } = record;
            format!("{desired_state:?} {} v{version} spec{} {}", spec.script.sql, spec.spec_version, spec.kafka_name)
        }
        Err(kind) => format!("{kind:?}"),
    }
}

#[test]
fn changes_follow_the_table() {
    let runs = apply(None, "default/p", submit("a", "1")).expect("new");
    let after = |record: &PipelineRecord, change| apply(Some(record), "default/p", change);
    let paused = after(&runs, Change::Pause).expect("it runs");
    let stopped = after(&runs, Change::Stop { now: false }).expect("it runs");
    let ended = after(&runs, Change::Stop { now: true }).expect("it runs");
    for (current, change, expected) in [
        (&runs, submit("b", "2"), "Exists"),
        (&runs, submit("a", "1"), "Run a v1 spec1 p"),
        (&runs, submit("b", "1"), "Invalid"),
        (&runs, submit("a", ""), "Exists"),
        (&runs, update("b", "2", 0), "Run b v2 spec2 p"),
        (&runs, update("b", "2", 1), "Run b v2 spec2 p"),
        (&runs, update("b", "2", 9), "Precondition"),
        (&runs, update("a", "1", 0), "Invalid"),
        (&runs, fresh("b"), "Run b v2 spec2 p---r2"),
        (&runs, Change::Pause, "Pause a v2 spec1 p"),
        (&runs, Change::Resume, "Run a v1 spec1 p"),
        (&runs, Change::Stop { now: false }, "Stop a v2 spec1 p"),
        (&runs, Change::Stop { now: true }, "StopNow a v2 spec1 p"),
        (&paused, submit("a", "1"), "Pause a v2 spec1 p"),
        (&paused, Change::Pause, "Pause a v2 spec1 p"),
        (&paused, Change::Resume, "Run a v3 spec1 p"),
        (&paused, update("b", "2", 0), "Pause b v3 spec3 p"),
        (&stopped, submit("a", "1"), "Stop a v2 spec1 p"),
        (&stopped, submit("b", "2"), "Run b v3 spec3 p---r2"),
        (&stopped, update("b", "2", 0), "Precondition"),
        (&stopped, Change::Resume, "Precondition"),
        (&stopped, Change::Pause, "Precondition"),
        (&stopped, Change::Stop { now: false }, "Stop a v2 spec1 p"),
        (&stopped, Change::Stop { now: true }, "StopNow a v3 spec1 p"),
        (&ended, Change::Stop { now: false }, "StopNow a v2 spec1 p"),
        (&ended, Change::Stop { now: true }, "StopNow a v2 spec1 p"),
    ] {
        assert_eq!(show(after(current, change.clone())), expected, "{:?} {change:?}", current.desired_state);
    }
}

#[test]
fn an_update_sent_twice_counts_once() {
    let runs = apply(None, "default/p", submit("a", "1")).expect("new");
    let updated = apply(Some(&runs), "default/p", update("b", "2", 1)).expect("it runs");
    assert_eq!(apply(Some(&updated), "default/p", update("b", "2", 1)), Ok(updated.clone()));
    assert_eq!(show(apply(Some(&updated), "default/p", update("c", "2", 0))), "Invalid");
}

#[test]
fn unknown_pipelines_are_not_found() {
    for change in [update("a", "1", 0), Change::Pause, Change::Resume, Change::Stop { now: true }] {
        assert_eq!(show(apply(None, "default/p", change)), "NotFound");
    }
}

#[test]
fn no_two_pipelines_have_the_same_name_on_the_broker() {
    let long = "n".repeat(NAME_LENGTH_MAX);
    for (id, expected) in [
        ("default/p", "Run a v1 spec1 p"),
        ("soc/p", "Run a v1 spec1 soc--p"),
        ("soc/p-r2", "Run a v1 spec1 soc--p-r2"),
        ("default/soc--p", "Invalid"),
        ("default/p---r2", "Invalid"),
        ("default/-p", "Invalid"),
        ("default/p-", "Invalid"),
        ("soc-/p", "Invalid"),
        (&format!("soc/{long}"), "Invalid"),
    ] {
        assert_eq!(show(apply(None, id, submit("a", ""))), expected, "{id}");
    }
    assert!(apply(None, &format!("default/{long}"), submit("a", "")).is_ok());
}

#[test]
fn a_name_of_a_request_is_short_and_printable() {
    for wrong in ["a b", "a\n", "ü", &"x".repeat(129)] {
        assert_eq!(apply(None, "default/p", submit("a", wrong)).map(|_| ()), Err(Kind::Invalid), "{wrong:?}");
    }
}
