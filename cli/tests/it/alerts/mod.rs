//! Alerts and what they are made of, against other implementations: `make setup` installs these.

mod http;
mod sandbox;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::run::{ANONYMIZE_KEY as KEY, davy, folder, repository, text};

/// What another implementation makes of these lines.
fn oracle(arguments: &[&str], lines: &[String]) -> Vec<String> {
    let python = std::env::home_dir().expect("a home").join(".cache/davy/alerts/bin/python3");
    assert!(python.exists(), "{} is not there; run: make setup", python.display());
    let mut command = Command::new(python);
    command.arg(repository().join("cli/tests/it/alerts/oracle.py")).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python starts");
    let mut input = child.stdin.take().expect("piped");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all((lines.join("\n") + "\n").as_bytes()).expect("Python reads"));
        child.wait_with_output().expect("Python ends")
    });
    assert!(output.status.success(), "{arguments:?}");
    let made: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(made.len(), lines.len(), "{arguments:?}");
    made
}

/// The rows of a script as JSON.
fn rows(folder: &Path, script: &str) -> Vec<Value> {
    let output = davy(folder, &["run", script, "-o", "json", "--quiet"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn address(&mut self, is_v6: bool) -> String {
        if is_v6 {
            let bits = u128::from(self.below(u64::MAX)) << 64 | u128::from(self.below(u64::MAX));
            return std::net::Ipv6Addr::from_bits(bits >> self.below(64)).to_string();
        }
        // Few networks, so that addresses share prefixes.
        format!("10.{}.{}.{}", self.below(2), self.below(4), self.below(256))
    }
}

#[expect(clippy::print_stdout, reason = "the test harness shows it with the test")]
fn seed() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a seed to play again")]
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or(0x9e37_79b9_7f4a_7c15);
    println!("SEED={seed}");
    seed
}

#[test]
fn other_implementations_have_the_same_ids_and_addresses() {
    let mut random = Random(seed());
    let protocols = [1, 6, 17, 47, 58, 132];
    let flows: Vec<[String; 6]> = (0..2_000)
        .map(|_| {
            let is_v6 = random.below(2) == 0;
            let protocol = protocols[random.below(6) as usize];
            let is_icmp = matches!(protocol, 1 | 58);
            let sp = if is_icmp { 0 } else { random.below(65_536) };
            [
                random.address(is_v6),
                random.address(is_v6),
                sp.to_string(),
                random.below(65_536).to_string(),
                protocol.to_string(),
                random.below(3).to_string(),
            ]
        })
        .collect();
    let lines: Vec<String> = flows.iter().map(|flow| flow.join(",")).collect();
    let script = "CREATE TABLE flows (sa TEXT, da TEXT, sp INT, dp INT, pr TEXT, seed INT)
        WITH (connector = 'single_file', path = 'flows.csv', type = 'source', format = 'csv');
        SET anonymize_key = '${file:key}';
        SELECT sa, da, sp, dp, pr, seed, community_id(sa, da, sp, dp, pr, seed) AS community_id,
            anonymize_ip(sa) AS anonymous, alert_id('p', sa, dp, nullif(pr, '6')) AS id FROM flows;";
    let folder = folder(&[("s.sql", script), ("flows.csv", &(lines.join("\n") + "\n")), ("key", &format!("{KEY}\n"))]);
    let made = rows(folder.path(), "s.sql");
    assert_eq!(made.len(), flows.len());
    let column = |name: &str| made.iter().map(|row| row[name].as_str().expect(name).to_owned()).collect::<Vec<_>>();
    // Rows keep their order, as one split is read.
    assert_eq!(column("sa"), flows.iter().map(|flow| flow[0].clone()).collect::<Vec<_>>());
    assert_eq!(column("community_id"), oracle(&["community_id"], &lines));
    assert_eq!(column("anonymous"), oracle(&["anonymize", KEY], &column("sa")));
    let values = |[sa, _, _, dp, pr, _]: &[String; 6]| {
        let pr = (pr != "6").then_some(pr);
        json!(["p", sa, dp, pr]).to_string()
    };
    assert_eq!(column("id"), oracle(&["alert_id"], &flows.iter().map(values).collect::<Vec<_>>()));
}

#[test]
fn a_key_is_in_nothing_that_is_printed() {
    let script = "CREATE TABLE flows (sa TEXT)
        WITH (connector = 'single_file', path = 'flows.csv', type = 'source', format = 'csv');
        SET anonymize_key = '${file:key}';
        SELECT anonymize_ip(sa) AS sa FROM flows;";
    let bad = script.replace("${file:key}", "${file:short}");
    let short = &KEY[1..];
    let folder =
        folder(&[("s.sql", script), ("bad.sql", &bad), ("flows.csv", "10.0.0.1\n"), ("key", KEY), ("short", short)]);
    let literal = format!("anonymize_key={KEY}");
    let cases: [(&[&str], i32, &str); 5] = [
        (&["run", "s.sql"], 0, ""),
        (&["explain", "s.sql"], 0, "anonymize_ip"),
        (&["validate", "bad.sql"], 2, "what `${file:short}` refers to is no key"),
        (&["validate", "s.sql", "--set", "anonymize_key=${file:absent}"], 2, "file `absent` does not exist"),
        (&["validate", "s.sql", "--set", &literal], 2, "`anonymize_key` does not say where its key is"),
    ];
    for (arguments, code, expected) in cases {
        let output = davy(folder.path(), arguments);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(!said.contains(short), "{arguments:?}: {said}");
    }
}

/// Verdicts with everything that an alert may say, with nothing that it may leave out, and with addresses of IPv6.
fn alerts(format: &str) -> Vec<String> {
    let script = format!(
        "CREATE TABLE verdicts (te TIMESTAMP, client TEXT, server TEXT, port INT, score DOUBLE, level TEXT, model TEXT)
        WITH (connector = 'single_file', path = 'verdicts.csv', type = 'source', format = 'csv');
        CREATE TABLE out (line TEXT) WITH (connector = 'single_file', path = 'out', type = 'sink', format = 'raw_string');
        INSERT INTO out SELECT {format}(named_struct(
            'id', alert_id('miners', client, server, port, te), 'rule', 'Mining at a pool', 'time', te,
            'window_start', te - INTERVAL '15 minutes', 'window_end', te,
            'src_ip', client, 'dst_ip', server, 'dst_port', port, 'protocol', 'TCP',
            'community_id', community_id(client, server, 50000, port, 'TCP'),
            'confidence', score, 'level', level, 'rule_score', 7.5, 'model', model, 'model_version', '1.0.0',
            'model_sha256', 'abc', 'features', named_struct('flows', 12, 'steady_share', 0.5),
            'sources', make_array('flows/0@1-9'), 'tags', 'a=b,c', 'hostname', 'probe', 'tenant', 'blue',
            'message', concat('mining = ', level)
        )) FROM verdicts;"
    );
    let verdicts = "2026-01-31 12:15:00.5,10.0.0.7,198.51.100.9,3333,0.97,critical,forest
2026-01-31 12:15:00,2001:db8::7,2001:db8::9,443,0.5,low,
2026-01-31 12:15:00,,,,,,\n";
    let folder = folder(&[("s.sql", &script), ("verdicts.csv", verdicts)]);
    let output = davy(folder.path(), &["run", "s.sql"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let written = std::fs::read_to_string(folder.path().join("out")).expect("alerts");
    written.lines().map(str::to_owned).collect()
}

#[test]
fn alerts_of_ocsf_are_detection_findings_of_the_schema() {
    let alerts = alerts("alert_ocsf");
    assert_eq!(oracle(&["ocsf"], &alerts), ["ok", "ok", "ok"], "{alerts:#?}");
    let broken = alerts[0].replace("\"class_uid\"", "\"class\"").replace("\"title\"", "\"titel\"");
    assert_ne!(oracle(&["ocsf"], &[broken]), ["ok"], "the check finds what is wrong");
}

#[test]
fn alerts_of_cef_are_read_by_another_parser() {
    let read: Vec<Value> =
        oracle(&["cef"], &alerts("alert_cef")).iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let cases = [
        (0, "DeviceVendor", json!("Davy")),
        (0, "Name", json!("Mining at a pool")),
        (0, "Severity", json!("10")),
        (0, "src", json!("10.0.0.7")),
        (0, "dpt", json!("3333")),
        (0, "rt", json!("1769861700500")),
        (0, "msg", json!("mining \\= critical")),
        (0, "Confidence percent", json!("97")),
        (0, "Model", json!("forest 1.0.0")),
        (0, "Tags", json!("a\\=b, c")),
        (1, "Source IPv6 Address", json!("2001:db8::7")),
        (1, "src", Value::Null),
        (1, "Severity", json!("3")),
        (2, "Severity", json!("Unknown")),
    ];
    for (alert, field, expected) in cases {
        assert_eq!(read[alert][field], expected, "{alert} {field}: {}", read[alert]);
    }
}

/// Field names of the Elastic Common Schema 8 that alerts use, by its published list; `davy` is a namespace of its own.
const ECS: [&str; 40] = [
    "@timestamp",
    "destination.address",
    "destination.ip",
    "destination.port",
    "ecs.version",
    "event.category",
    "event.dataset",
    "event.end",
    "event.id",
    "event.kind",
    "event.module",
    "event.provider",
    "event.risk_score",
    "event.severity",
    "event.start",
    "event.type",
    "event.url",
    "host.name",
    "message",
    "network.bytes",
    "network.community_id",
    "network.packets",
    "network.transport",
    "observer.product",
    "observer.type",
    "observer.vendor",
    "observer.version",
    "organization.id",
    "rule.name",
    "source.address",
    "source.ip",
    "source.port",
    "tags",
    "threat.framework",
    "threat.tactic.id",
    "threat.tactic.name",
    "threat.technique.id",
    "threat.technique.name",
    "threat.technique.subtechnique.id",
    "threat.technique.subtechnique.name",
];

fn names(value: &Value, path: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                names(value, &path, into);
            }
        }
        _ => into.push(path.to_owned()),
    }
}

#[test]
fn alerts_of_ecs_have_fields_of_the_schema() {
    for alert in alerts("alert_ecs") {
        let mut found = Vec::new();
        names(&serde_json::from_str(&alert).expect("JSON"), "", &mut found);
        found.retain(|name| !name.starts_with("davy.") && !ECS.contains(&name.as_str()));
        assert_eq!(found, [""; 0], "{alert}");
    }
}
