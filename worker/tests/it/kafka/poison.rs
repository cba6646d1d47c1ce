//! Records that cannot be decoded, of every kind, among good ones: each good row comes out once, each bad record goes once to the
//! dead letters with where it is from, and the counts are those of what was injected.

use std::collections::BTreeMap;

use super::broker::secure;
use super::on_disk::batches;
use super::pipeline::{notices, start, table, table_on};
use super::topics::{Put, all, on, put, texts, topic, topic_with, unique, value};

/// A dead letter keeps this much of its record.
const KEPT: usize = 64 << 10;

/// A record of the detection system, 71 columns; `sp` is the row's number.
fn record(n: usize) -> String {
    let mut columns = vec!["0".to_owned(); 71];
    for (at, value) in [(0, "2026-01-31 12:00:00"), (1, "2026-01-31 12:00:01"), (3, "10.0.0.1"), (4, "::1"), (7, "TCP")]
    {
        columns[at] = value.to_owned();
    }
    columns[5] = n.to_string();
    columns[48] = "$".to_owned();
    columns.join(",")
}

fn with_column(at: usize, value: &[u8]) -> Vec<u8> {
    let record = record(0);
    let columns = record.split(',').enumerate();
    columns.map(|(index, column)| if index == at { value } else { column.as_bytes() }).collect::<Vec<_>>().join(&b',')
}

/// What is wrong, the message (`None`: without a value), and the reason that it gets.
type Poison = (&'static str, Option<Vec<u8>>, &'static str);

/// Bad for every format.
fn common() -> Vec<Poison> {
    vec![
        ("tombstone", None, "empty"),
        ("empty", Some(Vec::new()), "empty"),
        ("blank", Some(b" \r\n\n".to_vec()), "empty"),
        ("ten megabytes", Some(vec![b'x'; 10 << 20]), "too_long"),
    ]
}

fn csv() -> Vec<Poison> {
    let cut = |n: usize| record(0).splitn(n + 1, ',').take(n).collect::<Vec<_>>().join(",").into_bytes();
    vec![
        ("0xff", Some(vec![0xff; 100]), "too_short"),
        ("cut off", Some(cut(20)), "too_short"),
        ("47 columns", Some(cut(47)), "too_short"),
        ("cut off in a JSON string", Some([b"\"".as_slice(), &cut(60)].concat()), "malformed"),
        ("a million columns", Some(b"x,".repeat(1_000_000)), "too_long"),
        ("half a million columns", Some(b"x,".repeat(500_000)), "too_long"),
        ("deep JSON", Some(b"[".repeat(100_000)), "too_short"),
        ("NUL", Some(with_column(3, b"10.0\0.0.1")), "nul"),
        ("bad UTF-8", Some(with_column(3, b"\xc3\x28")), "bad_utf8"),
        ("a name for a port", Some(with_column(5, b"http")), "wrong_type"),
        ("a port too large", Some(with_column(5, b"99999999999")), "wrong_type"),
        ("no port", Some(with_column(5, b"")), "missing"),
        ("no time", Some(with_column(0, b"yesterday")), "wrong_type"),
    ]
}

fn json() -> Vec<Poison> {
    let deep = [b"{\"sp\":1,\"sa\":".as_slice(), &b"[".repeat(100_000), &b"]".repeat(100_000), b"}"].concat();
    vec![
        ("0xff", Some(vec![0xff; 100]), "bad_utf8"),
        ("cut off", Some(b"{\"sp\":1,\"sa\":\"10.".to_vec()), "malformed"),
        ("a number", Some(b"42".to_vec()), "malformed"),
        ("an array cut off", Some(b"[{\"sp\":1}".to_vec()), "malformed"),
        ("two objects in a line", Some(b"{\"sp\":1}{\"sp\":2}".to_vec()), "malformed"),
        ("deep", Some(deep), "too_deep"),
        ("NUL", Some(b"{\"sp\":1,\"sa\":\"a\0\"}".to_vec()), "nul"),
        ("bad UTF-8", Some(b"{\"sp\":1,\"sa\":\"\xc3\x28\"}".to_vec()), "bad_utf8"),
        ("text for a number", Some(b"{\"sp\":\"one\"}".to_vec()), "wrong_type"),
        ("too large", Some(b"{\"sp\":99999999999}".to_vec()), "wrong_type"),
        ("missing", Some(b"{\"sa\":\"a\"}".to_vec()), "missing"),
        ("null", Some(b"{\"sp\":null}".to_vec()), "missing"),
    ]
}

