//! Rows from the future: measured against their own message, wherever a fetch cuts the messages.

use super::pipeline::{start, table};
use super::topics::{Put, all, put, texts, topic, unique, value};

const COLUMNS: &str = "ts TIMESTAMP, k TEXT, WATERMARK FOR ts";

fn script(from: &str, to: &str, dead: &str, options: &str) -> String {
    "SET exchange_partitions = 1;\n".to_owned()
        + &table("a", COLUMNS, from, &format!("format = 'csv', {options}"))
        + &table("dead", "value BYTEA", dead, "format = 'raw_string'")
        + &table("b", "start TIMESTAMP, n BIGINT", to, "format = 'csv'")
        + "INSERT INTO b SELECT w.start, n FROM (SELECT tumble(INTERVAL '10 seconds') AS w, count(*) AS n FROM a GROUP BY 1);"
}

/// A message that was written `seconds` after 1970.
fn at(seconds: i64, text: &str) -> Put<'_> {
    Put { timestamp: Some(1_000 * seconds), ..value(0, text) }
}

#[test]
fn a_row_is_measured_against_its_own_message() {
    for options in ["dead_letter_table = 'dead'", "bad_record = 'drop'"] {
        let (from, to, dead) = (topic("from", 1), topic("to", 1), topic("dead", 1));
        // An hour, by default. The third row is from the future where it stands, and not beside its neighbours' timestamps.
        let messages = [
            at(1, "1970-01-01 00:00:01,x"),
            at(2, "1970-01-01 00:00:02,x\n2100-01-01 00:00:00,fast"),
            at(3, "1970-01-01 02:00:00,ahead"),
            at(7_200, "1970-01-01 02:00:00,x"),
            at(7_230, "1970-01-01 02:00:30,x"),
        ];
        put(&from, &messages);
        let mut run = start(&unique("future"), &script(&from, &to, &dead, options));
        run.wait_for(&to, 2);
        let metrics = run.stop();
        let bad: Vec<_> = metrics.bad_records().into_iter().map(|(reason, n)| (reason.label(), n)).collect();
        assert_eq!(bad, [("future", 2)], "{options}");
        assert_eq!(metrics.late_rows.get(), 0);
        assert_eq!(texts(&all(&to)), ["1970-01-01 00:00:00,2", "1970-01-01 02:00:00,1"]);
        let rejected = texts(&all(&dead));
        let expected = ["1970-01-01 00:00:02,x\n2100-01-01 00:00:00,fast", "1970-01-01 02:00:00,ahead"];
        assert_eq!(rejected, if options.starts_with("dead") { expected.as_slice() } else { &[] });
    }
}

#[test]
fn the_guard_can_be_switched_off() {
    let (from, to, dead) = (topic("from", 1), topic("to", 1), topic("dead", 1));
    put(&from, &[at(1, "1970-01-01 00:00:01,x"), at(2, "2100-01-01 00:00:00,fast"), at(3, "1970-01-01 00:00:12,x")]);
    let mut run = start(&unique("off"), &script(&from, &to, &dead, "max_future = 'off'"));
    run.wait_for(&to, 1);
    let metrics = std::sync::Arc::clone(&run.metrics);
    run.until("a late row", || 1 <= metrics.late_rows.get());
    run.stop();
    assert!(metrics.bad_records().is_empty());
}
