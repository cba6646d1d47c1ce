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
