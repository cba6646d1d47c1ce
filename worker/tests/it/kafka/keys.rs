//! Limits on the keys of a window, over a broker: the same keys are kept over a restart, and a pipeline that fails continues with a
//! higher limit.

use super::pipeline::{notices, start, table};
use super::topics::{all, put, texts, topic, unique, value};

/// How many rows each key has in its window of ten seconds, where a table has this limit.
fn script(exchange_partitions: u32, limit: &str, from: &str, to: &str) -> String {
    format!("SET exchange_partitions = {exchange_partitions};\n")
        + &table("a", "ts TIMESTAMP, k INT, WATERMARK FOR ts AS ts", from, &format!("format = 'csv', {limit}"))
        + &table("b", "k INT, n BIGINT, is_complete BOOLEAN", to, "format = 'csv', key = 'k'")
        + "INSERT INTO b SELECT k, n, w.is_complete FROM \
           (SELECT k, tumble(INTERVAL '10 seconds') AS w, count(*) AS n FROM a GROUP BY 1, 2);"
}

/// Puts a row of each key in this second, a hundred to a message.
fn put_rows(to: &str, second: u32, keys: impl Iterator<Item = u32>) {
    let keys: Vec<u32> = keys.collect();
    let lines = |keys: &[u32]| keys.iter().map(|key| format!("{second},{key}\n")).collect::<String>();
    let messages: Vec<String> = keys.chunks(100).map(lines).collect();
    put(to, &messages.iter().map(|message| value(0, message)).collect::<Vec<_>>());
}

#[test]
fn the_same_keys_are_kept_over_a_restart() {
    let (name, from, to) = (unique("keys"), topic("from", 1), topic("to", 1));
    let script = script(4, "max_keys = '40', overflow = 'drop_new'", &from, &to);
    put_rows(&from, 1, 0..200);
    let mut run = start(&name, &script);
    let metrics = run.metrics.clone();
    run.until("keys that are left out", || 0 < metrics.dropped_keys.get());
    let before = run.stop();
    put_rows(&from, 2, (0..400).rev());
    put(&from, &[value(0, "99,-1")]);
    let mut run = start(&name, &script);
    run.wait_for(&to, 40);
    let after = run.stop();
    let found = texts(&all(&to));
    assert_eq!(found.len(), 40, "each of four partitions has ten keys: {found:#?}");
    for row in found {
        let (key, rest) = row.split_once(',').expect("columns");
        assert!(key.parse::<u32>().is_ok_and(|key| key < 200) && rest == "2,false", "{row}");
    }
    assert_eq!(before.dropped_rows.get() + after.dropped_rows.get(), 160 + 360, "each row is counted once");
    let notices = notices(&name);
    assert!(notices.iter().any(|line| line.contains("rows of new keys are left out")), "{notices:#?}");
}

#[test]
fn a_pipeline_with_too_many_keys_fails_and_continues_with_a_higher_limit() {
    let (name, from, to) = (unique("too-many-keys"), topic("from", 1), topic("to", 1));
    put_rows(&from, 1, 0..50);
    let error = start(&name, &script(1, "max_keys = '8'", &from, &to)).error().to_string();
    for part in
        [name.as_str(), "/1/2/0`", "window [1970-01-01T00:00:00", "more than 8 keys", "table `a`", "raise max_keys"]
    {
        assert!(error.contains(part), "{error}");
    }
    put(&from, &[value(0, "99,-1")]);
    let mut run = start(&name, &script(1, "max_keys = '50'", &from, &to));
    run.wait_for(&to, 50);
    run.stop();
    let mut found = texts(&all(&to));
    let mut expected: Vec<String> = (0..50).map(|key| format!("{key},1,true")).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}