fn check(options: &str, good: impl Fn(usize) -> String, poison: &[Poison]) {
    let from = topic_with("from", 2, &[("max.message.bytes", "20000000")]);
    let (to, dead) = (topic("to", 1), topic("dead", 1));
    // Good, bad, good, bad…, over two partitions; where each bad one lies is known.
    let goods: Vec<String> = (0..=poison.len()).map(&good).collect();
    let mut messages = Vec::new();
    let mut injected = BTreeMap::new();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (n, (what, bad, reason)) in poison.iter().enumerate() {
        let partition = n as i32 % 2;
        messages.push(value(partition, &goods[n]));
        messages.push(Put { partition, value: bad.as_deref(), ..Put::default() });
        let offset = 2 * (n / 2) + 1;
        let kept = bad.as_deref().filter(|_| *reason != "empty").unwrap_or_default();
        injected.insert((partition, offset), (*what, *reason, kept[..kept.len().min(KEPT)].to_vec()));
        *counts.entry(reason).or_default() += 1;
    }
    messages.push(value(0, &goods[poison.len()]));
    put(&from, &messages);
    let columns = "ts TIMESTAMP, sa TEXT, sp INT NOT NULL";
    let script = table("a", columns, &from, &format!("{options}, dead_letter_table = 'dead'"))
        + &table("b", "sp INT", &to, "format = 'csv'")
        + &table("dead", "value BYTEA", &dead, "format = 'raw_string'")
        + "INSERT INTO b SELECT sp FROM a WHERE ts IS NULL OR sa IS NULL OR sp >= 0;";
    let name = unique("poison");
    let mut run = start(&name, &script);
    run.wait_for(&to, goods.len());
    run.wait_for(&dead, poison.len());
    assert_eq!(run.bad_records(), counts);
    let metrics = run.stop();
    assert_eq!(metrics.source_rows.get(), goods.len() as u64);
    let mut expected: Vec<String> = (0..goods.len()).map(|n| n.to_string()).collect();
    expected.sort();
    assert_eq!(texts(&all(&to)), expected);
    for record in all(&dead) {
        let origin = (record.header("davy-partition"), record.header("davy-offset"));
        let origin = (origin.0.parse().expect("a partition"), origin.1.parse().expect("an offset"));
        let found = injected.remove(&origin);
        let (what, reason, kept) = found.unwrap_or_else(|| panic!("nothing bad was at {origin:?}, or it came twice"));
        assert_eq!(record.header("davy-reason"), reason, "{what}");
        assert_eq!((record.header("davy-topic"), record.header("davy-pipeline")), (&*from, &*name), "{what}");
        assert!(record.value == kept, "{what}: {} bytes, not {}", record.value.len(), kept.len());
    }
    assert_eq!(injected.into_values().map(|(what, ..)| what).collect::<Vec<_>>(), [""; 0], "no dead letter");
}

#[test]
fn no_csv_record_stops_a_run_or_gets_lost() {
    check("format = 'csv', 'csv.columns' = 'nfdump'", record, &[common(), csv()].concat());
}

#[test]
fn no_json_record_stops_a_run_or_gets_lost() {
    check("format = 'json'", |n| format!("{{\"sp\":{n},\"sa\":\"a\"}}"), &[common(), json()].concat());
}

#[test]
fn a_bad_row_among_good_ones_of_its_message_goes_alone() {
    let (from, to, dead) = (topic("from", 1), topic("to", 1), topic("dead", 1));
    put(&from, &[value(0, "1\n2"), value(0, "3\nx\n4\ny"), value(0, "z\n5")]);
    let script = table("a", "n INT", &from, "format = 'csv', dead_letter_table = 'dead'")
        + &table("b", "n INT", &to, "format = 'csv'")
        + &table("dead", "reason TEXT, detail TEXT, split TEXT, position BIGINT, value TEXT", &dead, "format = 'csv'")
        + "INSERT INTO b SELECT n FROM a;";
    let mut run = start(&unique("rows"), &script);
    run.wait_for(&dead, 3);
    run.stop();
    assert_eq!(texts(&all(&to)).join(" "), "1 2 3 4 5");
    let records: Vec<String> = all(&dead)
        .iter()
        .map(|record| format!("{} | {}", record.text().replace(&from, "from"), record.header("davy-offset")))
        .collect();
    let record = |position: u64, value: &str| {
        format!("wrong_type,column `n`: `{value}` is no Int32,from/0,{position},{value} | {position}")
    };
    assert_eq!(records, [record(1, "x"), record(1, "y"), record(2, "z")]);
}

#[test]
fn dead_letters_and_rows_are_in_one_transaction() {
    let here = secure("DAVY_KAFKA");
    let (from, to, dead) = (on(here, "from", 1), on(here, "to", 1), on(here, "dead", 1));
    from.put(&[(0, "1\nx")]);
    let script = table_on(here, "a", "n INT", &from.name, "format = 'csv', dead_letter_table = 'dead'")
        + &table_on(here, "b", "n INT", &to.name, "format = 'csv'")
        + &table_on(here, "dead", "value TEXT", &dead.name, "format = 'csv'")
        + "INSERT INTO b SELECT n FROM a;";
    let mut run = start(&unique("one"), &script);
    run.until("both", || !to.all().is_empty() && !dead.all().is_empty());
    run.stop();
    let (rows, records) = (batches(&to.name), batches(&dead.name));
    assert_eq!((rows.len(), records.len()), (1, 1));
    assert!(rows[0].is_transactional && records[0].is_transactional);
    assert_eq!((rows[0].producer, rows[0].n_messages), (records[0].producer, records[0].n_messages));
}

