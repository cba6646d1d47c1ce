//! Sources: where reading begins, what of a transaction is read, how rows lie in messages, and what is known of a message.

use super::pipeline::{start, table};
use super::topics::{Put, Writer, all, put, texts, topic, unique, value};

#[test]
fn reading_begins_where_the_table_says() {
    // Messages at 1 s, 2 s and 3 s; then one at 4 s, once the pipeline runs.
    let cases = [
        ("earliest", "1 2 3 4"),
        ("latest", "4"),
        ("timestamp:2000", "2 3 4"),
        ("timestamp:1970-01-01T00:00:02.001Z", "3 4"),
        ("timestamp:9000", "4"),
    ];
    for (offset, expected) in cases {
        let (from, to) = (topic("from", 1), topic("to", 1));
        let at = |n: i64| Put { timestamp: Some(n * 1_000), ..Put::default() };
        put(
            &from,
            &[
                Put { value: Some(b"1"), ..at(1) },
                Put { value: Some(b"2"), ..at(2) },
                Put { value: Some(b"3"), ..at(3) },
            ],
        );
        let script = table("a", "x TEXT", &from, &format!("format = 'raw_string', 'source.offset' = '{offset}'"))
            + &table("b", "x TEXT", &to, "format = 'raw_string'")
            + "INSERT INTO b SELECT x FROM a;";
        let mut run = start(&unique("begin"), &script);
        let metrics = run.metrics.clone();
        run.until("a first commit", || 0 < metrics.commits.get());
        put(&from, &[Put { value: Some(b"4"), ..at(4) }]);
        let n = expected.split(' ').count();
        run.wait_for(&to, n);
        run.stop();
        assert_eq!(texts(&all(&to)).join(" "), expected, "{offset}");
    }
}

#[test]
fn what_is_not_committed_is_read_only_on_request() {
    let from = topic("from", 1);
    put(&from, &[value(0, "plain")]);
    let aborted = Writer::transactional();
    aborted.put(&from, &[value(0, "aborted")]);
    rdkafka::producer::Producer::abort_transaction(&aborted.0, super::topics::PATIENCE).expect("aborted");
    put(&from, &[value(0, "between")]);
    let open = Writer::transactional();
    open.put(&from, &[value(0, "open")]);
    put(&from, &[value(0, "behind")]);
    for (mode, expected) in
        [("read_committed", "between plain"), ("read_uncommitted", "aborted behind between open plain")]
    {
        let to = topic("to", 1);
        let options = format!("format = 'raw_string', 'source.read_mode' = '{mode}'");
        let script = table("a", "x TEXT", &from, &options)
            + &table("b", "x TEXT", &to, "format = 'raw_string'")
            + "INSERT INTO b SELECT x FROM a;";
        let mut run = start(&unique("isolation"), &script);
        run.wait_for(&to, expected.split(' ').count());
        run.stop();
        assert_eq!(texts(&all(&to)).join(" "), expected, "{mode}");
    }
}
