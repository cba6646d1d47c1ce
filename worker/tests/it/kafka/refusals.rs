//! What is refused, in the words a person gets: `refusals.txt` has them all. `UPDATE_GOLDEN=1` writes it anew.

use std::fmt::Write;

use super::broker::{secure, servers};
use super::pipeline::{refusal, table, table_on};
use super::topics::{topic, topic_with, unique};

/// One after the other: what is tried, and its script. `{in}` and `{out}` are topics.
fn cases() -> Vec<(&'static str, String)> {
    let copy = "INSERT INTO b SELECT x FROM a;";
    let source = |options: &str| table("a", "x TEXT", "{in}", options);
    let sink = |options: &str| table("b", "x TEXT", "{out}", options);
    let reads = |options: &str| source(options) + &sink("") + copy;
    let writes = |options: &str| source("") + &sink(options) + copy;
    let file = "CREATE TABLE a (x TEXT) WITH (connector = 'single_file', path = '/dev/null', format = 'json', type = 'source');\n";
    let both = "INSERT INTO b SELECT a.x FROM a JOIN c ON a.x = c.x;";
    vec![
        (
            "no topic option",
            "CREATE TABLE a (x TEXT) WITH (connector = 'kafka', bootstrap_servers = 'h:1');".to_owned(),
        ),
        ("no address", "CREATE TABLE a (x TEXT) WITH (connector = 'kafka', topic = 't');".to_owned()),
        ("a topic's name", table("a", "x TEXT", "no spaces", "")),
        ("an unknown option", reads("group_id = 'mine'")),
        ("a bad offset", reads("'source.offset' = 'first'")),
        ("a bad read mode", reads("'source.read_mode' = 'dirty'")),
        ("a bad on_loss", reads("'source.on_loss' = 'skip'")),
        ("a file's format", reads("format = 'parquet'")),
        ("unknown metadata", table("a", "x TEXT, y BIGINT METADATA FROM 'lag'", "{in}", "") + &sink("") + copy),
        ("a bad delivery", writes("delivery = 'at_most_once'")),
        ("a bad compression", writes("compression = 'brotli'")),
        ("no rows in a message", writes("rows_per_message = '0'")),
        ("a key that is no column", writes("key = 'y'")),
        ("a key that is no expression", writes("key = 'concat(x'")),
        ("a header that is no column", writes("'header.host' = 'y'")),
        ("a timestamp that is no column", writes("timestamp = 'y'")),
        ("a timestamp that is a text", writes("timestamp = 'x'")),
        ("a partition that is no number", writes("partition = 'x'")),
        ("partitions that are no numbers", reads("'source.partitions' = '1,-2'")),
        ("a partition that is read twice", reads("'source.partitions' = '0,1,0'")),
        ("a partition that is not there", reads("'source.partitions' = '0,7'")),
        ("a source's option for a sink", writes("type = 'sink', 'source.offset' = 'latest'")),
        ("a property that is not to be set", writes("'kafka.acks' = '1'")),
        ("a property with a bad value", writes("'kafka.linger.ms' = 'soon'")),
        ("a missing source topic", table("a", "x TEXT", "not-there", "") + &sink("") + copy),
        ("a missing sink topic", source("") + &table("b", "x TEXT", "not-there", "") + copy),
        (
            "a missing topic of a sink outside",
            source("") + &table("b", "x TEXT", "not-there", "delivery = 'at_least_once'") + copy,
        ),
        (
            "a wrong address",
            table_on("127.0.0.1:1", "a", "x TEXT", "{in}", "") + &sink("delivery = 'at_least_once'") + copy,
        ),
        (
            "a name that is no machine",
            table_on("nowhere.invalid:9092", "a", "x TEXT", "{in}", "") + &sink("delivery = 'at_least_once'") + copy,
        ),
        ("exactly once from a file", file.to_owned() + &sink("delivery = 'exactly_once'") + copy),
        (
            "a topic and a file",
            file.to_owned()
                + &table("c", "x TEXT", "{in}", "")
                + &sink("")
                + "INSERT INTO b SELECT x FROM a UNION ALL SELECT x FROM c;",
        ),
        (
            "two clusters to read",
            source("")
                + &table_on(secure("DAVY_KAFKA"), "c", "x TEXT", "{in}", "")
                + &sink("")
                + "INSERT INTO b SELECT x FROM a UNION ALL SELECT x FROM c;",
        ),
        (
            "two clusters in a transaction",
            table_on(secure("DAVY_KAFKA"), "a", "x TEXT", "{in}", "") + &sink("delivery = 'exactly_once'") + copy,
        ),
        ("a join without a window", source("") + &table("c", "x TEXT", "{in}", "") + &sink("") + both),
        ("a table that is only read", source("") + &table("b", "x TEXT", "{out}", "type = 'source'") + copy),
    ]
}

#[test]
fn what_cannot_work_is_refused_with_a_remedy() {
    let (from, to) = (topic("in", 1), topic("out", 1));
    let all = cases();
    let said: Vec<String> = std::thread::scope(|scope| {
        let start = |(_, script): &(&str, String)| {
            let script = script.replace("{in}", &from).replace("{out}", &to);
            let refused = move || refusal(&unique("refused"), &script);
            std::thread::Builder::new().spawn_scoped(scope, refused).expect("a thread")
        };
        let running: Vec<_> = all.iter().map(start).collect();
        running.into_iter().map(|thread| thread.join().expect("refused")).collect()
    });
    let mut refusals = String::new();
    for ((what, _), said) in all.iter().zip(said) {
        let said = said.replace(&from, "{in}").replace(&to, "{out}");
        let said = said.replace(servers(), "{kafka}").replace(secure("DAVY_KAFKA"), "{other}");
        writeln!(refusals, "== {what}\n{said}\n").expect("memory");
    }
    check_golden("refusals.txt", &refusals);
}

/// Compares with a file beside the tests, or writes it.
fn check_golden(name: &str, refusals: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/kafka").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, refusals).expect("the golden file");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == refusals, "{name} says otherwise; UPDATE_GOLDEN=1 writes it anew:\n{refusals}");
}

#[test]
fn a_row_that_is_too_large_for_its_topic_is_an_error_and_not_a_loop() {
    let from = topic("in", 1);
    let to = topic_with("out", 1, &[("max.message.bytes", "1000")]);
    super::topics::put(&from, &[super::topics::value(0, &"x".repeat(5_000))]);
    let script = table("a", "x TEXT", &from, "format = 'raw_string'")
        + &table("b", "x TEXT", &to, "format = 'raw_string', compression = 'none'")
        + "INSERT INTO b SELECT x FROM a;";
    let said = refusal(&unique("large"), &script);
    assert!(said.contains("raise the topic's `max.message.bytes`, or say on_error"), "{said}");
    assert_eq!(super::topics::all(&to), []);
}
