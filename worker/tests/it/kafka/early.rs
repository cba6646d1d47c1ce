//! Early results in a keyed topic: the last row of a key is the final one, whatever is stopped in between.

use std::collections::BTreeMap;

use super::pipeline::{options, start_with, table};
use super::topics::{Put, all, put, topic, unique, value};

/// Seconds of event time per window.
const WIDTH: i64 = 20;

fn script(from: &str, to: &str, source: &str) -> String {
    table("a", "k TEXT, at TIMESTAMP, n BIGINT, WATERMARK FOR at AS at", from, &format!("format = 'csv'{source}"))
        + &table(
            "b",
            "k TEXT, start TIMESTAMP, sum BIGINT, is_final BOOLEAN",
            to,
            "format = 'csv', key = 'concat(k, '' '', start)', emit_early = '3 seconds'",
        )
        + &format!(
            "INSERT INTO b SELECT k, w.start, s, w.is_final FROM (SELECT k, tumble(INTERVAL '{WIDTH} seconds') AS w, \
             sum(n) AS s FROM a GROUP BY k, w);"
        )
}

fn check(source: &str) {
    let (from, to) = (topic("from", 2), topic("to", 2));
    let script = script(&from, &to, source);
    let name = unique("early");
    let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
    for attempt in 0..4_i64 {
        let mut run = start_with(options(&name), &script);
        let metrics = std::sync::Arc::clone(&run.metrics);
        let mut rows = Vec::new();
        for second in attempt * 11..(attempt + 1) * 11 {
            for partition in 0..2 {
                let key = format!("k{partition}-{}", second % 3);
                rows.push((partition, format!("{key},1970-01-01T00:00:{second:02}Z,{}", second + 1)));
                let start = second / WIDTH * WIDTH;
                *wanted.entry(format!("{key} 1970-01-01T00:00:{start:02}")).or_default() += second + 1;
            }
        }
        let messages: Vec<Put<'_>> = rows.iter().map(|(partition, row)| value(*partition, row)).collect();
        put(&from, &messages);
        run.until("its rows", || rows.len() as u64 <= metrics.source_rows.get());
        run.until("early results", || 0 < metrics.early_rows.get());
        run.stop();
    }
    put(&from, &[value(0, "end,1970-01-01T01:00:00Z,0"), value(1, "end1,1970-01-01T01:00:00Z,0")]);
    let mut run = start_with(options(&name), &script);
    let finals = || all(&to).iter().filter(|message| message.text().ends_with(",true")).count();
    run.until("all final rows", || wanted.len() <= finals());
    run.stop();
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    let messages = all(&to);
    for message in &messages {
        last.insert(message.key.clone().expect("a key"), message.text());
    }
    // The windows of the last two rows are open.
    last.retain(|key, _| !key.starts_with("end"));
    let expected: BTreeMap<String, String> = wanted
        .iter()
        .map(|(key, sum)| {
            let (k, start) = key.split_once(' ').expect("two parts");
            (key.clone(), format!("{k},{},{sum},true", start.replace('T', " ")))
        })
        .collect();
    assert_eq!(last, expected);
    assert!(wanted.len() < messages.len(), "there were early rows");
    assert_eq!(finals(), wanted.len(), "each final row once");
}

#[test]
fn the_last_row_of_a_key_is_the_final_one() {
    check("");
}

#[test]
fn the_last_row_of_a_key_is_the_final_one_without_an_exchange() {
    check(", partitioned_by = 'k'");
}
