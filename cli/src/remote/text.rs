//! Words and numbers for people: states, counts, times.

use std::path::Path;

use davy_engine::time::format_ns;
use davy_proto::v1::{PipelineState, TaskState, WorkerState};
use serde_json::Value;

/// A script's name in messages.
pub(super) fn shown(script: &Path) -> String {
    if script == Path::new("-") { "standard input".to_owned() } else { script.display().to_string() }
}

pub(super) fn pipeline_state(state: i32) -> String {
    word(PipelineState::try_from(state).map(|state| state.as_str_name()), "PIPELINE_STATE_")
}

pub(super) fn task_state(state: i32) -> String {
    word(TaskState::try_from(state).map(|state| state.as_str_name()), "TASK_STATE_")
}

pub(super) fn worker_state(state: i32) -> String {
    word(WorkerState::try_from(state).map(|state| state.as_str_name()), "WORKER_STATE_")
}

/// A coordinator that is newer may know states that are not known here.
fn word<E>(name: Result<&str, E>, prefix: &str) -> String {
    name.ok()
        .and_then(|name| name.strip_prefix(prefix))
        .unwrap_or("UNKNOWN")
        .to_lowercase()
        .replace("unspecified", "unknown")
}

/// `1,234,567`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate, in whole rows.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and no rate is below 0"
)]
pub(super) fn rate(rows_per_second: f64) -> String {
    count(rows_per_second.round() as u64)
}

pub(super) fn percent(ratio: f64) -> String {
    format!("{:.0} %", ratio * 100.0)
}

/// ISO 8601 in UTC; an empty string for 0, which means unknown.
pub(super) fn time(ms: i64) -> String {
    if ms == 0 { String::new() } else { format_ns(ms.saturating_mul(1_000_000)) + "Z" }
}

pub(super) fn json_time(ms: i64) -> Value {
    if ms == 0 { Value::Null } else { time(ms).into() }
}

/// Text as it is, but for characters that would steer a terminal: rows come from the network. Bytes that are no text in hex.
pub(super) fn bytes(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else { return hex(bytes) };
    let mut tame = String::new();
    for c in text.chars() {
        if c.is_control() { tame.extend(c.escape_default()) } else { tame.push(c) }
    }
    tame
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// JSON as JSON, other text as a string, and other bytes as an object with their hex digits.
pub(super) fn json_bytes(bytes: &[u8]) -> Value {
    match (std::str::from_utf8(bytes), serde_json::from_slice::<Value>(bytes)) {
        (_, Ok(value)) if value.is_object() => value,
        (Ok(text), _) => text.into(),
        (Err(_), _) => serde_json::json!({ "hex": hex(bytes) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_read_at_a_glance() {
        for (n, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (123_456, "123,456"), (1_234_567, "1,234,567")]
        {
            assert_eq!(count(n), expected);
        }
        assert_eq!(rate(1_234.5), "1,235");
        assert_eq!(time(1_714_557_600_123), "2024-05-01T10:00:00.123Z");
        assert_eq!(time(0), "");
    }

    #[test]
    fn states_are_words_even_those_of_a_newer_coordinator() {
        assert_eq!(pipeline_state(PipelineState::Running.into()), "running");
        assert_eq!(task_state(TaskState::Unplaced.into()), "unplaced");
        assert_eq!((worker_state(0).as_str(), worker_state(99).as_str()), ("unknown", "unknown"));
    }

    #[test]
    fn values_keep_what_they_are() {
        assert_eq!(json_bytes(br#"{"a":1}"#), serde_json::json!({"a": 1}));
        assert_eq!(json_bytes(b"12"), serde_json::json!("12"));
        assert_eq!(json_bytes(&[0xff, 0x01]), serde_json::json!({"hex": "ff01"}));
        assert_eq!(bytes(&[0xff, 0x01]), "ff01");
        assert_eq!(bytes("é\u{1b}[2J\n".as_bytes()), "é\\u{1b}[2J\\n", "a row cannot clear the screen");
    }
}