#[test]
fn a_table_may_stop_at_a_bad_record_or_drop_it() {
    let (from, to) = (topic("from", 1), topic("to", 1));
    put(&from, &[value(0, "1"), value(0, "x"), value(0, "2")]);
    let script = |policy: &str| {
        table("a", "n INT", &from, &format!("format = 'csv', bad_record = '{policy}'"))
            + &table("b", "n INT", &to, "format = 'csv'")
            + "INSERT INTO b SELECT n FROM a;"
    };
    let said = super::pipeline::refusal(&unique("fail"), &script("fail")).replace(&from, "from");
    assert!(said.contains("table `a`: bad record in split `from/0` at position 1: column `n`"), "{said}");
    assert_eq!(all(&to), [], "what came before it goes with it");
    let mut run = start(&unique("drop"), &script("drop"));
    run.wait_for(&to, 2);
    assert_eq!(run.bad_records(), BTreeMap::from([("wrong_type", 1)]));
    run.stop();
    assert_eq!(texts(&all(&to)), ["1", "2"]);
}

#[test]
fn a_topic_without_a_good_record_is_reported_and_read_on() {
    let (from, to) = (topic("from", 1), topic("to", 1));
    let bad: Vec<String> = (0..1_000).map(|n| format!("{{\"n\":{n}}}")).collect();
    put(&from, &bad.iter().map(|text| value(0, text)).collect::<Vec<_>>());
    let script = table("a", "n INT", &from, "format = 'csv'")
        + &table("b", "n INT", &to, "format = 'csv'")
        + "INSERT INTO b SELECT n FROM a;";
    let name = unique("another_format");
    let mut run = start(&name, &script);
    let reported = || notices(&name).into_iter().find(|line| line.contains("no record of the input can be read"));
    run.until("a report", || reported().is_some());
    let said = reported().unwrap_or_default();
    assert!(said.contains("none of 1000 records") && said.contains("say format = 'json'"), "{said}");
    put(&from, &[value(0, "7")]);
    run.wait_for(&to, 1);
    run.stop();
}

#[test]
fn a_row_that_fails_goes_to_the_dead_letters_and_the_others_go_on() {
    let (from, to, dead) = (topic("from", 1), topic("to", 1), topic("dead", 1));
    put(&from, &[value(0, "1,a"), value(0, "0,b"), value(0, "5,c\n0,d"), value(0, "2,e")]);
    let source = table("a", "n INT, k TEXT", &from, &format!("format = 'csv', dead_letter_topic = '{dead}'"));
    let script =
        source + &table("b", "k TEXT, share INT", &to, "format = 'csv'") + "INSERT INTO b SELECT k, 100 / n FROM a;";
    let mut run = start(&unique("failing"), &script);
    run.wait_for(&dead, 2);
    run.wait_for(&to, 3);
    run.stop();
    assert_eq!(texts(&all(&to)), ["a,100", "c,20", "e,50"]);
    let shown = |record: &super::topics::Got| {
        format!("{} | {} | {}", record.header("davy-reason"), record.header("davy-offset"), record.text())
    };
    let found: Vec<String> = all(&dead).iter().map(shown).collect();
    assert_eq!(found, ["division_by_zero | 1 | 0,b", "division_by_zero | 2 | {\"n\":0,\"k\":\"d\"}"]);
}

#[test]
fn a_row_that_fails_without_dead_letters_is_named() {
    let (from, to) = (topic("from", 1), topic("to", 1));
    put(&from, &[value(0, "1"), value(0, "0"), value(0, "2")]);
    let script = table("a", "n INT", &from, "format = 'csv'")
        + &table("b", "n INT", &to, "format = 'csv'")
        + "INSERT INTO b SELECT 100 / n FROM a;";
    let said = super::pipeline::refusal(&unique("failing"), &script).replace(&from, "from");
    for expected in
        ["line 3, column 22", "expression `100 / n` fails", "topic `from`, partition 0, offset 1", "on_error = 'null'"]
    {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    assert_eq!(all(&to), [], "what came before it goes with it");
}

#[test]
fn a_message_without_a_value_keeps_its_key() {
    let (from, to, dead) = (topic("from", 1), topic("to", 1), topic("dead", 1));
    let tombstone = Put { key: Some(b"a"), value: None, ..Put::default() };
    put(&from, &[tombstone, Put { key: Some(b"b"), value: Some(b""), ..Put::default() }]);
    let script = table("a", "n INT", &from, &format!("format = 'csv', dead_letter_topic = '{dead}'"))
        + &table("b", "n INT", &to, "format = 'csv'")
        + "INSERT INTO b SELECT n FROM a;";
    let mut run = start(&unique("tombstone"), &script);
    run.wait_for(&dead, 2);
    run.stop();
    let keys: Vec<_> = all(&dead).iter().map(|record| record.key.clone()).collect();
    assert_eq!(keys, [Some("a".to_owned()), Some("b".to_owned())]);
    assert_eq!(all(&dead).iter().map(|record| record.is_tombstone).collect::<Vec<_>>(), [true, false]);
}
