//! A pipeline whose watermark a row from the future has moved too far is repaired.

use std::collections::BTreeMap;
use std::sync::Arc;

use davy_engine::sql::{PlanRequest, plan};
use davy_engine::time::parse_timestamp;
use davy_worker::connector::LocalConnectors;
use davy_worker::host::reset_watermarks;

use super::pipeline::{options, start, table};
use super::topics::{all, put, texts, topic, unique, value};

const COLUMNS: &str = "ts TIMESTAMP, k TEXT, WATERMARK FOR ts";

fn script(from: &str, to: &str, options: &str) -> String {
    "SET exchange_partitions = 2;\n".to_owned()
        + &table("a", COLUMNS, from, &format!("format = 'csv'{options}"))
        + &table("b", "start TIMESTAMP, k TEXT, n BIGINT", to, "format = 'csv'")
        + "INSERT INTO b SELECT w.start, k, n FROM \
           (SELECT tumble(INTERVAL '10 seconds') AS w, k, count(*) AS n FROM a GROUP BY 1, 2);"
}

/// The tasks as they were reset, with their watermarks before and after.
fn reset(name: &str, script: &str, to: &str) -> Vec<(String, Option<i64>, Option<i64>)> {
    let request = PlanRequest { text: script, connectors: &LocalConnectors::default(), settings: &BTreeMap::new() };
    let to = parse_timestamp(to).expect("a time");
    let rows = reset_watermarks(plan(&request).expect("a plan"), options(name), to).expect("reset");
    rows.into_iter().map(|row| (row.task, row.watermark.before, row.watermark.after)).collect()
}

#[test]
fn a_poisoned_pipeline_goes_on_after_a_reset() {
    for place in ["", ", partitioned_by = 'k'"] {
        let (from, to, name) = (topic("from", 1), topic("to", 1), unique("reset"));
        let poisoned = script(&from, &to, &format!("{place}, max_future = 'off'"));
        put(&from, &[value(0, "1970-01-01 00:00:01,x"), value(0, "2200-01-01 00:00:00,fast")]);
        let mut run = start(&name, &poisoned);
        run.wait_for(&to, 1);
        put(&from, &[value(0, "1970-01-01 00:00:15,late")]);
        let metrics = Arc::clone(&run.metrics);
        run.until("a late row", || 1 <= metrics.late_rows.get());
        run.stop();
        let guarded = script(&from, &to, place);
        let changed = reset(&name, &guarded, "1970-01-01T00:00:10Z");
        let expected = parse_timestamp("1970-01-01T00:00:10Z");
        assert!(changed.iter().all(|(_, before, after)| expected < *before && *after == expected), "{changed:?}");
        let mut run = start(&name, &guarded);
        // The row from the future is neither in memory any more, nor counted again.
        put(
            &from,
            &[
                value(0, "1970-01-01 00:00:05,late"),
                value(0, "1970-01-01 00:00:16,x"),
                value(0, "1970-01-01 00:00:31,x"),
            ],
        );
        run.wait_for(&to, 2);
        run.stop();
        // What is repaired stays so.
        let mut run = start(&name, &guarded);
        put(&from, &[value(0, "1970-01-01 00:00:41,x")]);
        run.wait_for(&to, 3);
        run.stop();
        let rows = ["1970-01-01 00:00:00,x,1", "1970-01-01 00:00:10,x,1", "1970-01-01 00:00:30,x,1"];
        assert_eq!(texts(&all(&to)), rows, "{place}");
    }
}

#[test]
fn a_reset_changes_nothing_that_lies_before_it() {
    let (from, to, name) = (topic("from", 1), topic("to", 1), unique("reset"));
    let script = script(&from, &to, "");
    put(&from, &[value(0, "1970-01-01 00:00:01,x"), value(0, "1970-01-01 00:00:11,x")]);
    let mut run = start(&name, &script);
    run.wait_for(&to, 1);
    run.stop();
    let unchanged = reset(&name, &script, "1970-01-01T00:00:30Z");
    assert!(unchanged.iter().all(|(_, before, after)| before == after), "{unchanged:?}");
    let mut run = start(&name, &script);
    put(&from, &[value(0, "1970-01-01 00:00:12,x"), value(0, "1970-01-01 00:00:21,x")]);
    run.wait_for(&to, 2);
    run.stop();
    assert_eq!(texts(&all(&to)), ["1970-01-01 00:00:00,x,1", "1970-01-01 00:00:10,x,2"]);
}
