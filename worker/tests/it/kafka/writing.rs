//! Sinks: the message that a row becomes, its partition, and its transaction.

use super::broker::{secure, servers};
use super::on_disk::{Codec, batches};
use super::pipeline::{at_once, refusal, start, table, table_on};
use super::topics::{Got, all, on, put, topic, unique, value};

/// Rows that come as one message, so that they are one batch.
const ROWS: &str = r#"{"sa":"a","n":1}
{"sa":"b","n":2}
{"sa":"a","n":3}
{"n":4}
{"sa":"a","n":5}"#;

/// `key headers|value`, where line ends are `/`.
fn shown(message: &Got) -> String {
    let headers: String = message.headers.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    let key = message.key.as_deref().unwrap_or("-");
    format!("{key}{headers}|{}", message.text().replace('\n', "/"))
}

#[test]
fn rows_become_messages_as_the_table_says() {
    let cases = [
        ("", "-|a,1 -|b,2 -|a,3 -|,4 -|a,5"),
        ("key = 'sa'", "a|a,1 b|b,2 a|a,3 -|,4 a|a,5"),
        ("key = 'n'", "1|a,1 2|b,2 3|a,3 4|,4 5|a,5"),
        ("key = 'concat(sa, '':'', n * 2)'", "a:2|a,1 b:4|b,2 a:6|a,3 :8|,4 a:10|a,5"),
        (
            "'header.host' = 'sa', 'header.twice' = 'n + n'",
            "- host=a twice=2|a,1 - host=b twice=4|b,2 - host=a twice=6|a,3 - twice=8|,4 - host=a twice=10|a,5",
        ),
        ("rows_per_message = '2'", "-|a,1/b,2 -|a,3/,4 -|a,5"),
        ("rows_per_message = '100'", "-|a,1/b,2/a,3/,4/a,5"),
        ("rows_per_message = '2', key = 'sa'", "a|a,1/a,3 b|b,2 -|,4 a|a,5"),
        ("rows_per_message = '9', 'header.n' = 'n'", "- n=1|a,1 - n=2|b,2 - n=3|a,3 - n=4|,4 - n=5|a,5"),
    ];
    let from = topic("from", 1);
    put(&from, &[value(0, ROWS)]);
    for delivery in ["", ", delivery = 'at_least_once'"] {
        at_once(&cases, |(options, expected)| {
            let to = topic("to", 1);
            let comma = if options.is_empty() { "" } else { ", " };
            let script = table("a", "sa TEXT, n BIGINT", &from, "")
                + &table("b", "sa TEXT, n BIGINT", &to, &format!("format = 'csv'{comma}{options}{delivery}"))
                + "INSERT INTO b SELECT sa, n FROM a;";
            let mut run = start(&unique("messages"), &script);
            run.wait_for(&to, expected.split('|').count() - 1);
            assert_eq!(run.stop().sink_rows.get(), 5);
            let messages: Vec<String> = all(&to).iter().map(shown).collect();
            assert_eq!(messages.join(" "), *expected, "{options}{delivery}");
        });
    }
}

#[test]
fn a_message_has_the_timestamp_that_its_table_says() {
    // A broker refuses times before 1970 and those that are far ahead, with the whole transaction.
    const ROWS: &str = "early,2019-11-25 21:02:17.5
none,
before,1969-12-31 23:59:59
epoch,1970-01-01 00:00:00
ahead,2200-01-01 00:00:00
first,1970-01-01 00:00:00.001";
    /// The year 2200, in milliseconds.
    const AHEAD: i64 = 7_258_118_400_000;
    let from = topic("from", 1);
    put(&from, &[value(0, ROWS)]);
    let sent = all(&from)[0].timestamp;
    for delivery in ["", ", delivery = 'at_least_once'"] {
        let to = topic("to", 1);
        let options = format!("format = 'raw_string', 'raw_string.column' = 'x', timestamp = 'at'{delivery}");
        let script = table("a", "x TEXT, at TIMESTAMP", &from, "format = 'csv'")
            + &table("b", "at TIMESTAMP, x TEXT", &to, &options)
            + "INSERT INTO b SELECT at, x FROM a;";
        let mut run = start(&unique("timestamps"), &script);
        run.wait_for(&to, 6);
        run.stop();
        let is_now = |at: i64| (sent..AHEAD).contains(&at);
        let shown = |message: &Got| match message.timestamp {
            at if is_now(at) => format!("{} now", message.text()),
            at => format!("{} {at}", message.text()),
        };
        let messages: Vec<String> = all(&to).iter().map(shown).collect();
        let expected = ["early 1574715737500", "none now", "before now", "epoch now", "ahead now", "first 1"];
        assert_eq!(messages, expected, "{delivery}");
    }
}

