//! Partitions that come, are silent, or run ahead.

use std::collections::BTreeMap;
use std::sync::Arc;

use davy_engine::metrics::Metrics;
use davy_engine::sql::{PlanRequest, plan};
use davy_worker::connector::LocalConnectors;
use davy_worker::host::{HostOptions, TaskCount, lag};
use rdkafka::admin::NewPartitions;
use rdkafka::producer::Producer;

use super::pipeline::{Run, options, start, start_with, table};
use super::topics::{PATIENCE, Reader, Writer, admin, admin_options, all, answer, put, texts, topic, unique, value};

const TIMED: &str = "ts TIMESTAMP, WATERMARK FOR ts AS ts";
const COUNTS: &str = "INSERT INTO b SELECT w.start, n FROM \
    (SELECT tumble(INTERVAL '10 seconds') AS w, count(*) AS n FROM a GROUP BY 1);";

fn counting(from: &str, to: &str, options: &str) -> String {
    "SET exchange_partitions = 2;\n".to_owned()
        + &table("a", TIMED, from, &format!("format = 'csv', {options}"))
        + &table("b", "start TIMESTAMP, n BIGINT", to, "format = 'csv'")
        + COUNTS
}

fn is_running(run: &mut Run) {
    let metrics: Arc<Metrics> = Arc::clone(&run.metrics);
    // Both stages, or two tasks: at once, they say who owns them.
    run.until("first commits", || 2 <= metrics.commits.get());
}

#[test]
fn a_partition_that_is_added_is_read_from_its_beginning() {
    let (from, to) = (topic("from", 1), topic("to", 1));
    put(&from, &[value(0, "before")]);
    let script = table("a", "x TEXT", &from, "format = 'csv', 'source.offset' = 'latest'")
        + &table("b", "x TEXT", &to, "format = 'csv'")
        + "INSERT INTO b SELECT x FROM a;";
    let mut run = start(&unique("added"), &script);
    let metrics = Arc::clone(&run.metrics);
    run.until("a first commit", || 1 <= metrics.commits.get());
    let grown = answer(admin().create_partitions(&[NewPartitions::new(&from, 3)], &admin_options()));
    grown.into_iter().for_each(|result| drop(result.expect("more partitions")));
    put(&from, &[value(1, "one"), value(2, "two"), value(0, "zero")]);
    run.wait_for(&to, 3);
    run.stop();
    assert_eq!(texts(&all(&to)), ["one", "two", "zero"]);
    // And it is known when the pipeline comes back.
    put(&from, &[value(2, "two more")]);
    let mut run = start(&unique("added"), &script.replace("latest", "earliest"));
    run.wait_for(&to, 8);
    run.stop();
}

#[test]
fn a_partition_that_was_read_to_its_end_does_not_hold_windows_open() {
    let (from, to) = (topic("from", 2), topic("to", 1));
    put(&from, &[value(0, "1\n15")]);
    // One task, so that what is read first is committed first.
    let one = HostOptions { tasks: TaskCount::AtMost(1), ..options(&unique("idle")) };
    let mut run = start_with(one, &counting(&from, &to, "idle_timeout = '300ms'"));
    let mut reader = Reader::new(&to);
    run.until("closed windows", || {
        // One partition goes on: where all are silent, event time does not advance.
        put(&from, &[value(0, "99")]);
        reader.poll();
        reader.got.len() == 2
    });
    // The other one is not forgotten: what comes now counts where its window is open.
    let n_rows = run.metrics.source_rows.get();
    put(&from, &[value(1, "95")]);
    read_rows(&mut run, n_rows + 1);
    put(&from, &[value(1, "130"), value(0, "130")]);
    run.read(&mut reader, 3);
    assert_eq!(run.stop().late_rows.get(), 0);
    let rows = texts(&all(&to));
    assert_eq!(rows[..2], ["1970-01-01 00:00:00,1", "1970-01-01 00:00:10,1"]);
    assert!(rows[2].starts_with("1970-01-01 00:01:30,"), "{rows:?}");
}

