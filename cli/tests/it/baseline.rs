//! `davy baseline` as in docs/spyderbat.md: learn, show, change, and what is refused.

use std::path::Path;

use crate::run::{davy, folder, repository, text};

/// A flow of nfdump's CSV with the columns that matter.
fn flow(minute: u32, from: &str, to: &str, protocol: &str) -> String {
    let split = |side: &str| {
        side.rsplit_once(' ').map(|(address, port)| (address.to_owned(), port.to_owned())).expect("address and port")
    };
    let ((sa, sp), (da, dp)) = (split(from), split(to));
    let time = format!("2026-11-21 10:{minute:02}:00");
    format!("{time},{time},0.000,{sa},{da},{sp},{dp},{protocol},...AP...,0,0,10,1000,0,0,{}", ["0"; 33].join(","))
}

/// Flows of a notebook server: people read it, and it installs packages.
fn normal_use() -> Vec<String> {
    (0..10)
        .flat_map(|minute| {
            [
                flow(minute, "10.77.1.5 40000", "10.77.1.21 8888", "TCP"),
                flow(minute, "10.77.1.21 8888", "10.77.1.5 40000", "TCP"),
                flow(minute, "10.77.1.21 50000", "10.77.2.15 53", "UDP"),
                flow(minute, "10.77.1.21 50001", &format!("198.51.100.{minute} 443"), "TCP"),
            ]
        })
        .collect()
}

fn write(folder: &Path, name: &str, flows: &[String]) {
    std::fs::write(folder.join(name), flows.join("\n") + "\n").expect("written");
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = davy(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn what_is_learned_is_a_file_that_commands_and_people_change() {
    let folder = folder(&[]);
    let root = folder.path();
    write(root, "normal.csv", &normal_use());
    let learn = ["baseline", "learn", "--input", "normal.csv", "--out", "baseline.yaml", "--peers-max", "5"];
    done(root, &learn);
    let expected = "version: 1\nmode: audit\nlearned: {from: \"2026-11-21T10:00:00\", to: \"2026-11-21T10:09:00\"}\nhosts:\n  \
                    \"10.77.1.21\":\n    connections:\n      \
                    - {direction: in, protocol: \"TCP\", peer: \"10.77.1.5\", port: 8888}\n      \
                    - {direction: out, protocol: \"TCP\", peer: \"any\", port: 443}\n      \
                    - {direction: out, protocol: \"UDP\", peer: \"10.77.2.15\", port: 53}\n  \
                    \"10.77.1.5\":\n    connections:\n      - {direction: out, protocol: \"TCP\", peer: \"10.77.1.21\", port: 8888}\n  \
                    \"10.77.2.15\":\n    connections:\n      - {direction: in, protocol: \"UDP\", peer: \"10.77.1.21\", port: 53}\n";
    let learned = || std::fs::read_to_string(root.join("baseline.yaml")).expect("a baseline");
    assert_eq!(learned(), expected);
    let again = davy(root, &learn);
    assert!(text(&again.stderr).contains("`baseline.yaml` exists"), "{}", text(&again.stderr));
    assert_eq!(again.status.code(), Some(2));

    let shown = done(root, &["baseline", "show", "baseline.yaml", "--host", "10.77.1.5", "-o", "csv"]);
    assert_eq!(shown, "host,direction,protocol,peer,port,mode\n10.77.1.5,out,TCP,10.77.1.21,8888,audit\n");
    std::fs::copy(root.join("baseline.yaml"), root.join("old.yaml")).expect("copied");
    let deviation =
        r#"{"host": "10.77.1.21", "direction": "out", "protocol": "TCP", "peer": "10.77.2.9", "port": 22, "flows": 3}"#;
    std::fs::write(root.join("deviations.jsonl"), deviation).expect("written");
    done(root, &["baseline", "merge", "baseline.yaml", "--deviations", "deviations.jsonl"]);
    done(root, &["baseline", "enforce", "baseline.yaml", "--host", "10.77.1.21"]);
    let suppress =
        ["baseline", "suppress", "baseline.yaml", "--host", "10.77.1.21", "--port", "3333", "--reason", "a \"test\""];
    done(root, &[&suppress[..], &["--expires", "2026-12-01T00:00:00"]].concat());
    let differ = davy(root, &["baseline", "diff", "old.yaml", "baseline.yaml", "-o", "csv"]);
    assert_eq!(differ.status.code(), Some(1));
    assert_eq!(
        text(&differ.stdout),
        "host,direction,protocol,peer,port,only_in\n10.77.1.21,out,TCP,10.77.2.9,22,second\n"
    );
    assert!(learned().contains("mode: enforce") && learned().contains("a \\\"test\\\""), "{}", learned());
    done(root, &["baseline", "diff", "baseline.yaml", "baseline.yaml"]);
}

#[test]
fn mistakes_are_named_with_exit_code_2() {
    let folder = folder(&[("bad.yaml", "version: 1\nmode: loud\n"), ("good.yaml", "version: 1\nmode: audit\n")]);
    write(folder.path(), "public.csv", &[flow(0, "198.51.100.1 40000", "198.51.100.2 443", "TCP")]);
    let suppress = ["baseline", "suppress", "good.yaml", "--host", "10.0.0.1", "--reason", "r", "--expires"];
    let cases: [(Vec<&str>, &str); 7] = [
        (vec!["baseline", "show", "none.yaml"], "baseline `none.yaml`"),
        (vec!["baseline", "show", "bad.yaml"], "loud"),
        (vec!["baseline", "enforce", "good.yaml", "--host", "10.0.0.1"], "no host `10.0.0.1`"),
        (vec!["baseline", "merge", "good.yaml"], "<OTHER>"),
        ([&suppress[..], &["soon"]].concat(), "`soon` is no time"),
        (vec!["baseline", "learn", "--input", "public.csv", "--out", "b.yaml"], "the flows have no host to learn"),
        (vec!["baseline", "learn", "--input", "public.csv", "--out", "b.yaml", "--hosts", "10.0.0.1"], "is no network"),
    ];
    for (arguments, expected) in cases {
        let output = davy(folder.path(), &arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?} should say {expected}: {said}");
    }
}

/// The rows of pipelines/baseline.sql over flows, with the lists of the baseline: `severity deviation host direction peer:port flows`.
fn deviations(root: &Path, flows: &str) -> Vec<String> {
    done(root, &["baseline", "export", "baseline.yaml", "--out", "pipelines/baseline"]);
    let script = repository().join("pipelines/baseline.sql");
    let rows = done(root, &["run", &script.to_string_lossy(), "--input", flows, "-o", "json"]);
    std::fs::write(root.join("deviations.jsonl"), &rows).expect("written");
    let shown = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let of = |name: &str| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned);
        let [severity, deviation, host, direction] = ["severity", "deviation", "host", "direction"].map(of);
        format!("{severity} {deviation}: {host} {direction} {}:{} {}", of("peer"), of("port"), of("flows"))
    };
    let mut rows: Vec<String> = rows.lines().map(shown).collect();
    rows.sort();
    rows
}

