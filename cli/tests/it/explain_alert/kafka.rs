//! Alerts of a topic, explained from exactly their messages.

use std::collections::BTreeMap;

use davy_testkit::broker::servers;
use serde_json::Value;

use crate::cds::kafka::make_topic;
use crate::run::{davy, folder, text};

const COLUMNS: &str = "te TIMESTAMP, sa TEXT, da TEXT, sp INT, dp INT, ibyt BIGINT";
const N_ROWS: usize = 60;
const N_PARTITIONS: usize = 2;

/// A flow every five seconds, from three hosts in turn.
struct Flow {
    minute: usize,
    host: usize,
    partition: usize,
    offset: usize,
}

fn flows() -> impl Iterator<Item = Flow> {
    (0..N_ROWS).map(|n| Flow { minute: n * 5 / 60, host: n % 3, partition: n % N_PARTITIONS, offset: n / N_PARTITIONS })
}

fn lines() -> String {
    let line = |(n, flow): (usize, Flow)| {
        let te = format!("2026-01-01T00:{:02}:{:02}Z", flow.minute, n * 5 % 60);
        format!(
            "{{\"te\":\"{te}\",\"sa\":\"10.0.0.{}\",\"da\":\"192.0.2.1\",\"sp\":{},\"dp\":3333,\"ibyt\":{},\"part\":{}}}\n",
            flow.host,
            40_000 + n,
            100 * n,
            flow.partition
        )
    };
    flows().enumerate().map(line).collect()
}

fn fill(topic: &str) -> String {
    format!(
        "CREATE TABLE rows ({COLUMNS}, part INT)
         WITH (connector = 'single_file', path = 'flows.jsonl', type = 'source', format = 'json');
         CREATE TABLE topic ({COLUMNS}, part INT)
         WITH (connector = 'kafka', bootstrap_servers = '{}', topic = '{topic}', type = 'sink', format = 'json', partition = 'part');
         INSERT INTO topic SELECT * FROM rows;",
        servers()
    )
}

fn pipeline(topic: &str) -> String {
    format!(
        "CREATE TABLE flows (
             {COLUMNS}, part TEXT METADATA FROM 'split', at BIGINT METADATA FROM 'offset', WATERMARK FOR te AS te
         ) WITH (connector = 'kafka', bootstrap_servers = '{}', topic = '{topic}', type = 'source', format = 'json', max_future = 'off');
         CREATE TABLE alerts (line TEXT) WITH (connector = 'single_file', path = 'alerts.jsonl', type = 'sink', format = 'raw_string');
         CREATE VIEW busy AS
         SELECT tumble(INTERVAL '1 minute') AS w, sa, da, count(*) AS n, sum(ibyt) AS b, offset_ranges(part, at) AS sources
         FROM flows GROUP BY w, sa, da;
         INSERT INTO alerts
         SELECT alert_ecs(named_struct(
             'id', alert_id(sa, da, w.start), 'rule', 'Busy', 'time', w.\"end\", 'window_start', w.start, 'window_end', w.\"end\",
             'src_ip', sa, 'dst_ip', da, 'dst_port', 3333, 'features', named_struct('flows', n, 'bytes', b), 'sources', sources))
         FROM busy;",
        servers()
    )
}

/// Independent of SQL: the sources and the number of flows, by host and minute.
fn expected(topic: &str) -> BTreeMap<(String, String), (Vec<String>, usize)> {
    let mut groups: BTreeMap<(usize, usize), Vec<Flow>> = BTreeMap::new();
    flows().for_each(|flow| groups.entry((flow.host, flow.minute)).or_default().push(flow));
    let of_group = |((host, minute), flows): ((usize, usize), Vec<Flow>)| {
        let range = |partition: usize| {
            let offsets = || flows.iter().filter(move |flow| flow.partition == partition).map(|flow| flow.offset);
            Some(format!("{topic}/{partition}@{}-{}", offsets().min()?, offsets().max()?))
        };
        let key = (format!("10.0.0.{host}"), format!("2026-01-01T00:{minute:02}:00"));
        (key, ((0..N_PARTITIONS).filter_map(range).collect(), flows.len()))
    };
    groups.into_iter().map(of_group).collect()
}

