//! Stopped and started again: every window once, with every row; and an exchange that keeps what is needed, and no more.

use std::time::Duration;

use davy_worker::host::HostOptions;
use rdkafka::ClientConfig;
use rdkafka::admin::ResourceSpecifier;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::broker::servers;
use super::pipeline::{options, start, start_with, table};
use super::topics::{PATIENCE, admin, admin_options, all, answer, put, texts, topic, unique, value};

fn script(from: &str, to: &str) -> String {
    "SET exchange_partitions = 2;\n".to_owned()
        + &table("a", "ts TIMESTAMP, sa TEXT, WATERMARK FOR ts AS ts", from, "format = 'csv'")
        + &table("b", "start TIMESTAMP, sa TEXT, n BIGINT", to, "format = 'csv', key = 'sa'")
        + "INSERT INTO b SELECT w.start, sa, n FROM (SELECT tumble(INTERVAL '10 seconds') AS w, sa, count(*) AS n FROM a GROUP BY 1, 2);"
}

/// Windows of 10 s, of each of two hosts, with their count.
fn expected(windows: std::ops::Range<u32>, n: u32) -> Vec<String> {
    let row = |window: u32, host: &str| {
        let second = 10 * window;
        format!("1970-01-01 00:{:02}:{:02},{host},{n}", second / 60, second % 60)
    };
    windows.flat_map(|window| [row(window, "a"), row(window, "b")]).collect()
}

/// A row each second for each host.
fn seconds(range: std::ops::Range<u32>) -> String {
    range.map(|second| format!("{second},a\n{second},b\n")).collect()
}

#[test]
fn windows_that_are_open_over_restarts_lose_and_repeat_nothing() {
    let (name, from, to) = (unique("restart"), topic("from", 3), topic("to", 2));
    // Each round ends in the middle of a window, with a partition behind the others.
    let rounds: [(std::ops::Range<u32>, usize); 4] = [(0..25, 2), (25..47, 4), (47..83, 8), (83..131, 13)];
    for (round, (seconds_of, n_closed)) in rounds.into_iter().enumerate() {
        for partition in 0..3 {
            put(&from, &[value(partition, &seconds(seconds_of.clone()))]);
        }
        let mut run = start(&name, &script(&from, &to));
        let metrics = run.metrics.clone();
        let n_rows = 3 * 2 * u64::from(seconds_of.end - seconds_of.start);
        run.until("all rows", || n_rows <= metrics.source_rows.get());
        run.wait_for(&to, 2 * n_closed);
        assert_eq!(run.stop().late_rows.get(), 0, "round {round}");
        assert_eq!(metrics.source_rows.get(), n_rows, "round {round}: no row is read again after a clean stop");
    }
    assert_eq!(texts(&all(&to)), expected(0..13, 30));
}

#[test]
fn an_exchange_keeps_what_open_windows_need() {
    let (name, from, to) = (unique("purge"), topic("from", 1), topic("to", 1));
    let exchange = format!("davy.{name}.w1_1");
    let often = || HostOptions { purge_interval: Duration::ZERO, ..options(&name) };
    put(&from, &[value(0, &seconds(0..35))]);
    let mut run = start_with(often(), &script(&from, &to));
    run.wait_for(&to, 6);
    put(&from, &[value(0, &seconds(35..58))]);
    run.wait_for(&to, 10);
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", servers()).create().expect("a consumer");
    let first = |partition: i32| client.fetch_watermarks(&exchange, partition, PATIENCE).expect("an answer").0;
    run.until("a purge", || 0 < first(0) && 0 < first(1));
    run.stop();
    // What is open has been kept: the next attempt counts it.
    put(&from, &[value(0, &seconds(58..71))]);
    let mut run = start_with(often(), &script(&from, &to));
    run.wait_for(&to, 14);
    run.stop();
    assert_eq!(texts(&all(&to)), expected(0..7, 10));
}

/// No single record of the exchange could hold it: brokers take one megabyte.
#[test]
fn a_key_may_have_megabytes_of_state_over_a_restart() {
    let (name, from, to) = (unique("pieces"), topic("from", 1), topic("to", 1));
    let script = "SET exchange_partitions = 2;\n".to_owned()
        + &table("a", "ts TIMESTAMP, x TEXT, WATERMARK FOR ts AS ts", &from, "format = 'csv'")
        + &table("b", "n BIGINT, values BIGINT", &to, "format = 'csv'")
        + "INSERT INTO b SELECT array_length(array_agg(x)) AS n, count(DISTINCT x) AS values FROM a \
           GROUP BY tumble(INTERVAL '10 seconds');";
    let n_rows = 3_000;
    let put_long = |range: std::ops::Range<u32>| {
        let lines: Vec<String> = range.map(|number| format!("{},{number:0>1000}", number % 10)).collect();
        put(&from, &lines.iter().map(|line| value(0, line)).collect::<Vec<_>>());
    };
    let one_commit = || HostOptions { commit_interval: PATIENCE, commit_rows: n_rows as usize, ..options(&name) };
    put_long(0..n_rows);
    let mut run = start_with(one_commit(), &script);
    let metrics = run.metrics.clone();
    run.until("all rows", || u64::from(n_rows) <= metrics.source_rows.get());
    run.stop();
    put_long(n_rows..n_rows + 10);
    put(&from, &[value(0, "99,end")]);
    let mut run = start(&name, &script);
    run.wait_for(&to, 1);
    run.stop();
    assert_eq!(texts(&all(&to)), ["3010,3010"]);
}

#[test]
fn an_exchanges_topic_never_loses_records_by_age() {
    let (name, from, to) = (unique("config"), topic("from", 1), topic("to", 1));
    put(&from, &[value(0, &seconds(0..21))]);
    let mut run = start(&name, &script(&from, &to));
    run.wait_for(&to, 4);
    run.stop();
    let exchange = format!("davy.{name}.w1_1");
    let found = answer(admin().describe_configs([&ResourceSpecifier::Topic(&exchange)], &admin_options()));
    let config = found.into_iter().next().expect("an answer").expect("its configuration");
    for (name, expected) in [
        ("cleanup.policy", "delete"),
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
        ("max.message.bytes", "1048588"),
    ] {
        let value = config.get(name).and_then(|entry| entry.value.as_deref());
        assert_eq!(value, Some(expected), "{name}");
    }
}