#[test]
fn a_partition_that_was_idle_is_idle_after_a_restart() {
    let (from, to, name) = (topic("from", 2), topic("to", 1), unique("idle"));
    put(&from, &[value(0, "1\n15"), value(1, "2")]);
    let mut run = start(&name, &counting(&from, &to, "idle_timeout = '300ms'"));
    let mut reader = Reader::new(&to);
    run.until("a closed window", || {
        put(&from, &[value(0, "99")]);
        reader.poll();
        !reader.got.is_empty()
    });
    run.stop();
    // It would have to be silent for an hour otherwise.
    let mut run = start(&name, &counting(&from, &to, "idle_timeout = '1h'"));
    put(&from, &[value(0, "130")]);
    run.until("another closed window", || {
        reader.poll();
        reader.got.iter().any(|got| got.text().starts_with("1970-01-01 00:01:30,"))
    });
    run.stop();
}

#[test]
fn a_partition_that_is_held_by_an_open_transaction_is_not_idle() {
    let (from, to, control) = (topic("from", 2), topic("to", 1), topic("control", 1));
    put(&from, &[value(0, "1\n15\n99")]);
    let writer = Writer::transactional();
    writer.put(&from, &[value(1, "5"), value(1, "98")]);
    let mut run = start(&unique("held"), &counting(&from, &to, "idle_timeout = '300ms'"));
    is_running(&mut run);
    // Another one, started later, that sees the partition to its end: when that has closed its windows, this one had the time to.
    let elsewhere = topic("from", 2);
    put(&elsewhere, &[value(0, "1\n15\n99")]);
    let mut other = start(&unique("held"), &counting(&elsewhere, &control, "idle_timeout = '300ms'"));
    let mut reader = Reader::new(&control);
    other.until("closed windows", || {
        put(&from, &[value(0, "99")]);
        put(&elsewhere, &[value(0, "99")]);
        reader.poll();
        reader.got.len() == 2
    });
    other.stop();
    assert_eq!(all(&to), [], "windows closed before rows that were already written");
    let held = counting(&from, &to, "idle_timeout = '300ms'");
    let request = PlanRequest { text: &held, connectors: &LocalConnectors::default(), settings: &BTreeMap::new() };
    let rows = lag(&plan(&request).expect("a plan"), &options(&unique("lag"))).expect("the lag");
    let open: Vec<u64> = rows.iter().map(|row| row.open_messages).collect();
    assert_eq!(open, [0, 2], "messages behind the open transaction");
    writer.0.commit_transaction(PATIENCE).expect("committed");
    run.wait_for(&to, 2);
    assert_eq!(run.stop().late_rows.get(), 0);
    assert_eq!(texts(&all(&to)), ["1970-01-01 00:00:00,2", "1970-01-01 00:00:10,1"]);
}

#[test]
fn a_partition_far_ahead_waits_for_the_slowest() {
    let (from, to) = (topic("from", 2), topic("to", 1));
    let (elsewhere, control) = (topic("from", 2), topic("control", 1));
    for topic in [&from, &elsewhere] {
        put(topic, &[value(0, "1\n2000"), value(1, "2")]);
    }
    // Partition 1 has more to give, only not yet.
    let writer = Writer::transactional();
    writer.put(&from, &[value(1, "1000"), value(1, "3000")]);
    let mut run = start(&unique("drift"), &counting(&from, &to, "max_drift = '10s'"));
    // In the other one nothing waits in partition 1, so it holds no other partition back.
    let mut other = start(&unique("drift"), &counting(&elsewhere, &control, "max_drift = '10s'"));
    read_rows(&mut run, 3);
    let mut held_at = 0;
    for n in 1..=6 {
        let line = (2_000 + n).to_string();
        put(&from, &[value(0, &line)]);
        put(&elsewhere, &[value(0, &line)]);
        read_rows(&mut other, 3 + n);
        if n == 3 {
            held_at = run.metrics.source_rows.get();
        }
    }
    other.stop();
    assert_eq!(run.metrics.source_rows.get(), held_at, "the fast partition was read on");
    writer.0.commit_transaction(PATIENCE).expect("committed");
    read_rows(&mut run, 3 + 2 + 6);
    run.wait_for(&to, 2);
    assert_eq!(run.stop().late_rows.get(), 0);
    assert_eq!(texts(&all(&to)), ["1970-01-01 00:00:00,2", "1970-01-01 00:16:40,1"]);
}

fn read_rows(run: &mut Run, n: u64) {
    let metrics = Arc::clone(&run.metrics);
    run.until(&format!("{n} rows"), || n <= metrics.source_rows.get());
}