#[test]
fn each_alert_comes_out_of_its_own_messages_again() {
    let topic = make_topic("flows", N_PARTITIONS as i32);
    let folder = folder(&[("flows.jsonl", &lines()), ("fill.sql", &fill(&topic)), ("p.sql", &pipeline(&topic))]);
    let filled = davy(folder.path(), &["run", "fill.sql", "-q"]);
    assert_eq!(filled.status.code(), Some(0), "{}", text(&filled.stderr));
    let last = N_ROWS / N_PARTITIONS - 1;
    let all = format!("flows.source.ranges={topic}/0@0-{last}, {topic}/1@0-{last}");
    let run = davy(folder.path(), &["run", "p.sql", "-q", "--set", &all]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));

    let alerts = std::fs::read_to_string(folder.path().join("alerts.jsonl")).expect("alerts");
    let alerts: Vec<Value> = alerts.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut expected = expected(&topic);
    assert_eq!(alerts.len(), expected.len());
    for alert in &alerts {
        let start = alert["event"]["start"].as_str().expect("a start")[..19].to_owned();
        let key = (alert["source"]["ip"].as_str().expect("a host").to_owned(), start);
        let (sources, n_flows) = expected.remove(&key).unwrap_or_else(|| panic!("{key:?} comes once"));
        assert_eq!(alert["davy"]["sources"], serde_json::json!(sources), "{key:?}");
        std::fs::write(folder.path().join("alert.json"), alert.to_string()).expect("written");
        let output = davy(folder.path(), &["explain-alert", "alert.json", "-p", "p.sql", "-o", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(found["read"], serde_json::json!(sources));
        assert_eq!((&found["is_same"], &found["n_flows"]), (&true.into(), &n_flows.into()), "{key:?}");
    }

    let mut wrong = alerts[0].clone();
    wrong["davy"]["features"]["bytes"] = 1.into();
    std::fs::write(folder.path().join("wrong.json"), wrong.to_string()).expect("written");
    let output = davy(folder.path(), &["explain-alert", "wrong.json", "-p", "p.sql"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("ANOTHER ALERT COMES OUT. 1 of its fields differ") && said.contains("davy.features.bytes"),
        "{said}"
    );

    let beyond = format!("flows.source.ranges={topic}/0@0-{}", last + 1);
    let output = davy(folder.path(), &["run", "p.sql", "-q", "--set", &beyond]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains(&format!("`{topic}/0` ends before message {}", last + 1)),
        "{}",
        text(&output.stderr)
    );
}

/// Counts the flows of two topics together, of one partition each, and writes alerts into a third.
fn over_two(topics: &[String; 2], alerts: &str) -> String {
    let source = |name: &str, topic: &str| {
        format!(
            "CREATE TABLE {name} (
                 {COLUMNS}, part TEXT METADATA FROM 'split', at BIGINT METADATA FROM 'offset', WATERMARK FOR te AS te
             ) WITH (connector = 'kafka', bootstrap_servers = '{}', topic = '{topic}', type = 'source', format = 'json',
                     max_future = 'off', 'source.partitions' = '0');",
            servers()
        )
    };
    format!(
        "{}{}
         CREATE TABLE alerts (id TEXT, sa TEXT, da TEXT, window_start TIMESTAMP, window_end TIMESTAMP, n BIGINT, sources TEXT)
         WITH (connector = 'kafka', bootstrap_servers = '{}', topic = '{alerts}', type = 'sink', format = 'json');
         CREATE VIEW both AS SELECT te, sa, da, part, at FROM one UNION ALL SELECT te, sa, da, part, at FROM other;
         INSERT INTO alerts
         SELECT alert_id(sa, w.start), sa, '192.0.2.1', w.start, w.\"end\", n, array_to_string(sources, ',')
         FROM (SELECT tumble(INTERVAL '1 minute') AS w, sa, count(*) AS n, offset_ranges(part, at) AS sources FROM both GROUP BY w, sa);",
        source("one", &topics[0]),
        source("other", &topics[1]),
        servers()
    )
}

#[test]
fn an_alert_is_found_by_its_id_in_the_topic_and_of_topics_that_it_does_not_name_nothing_is_read() {
    let topics = [make_topic("one", N_PARTITIONS as i32), make_topic("other", N_PARTITIONS as i32)];
    let alerts = make_topic("alerts", 1);
    let script = over_two(&topics, &alerts);
    let folder = folder(&[("flows.jsonl", &lines()), ("fill.sql", &fill(&topics[0])), ("p.sql", &script)]);
    let filled = davy(folder.path(), &["run", "fill.sql", "-q"]);
    assert_eq!(filled.status.code(), Some(0), "{}", text(&filled.stderr));
    let last = N_ROWS / N_PARTITIONS - 1;
    let range = format!("one.source.ranges={}/0@0-{last}", topics[0]);
    let run = davy(folder.path(), &["run", "p.sql", "-q", "--set", &range, "--set", "other.source.ranges="]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));

    let output = davy(folder.path(), &["explain-alert", "no-such-id", "-p", "p.sql"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("there is no alert in the topics of `alerts` with an id that begins with `no-such-id`"),
        "{said}"
    );
    let output = davy(folder.path(), &["explain-alert", "", "-p", "p.sql"]);
    let said = text(&output.stderr);
    assert!(said.contains("alerts in the topics of `alerts`") && said.contains("give more of the id"), "{said}");

    // The first one of the first host, by what any other tool computes.
    let first = "CREATE TABLE alerts (id TEXT, sa TEXT) WITH (connector = 'kafka', bootstrap_servers = 'SERVERS', topic = 'TOPIC',
                 type = 'source', format = 'json', 'source.ranges' = 'TOPIC/0@0-0'); SELECT id FROM alerts;";
    let first = first.replace("SERVERS", servers()).replace("TOPIC", &alerts);
    std::fs::write(folder.path().join("first.sql"), first).expect("written");
    let read = davy(folder.path(), &["run", "first.sql", "-q", "-o", "json"]);
    let row: Value = serde_json::from_slice(&read.stdout).unwrap_or_else(|_| panic!("{}", text(&read.stderr)));
    let id = &row["id"].as_str().expect("an id")[..12];
    let output = davy(folder.path(), &["explain-alert", id, "-p", "p.sql", "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(found["alert"]["id"].as_str().is_some_and(|full| full.starts_with(id)), "{found}");
    assert_eq!((&found["is_same"], &found["n_flows"]), (&true.into(), &found["alert"]["n"]), "{found}");
}
