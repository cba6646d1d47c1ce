//! Sources: where reading begins, what of a transaction is read, how rows lie in messages, and what is known of a message.

use super::pipeline::{at_once, start, table};
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
    at_once(&cases, |&(offset, expected)| {
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
    });
}

#[test]
fn a_message_that_is_one_row_may_have_line_ends_in_quotes() {
    let messages = ["1,\"two\nlines\"", "2,plain\n", "3,a\n4,b", "5,\"a \"\"quote\"\"\"\r\n", ""];
    let cases = [
        ("one", "1|two\nlines 2|plain 5|a \"quote\"", "malformed empty"),
        ("many", "2|plain 3|a 4|b 5|a \"quote\"", "malformed too_short empty"),
    ];
    at_once(&cases, |&(rows, expected, expected_bad)| {
        let (from, to, dead) = (topic("from", 1), topic("to", 1), topic("dead", 1));
        put(&from, &messages.map(|message| value(0, message)));
        let options = format!("format = 'csv', 'csv.rows_per_message' = '{rows}', dead_letter_topic = '{dead}'");
        let script = table("a", "n INT, x TEXT", &from, &options)
            + &table("b", "x TEXT", &to, "format = 'raw_string'")
            + "INSERT INTO b SELECT concat(n, '|', x) AS x FROM a;";
        let mut run = start(&unique("rows"), &script);
        run.wait_for(&to, expected.split(' ').filter(|row| row.contains('|')).count());
        let bad = run.wait_for(&dead, expected_bad.split(' ').count());
        run.stop();
        assert_eq!(texts(&all(&to)).join(" "), expected, "{rows}");
        let reasons: Vec<&str> = bad.iter().map(|message| message.header("davy-reason")).collect();
        assert_eq!(reasons.join(" "), expected_bad, "{rows}: {:?}", texts(&bad));
    });
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
    let cases = [("read_committed", "between plain"), ("read_uncommitted", "aborted behind between open plain")];
    at_once(&cases, |&(mode, expected)| {
        let to = topic("to", 1);
        let options = format!("format = 'raw_string', 'source.read_mode' = '{mode}'");
        let script = table("a", "x TEXT", &from, &options)
            + &table("b", "x TEXT", &to, "format = 'raw_string'")
            + "INSERT INTO b SELECT x FROM a;";
        let mut run = start(&unique("isolation"), &script);
        run.wait_for(&to, expected.split(' ').count());
        run.stop();
        assert_eq!(texts(&all(&to)).join(" "), expected, "{mode}");
    });
}

#[test]
fn rows_are_in_messages_as_lines_objects_and_arrays() {
    let csv: [&[u8]; 6] =
        [b"\xEF\xBB\xBF1,a\n2,b\n", b"3,c\r\n4,d\r\n", b"5,e", b"\"6,f\"", b"\"7,g\\n8,h\"", b"\n9,i\n\n"];
    let json: [&[u8]; 5] = [
        b"{\"n\":1,\"t\":\"a\"}\n{\"n\":2,\"t\":\"b\"}",
        b"[{\"n\":3,\"t\":\"c\"},{\"n\":4,\"t\":\"d\"}]",
        b"{\"t\":\"e\",\"more\":[1],\"n\":5}\r\n",
        b" {\"n\":6} ",
        b"{\"n\":7,\"t\":{\"x\":[1,2]}}",
    ];
    let cases = [
        ("csv", csv.as_slice(), "1,a,0 2,b,0 3,c,1 4,d,1 5,e,2 6,f,3 7,g,4 8,h,4 9,i,5"),
        ("json", json.as_slice(), r#"1,a,0 2,b,0 3,c,1 4,d,1 5,e,2 6,,3 7,"{""x"":[1,2]}",4"#),
    ];
    at_once(&cases, |&(format, messages, expected)| {
        let (from, to) = (topic("from", 1), topic("to", 1));
        put(&from, &messages.iter().map(|message| value(0, *message)).collect::<Vec<_>>());
        let columns = "n BIGINT, t TEXT, o BIGINT METADATA FROM 'offset'";
        let script = table("a", columns, &from, &format!("format = '{format}'"))
            + &table("b", "n BIGINT, t TEXT, o BIGINT", &to, "format = 'csv'")
            + "INSERT INTO b SELECT n, t, o FROM a;";
        let mut run = start(&unique("forms"), &script);
        run.wait_for(&to, expected.split(' ').count());
        assert_eq!(run.bad_records().len(), 0, "{format}");
        run.stop();
        assert_eq!(texts(&all(&to)).join(" "), expected, "{format}");
    });
}

#[test]
fn a_query_sees_all_that_is_known_of_a_message() {
    let (from, to) = (topic("from", 2), topic("to", 1));
    let full = Put {
        partition: 1,
        key: Some(b"k"),
        value: Some(br#"{"x":"u"}"#),
        headers: &[("a", "1"), ("b", "2"), ("a", "3")],
        timestamp: Some(5_000),
    };
    put(&from, &[Put { value: Some(br#"{"x":"v"}"#), ..full.clone() }, full]);
    put(&from, &[Put { timestamp: Some(7_000), ..value(0, r#"{"x":"w"}"#) }]);
    let columns = "x TEXT, topic TEXT METADATA FROM 'topic', p INT METADATA FROM 'partition', \
        o BIGINT METADATA FROM 'offset', at TIMESTAMP METADATA FROM 'timestamp', k TEXT METADATA FROM 'key', \
        h TEXT METADATA FROM 'headers', v TEXT METADATA FROM 'value'";
    let plain = "x TEXT, topic TEXT, p INT, o BIGINT, at TIMESTAMP, k TEXT, h TEXT, v TEXT";
    let script = table("a", columns, &from, "")
        + &table("b", plain, &to, "format = 'csv', 'csv.delimiter' = ';'")
        + "INSERT INTO b SELECT x, topic, p, o, at, k, h, v FROM a;";
    let mut run = start(&unique("metadata"), &script);
    run.wait_for(&to, 3);
    run.stop();
    let rows = texts(&all(&to)).join("\n").replace(&from, "from");
    assert_eq!(
        rows,
        "u;from;1;1;1970-01-01 00:00:05;k;\"{\"\"a\"\":\"\"3\"\",\"\"b\"\":\"\"2\"\"}\";\"{\"\"x\"\":\"\"u\"\"}\"\n\
         v;from;1;0;1970-01-01 00:00:05;k;\"{\"\"a\"\":\"\"3\"\",\"\"b\"\":\"\"2\"\"}\";\"{\"\"x\"\":\"\"v\"\"}\"\n\
         w;from;0;0;1970-01-01 00:00:07;;;\"{\"\"x\"\":\"\"w\"\"}\""
    );
}
