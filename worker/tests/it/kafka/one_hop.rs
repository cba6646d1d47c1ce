//! Windows in the task that reads the topic, where the topic is partitioned by their keys: whatever is stopped and started again in
//! between, each window comes out once, with all its rows, and late rows and bad records once too.

use std::collections::BTreeMap;

use super::pipeline::{options, start_with, table};
use super::topics::{Put, all, put, texts, topic, unique, value};

/// Seconds of event time per window.
const WIDTH: i64 = 10;

fn script(from: &str, to: &str, late: &str, bad: &str) -> String {
    let source = "format = 'csv', partitioned_by = 'k', ".to_owned()
        + &format!("late_topic = '{late}', dead_letter_topic = '{bad}'");
    table("a", "k TEXT, at TIMESTAMP, n BIGINT, WATERMARK FOR at AS at", from, &source)
        + &table("b", "k TEXT, start TIMESTAMP, n BIGINT, sum BIGINT", to, "format = 'csv'")
        + &format!(
            "INSERT INTO b SELECT k, w.start, n, s FROM (SELECT k, tumble(INTERVAL '{WIDTH} seconds') AS w, \
             count(*) AS n, sum(n) AS s FROM a GROUP BY k, w);"
        )
}

#[test]
fn windows_without_an_exchange_survive_restarts() {
    let (from, to, late, bad) = (topic("from", 2), topic("to", 1), topic("late", 1), topic("bad", 1));
    let script = script(&from, &to, &late, &bad);
    let name = unique("one-hop");
    let mut wanted: BTreeMap<(String, i64), (i64, i64)> = BTreeMap::new();
    let mut n_bad = 0;
    // Each attempt reads some seconds of both partitions; windows span attempts, and some attempts end in the middle of a replay.
    for attempt in 0..6_i64 {
        let mut run = start_with(options(&name), &script);
        let mut rows = Vec::new();
        for second in attempt * 7..(attempt + 1) * 7 {
            for partition in 0..2 {
                let key = format!("k{partition}-{}", second % 3);
                rows.push((partition, format!("{key},1970-01-01T00:{:02}:{:02}Z,{second}", second / 60, second % 60)));
                let sums = wanted.entry((key, second / WIDTH * WIDTH)).or_default();
                *sums = (sums.0 + 1, sums.1 + second);
            }
        }
        rows.push((0, format!("k0-0,not a time,{attempt}")));
        n_bad += 1;
        let messages: Vec<Put<'_>> = rows
            .iter()
            .map(|(partition, row)| Put { partition: *partition, value: Some(row.as_bytes()), ..Put::default() })
            .collect();
        put(&from, &messages);
        let metrics = std::sync::Arc::clone(&run.metrics);
        run.until("its rows", || rows.len() as u64 - 1 <= metrics.source_rows.get());
        run.until("the bad one", || n_bad <= all(&bad).len());
        run.stop();
    }
    // A late one, then the end of all windows.
    put(&from, &[value(0, "k0-0,1970-01-01T00:00:01Z,1000000")]);
    put(&from, &[value(0, "end,1970-01-01T01:00:00Z,0"), value(1, "end1,1970-01-01T01:00:00Z,0")]);
    let mut run = start_with(options(&name), &script);
    run.wait_for(&to, wanted.len());
    run.wait_for(&late, 1);
    run.stop();
    let expected: Vec<String> = wanted
        .iter()
        .map(|((key, start), (n, sum))| format!("{key},1970-01-01 00:{:02}:{:02},{n},{sum}", start / 60, start % 60))
        .collect();
    assert_eq!(texts(&all(&to)), sorted(expected));
    let late = all(&late);
    assert_eq!(late.len(), 1, "{late:?}");
    assert_eq!((late[0].header("davy-reason"), late[0].header("davy-partition")), ("late", "0"));
    assert_eq!(all(&bad).len(), n_bad, "each bad record once");
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}