#[test]
fn the_story_of_a_policy_from_learning_to_an_attack() {
    let folder = folder(&[]);
    let root = folder.path();
    write(root, "normal.csv", &normal_use());
    done(root, &["baseline", "learn", "--input", "normal.csv", "--out", "baseline.yaml", "--peers-max", "5"]);
    assert_eq!(deviations(root, "normal.csv"), [""; 0], "what was learned is normal");

    // In audit mode something new is recorded, from both of its sides; it is normal after all.
    let update =
        [flow(20, "10.77.1.21 50002", "10.77.2.15 80", "TCP"), flow(20, "10.77.2.15 80", "10.77.1.21 50002", "TCP")];
    write(root, "update.csv", &update);
    let recorded = [
        "record new connection: 10.77.1.21 out 10.77.2.15:80 2",
        "record new connection: 10.77.2.15 in 10.77.1.21:80 2",
    ];
    assert_eq!(deviations(root, "update.csv"), recorded);
    done(root, &["baseline", "merge", "baseline.yaml", "--deviations", "deviations.jsonl"]);
    assert_eq!(deviations(root, "update.csv"), [""; 0]);

    // Enforced; then a miner appears among the normal flows, and a host that nothing is known of.
    done(root, &["baseline", "enforce", "baseline.yaml"]);
    let mut attack = normal_use();
    attack.extend((30..33).map(|minute| flow(minute, "10.77.1.21 50003", "203.0.113.7 3333", "TCP")));
    attack.push(flow(31, "192.168.7.7 50004", "203.0.113.7 3333", "TCP"));
    attack.push(flow(31, "203.0.113.8 50004", "203.0.113.7 3333", "TCP"));
    write(root, "attack.csv", &attack);
    let miner = "alert new connection: 10.77.1.21 out 203.0.113.7:3333 1";
    let stranger = "alert new host: 192.168.7.7 out 203.0.113.7:3333 1";
    assert_eq!(deviations(root, "attack.csv"), [miner, miner, miner, stranger]);

    // Tolerated until it expires, by the time of the flows.
    let suppress =
        ["baseline", "suppress", "baseline.yaml", "--host", "10.77.1.21", "--port", "3333", "--reason", "a load test"];
    done(root, &[&suppress[..], &["--expires", "2026-11-21T10:32:00"]].concat());
    assert_eq!(deviations(root, "attack.csv"), [miner, stranger]);

    done(root, &["baseline", "disable", "baseline.yaml"]);
    assert_eq!(deviations(root, "attack.csv"), [""; 0]);
}

#[test]
fn both_scripts_see_the_same_connections() {
    let part = |name: &str| {
        let script = std::fs::read_to_string(repository().join("pipelines").join(name)).expect("a script");
        let from = script.find("-- Begin of the connections.").expect("the connections begin");
        let to = script.find("-- End of the connections.").expect("they end");
        script[from..to].to_owned()
    };
    assert_eq!(part("baseline.sql"), part("baseline_learn.sql"));
}