#[test]
fn a_row_goes_to_the_partition_that_its_table_says_or_to_the_dead_letters() {
    for delivery in ["exactly_once", "at_least_once"] {
        let (from, to, dead) = (topic("from", 1), topic("to", 2), topic("dead", 1));
        put(&from, &[value(0, "a,0\nb,1\nc,2\nd,-1\ne,1")]);
        let script = |options: &str| {
            table("a", "x TEXT, n BIGINT", &from, "format = 'csv'")
                + &table(
                    "b",
                    "x TEXT, n BIGINT",
                    &to,
                    &format!("format = 'csv', partition = 'n', delivery = '{delivery}'{options}"),
                )
                + "INSERT INTO b SELECT x, n FROM a;"
        };
        let said = refusal(&unique("placed"), &script("")).replace(&to, "to");
        let expected = "a row of table `b` goes to partition 2, topic `to` has 2 partitions, counted from 0; add partitions to the topic, or \
                        change the table's option `partition`, or say on_error = 'dead_letter'";
        assert!(said.contains(expected), "{said}");
        assert!(all(&to).is_empty());
        let mut run = start(&unique("placed"), &script(&format!(", dead_letter_topic = '{dead}'")));
        run.wait_for(&to, 3);
        let dead_letters = run.wait_for(&dead, 2);
        run.stop();
        let placed: Vec<(i32, String)> = all(&to).iter().map(|got| (got.partition, got.text())).collect();
        assert_eq!(placed, [(0, "a,0".to_owned()), (1, "b,1".to_owned()), (1, "e,1".to_owned())], "{delivery}");
        let reasons: Vec<&str> = dead_letters.iter().map(|dead_letter| dead_letter.header("davy-reason")).collect();
        assert_eq!(reasons, ["expression", "expression"]);
    }
}

#[test]
fn messages_are_compressed_and_in_transactions_as_the_table_says() {
    let here = secure("DAVY_KAFKA");
    let from = on(here, "from", 1);
    let row = "10.0.0.1,".repeat(1_000);
    from.put(&[(0, &row)]);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &row).expect("a file");
    let topic = table_on(here, "a", "x TEXT", &from.name, "format = 'raw_string'");
    let file = format!(
        "CREATE TABLE a (x TEXT) WITH (connector = 'single_file', path = '{}', format = 'raw_string');\n",
        file.path().display()
    );
    let cases = [
        (&topic, "", Codec::Lz4, true),
        (&topic, "delivery = 'exactly_once'", Codec::Lz4, true),
        (&topic, "delivery = 'at_least_once'", Codec::Lz4, false),
        (&file, "", Codec::Lz4, false),
        (&file, "delivery = 'at_least_once'", Codec::Lz4, false),
        (&topic, "compression = 'none'", Codec::None, true),
        (&topic, "compression = 'gzip'", Codec::Gzip, true),
        (&topic, "compression = 'snappy'", Codec::Snappy, true),
        (&topic, "compression = 'lz4'", Codec::Lz4, true),
        (&topic, "compression = 'zstd'", Codec::Zstd, true),
        (&topic, "compression = 'zstd', delivery = 'at_least_once'", Codec::Zstd, false),
    ];
    at_once(&cases, |(source, options, codec, is_transactional)| {
        let to = on(here, "to", 1);
        let comma = if options.is_empty() { "" } else { ", " };
        let script = (*source).clone()
            + &table_on(here, "b", "x TEXT", &to.name, &format!("format = 'raw_string'{comma}{options}"))
            + "INSERT INTO b SELECT x FROM a;";
        let mut run = start(&unique("delivery"), &script);
        run.until_or_end(|| !to.all().is_empty());
        run.stop();
        assert_eq!(to.all().iter().map(Got::text).collect::<Vec<_>>(), [row.as_str()]);
        let found: Vec<_> = batches(&to.name).iter().map(|batch| (batch.codec, batch.is_transactional)).collect();
        assert_eq!(found, [(*codec, *is_transactional)], "{source}{options}");
    });
}

#[test]
fn another_cluster_takes_rows_at_least_once() {
    let (from, to) = (on(secure("DAVY_KAFKA"), "from", 1), on(servers(), "to", 1));
    from.put(&[(0, "x"), (0, "y")]);
    let script = table_on(secure("DAVY_KAFKA"), "a", "x TEXT", &from.name, "format = 'csv'")
        + &table("b", "x TEXT", &to.name, "format = 'csv', delivery = 'at_least_once'")
        + "INSERT INTO b SELECT x FROM a;";
    let mut run = start(&unique("clusters"), &script);
    run.wait_for(&to.name, 2);
    run.stop();
    assert_eq!(super::topics::texts(&to.all()), ["x", "y"]);
}
