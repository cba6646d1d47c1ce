//! `davy explain-alert`: what it refuses, over files, and over a real broker.

mod kafka;

use serde_json::Value;

use crate::run::{davy, folder, text};

/// Counts flows of a file; the alert has no sources.
const OVER_A_FILE: &str = "
CREATE TABLE flows (te TIMESTAMP, sa TEXT, da TEXT, sp INT, dp INT, ibyt BIGINT, WATERMARK FOR te AS te)
WITH (connector = 'single_file', path = 'flows.jsonl', type = 'source', format = 'json');
SELECT alert_id(sa, da, w.start) AS id, sa, da, w.start AS window_start, w.\"end\" AS window_end, n, b
FROM (SELECT tumble(INTERVAL '1 minute') AS w, sa, da, count(*) AS n, sum(ibyt) AS b FROM flows GROUP BY w, sa, da);
";

fn flow(te: &str, sa: &str, bytes: u32) -> String {
    format!(
        "{{\"te\":\"2026-01-01T{te}Z\",\"sa\":\"{sa}\",\"da\":\"192.0.2.1\",\"sp\":40000,\"dp\":3333,\"ibyt\":{bytes}}}\n"
    )
}

#[test]
fn an_alert_of_a_file_comes_out_of_the_file_again() {
    let flows = [
        flow("00:00:01", "10.0.0.1", 5),
        flow("00:00:02", "10.0.0.2", 70),
        flow("00:00:03", "10.0.0.1", 8),
        flow("00:01:04", "10.0.0.1", 900),
    ];
    let folder = folder(&[("flows.jsonl", &flows.concat()), ("p.sql", OVER_A_FILE)]);
    let run = davy(folder.path(), &["run", "p.sql", "-q", "-o", "json"]);
    let alerts = text(&run.stdout);
    assert_eq!(alerts.lines().count(), 3, "{alerts}{}", text(&run.stderr));
    std::fs::write(folder.path().join("alerts.jsonl"), &alerts).expect("written");
    let wanted = alerts.lines().find(|line| line.contains("\"n\":2")).expect("two flows");
    let id = serde_json::from_str::<Value>(wanted).expect("JSON")["id"].as_str().expect("an id").to_owned();
    let explain = ["explain-alert", &id[..8], "--alerts", "alerts.jsonl", "-p", "p.sql"];
    let output = davy(folder.path(), &explain);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    assert!(said.contains("Read again: the whole input"), "{said}");
    assert!(said.contains("The same alert comes out: all 7 fields are equal."), "{said}");
    assert!(said.contains("Flows: 2\n"), "{said}");
    // The flow of the next minute and the one of the other host are none of it.
    assert!(!said.contains("900") && !said.contains("10.0.0.2"), "{said}");

    std::fs::write(folder.path().join("wrong.json"), wanted.replace("\"b\":13", "\"b\":14")).expect("written");
    let output = davy(folder.path(), &["explain-alert", "wrong.json", "-p", "p.sql", "-o", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found["is_same"], false);
    assert_eq!(found["differences"], serde_json::json!([{"field": "b", "alert": 14, "again": 13}]));
    assert_eq!((&found["n_flows"], &found["other_alerts"]), (&2.into(), &2.into()));

    std::fs::write(folder.path().join("gone.json"), wanted.replace(&id, "none")).expect("written");
    let output = davy(folder.path(), &["explain-alert", "gone.json", "-p", "p.sql"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("THE ALERT DOES NOT COME OUT. 3 others do"), "{}", text(&output.stdout));
}

#[test]
fn wrong_arguments_are_named_with_exit_code_2() {
    let over_kafka = OVER_A_FILE.replace(
        "connector = 'single_file', path = 'flows.jsonl'",
        "connector = 'kafka', bootstrap_servers = '127.0.0.1:1', topic = 'flows'",
    );
    let folder = folder(&[
        ("p.sql", OVER_A_FILE),
        ("flows.jsonl", &flow("00:00:01", "10.0.0.1", 5)),
        ("k.sql", &over_kafka),
        ("two.jsonl", "{\"id\": \"a1\"}\n{\"id\": \"a2\"}\n"),
        ("none.json", "{\"id\": \"a1\"}"),
        ("text.json", "alert!"),
        ("bad.json", "{\"id\": \"a1\", \"sources\": \"flows/0\"}"),
        ("other.json", "{\"id\": \"a1\", \"sources\": [\"other/0@1-2\"]}"),
    ]);
    let cases: [(&[&str], &str); 10] = [
        (&["a1", "-p", "p.sql"], "there is no file `a1`, and the pipeline writes no topic with alerts"),
        (&["none.json", "-p", "p.sql", "-o", "csv"], "an explanation is no table of rows"),
        (&["two.jsonl", "-p", "p.sql"], "there are 2 alerts in `two.jsonl`"),
        (
            &["a", "--alerts", "two.jsonl", "-p", "p.sql"],
            "there are 2 alerts in `two.jsonl` with an id that begins with `a`",
        ),
        (&["b", "--alerts", "two.jsonl", "-p", "p.sql"], "there is no alert in `two.jsonl` with an id"),
        (&["text.json", "-p", "p.sql"], "`text.json`: value 1 is no JSON"),
        (&["bad.json", "-p", "p.sql"], "the alert's source `flows/0` is no range of offsets"),
        (&["none.json", "-p", "k.sql"], "the alert does not say which messages it is from"),
        (&["other.json", "-p", "k.sql"], "the alert is from other/0@1-2, which the pipeline does not read"),
        (&["none.json"], "--pipeline <SCRIPT>"),
    ];
    for (arguments, expected) in cases {
        let output = davy(folder.path(), &[&["explain-alert"], arguments].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?} should say {expected}: {said}");
    }
}
