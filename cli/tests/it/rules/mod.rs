//! `davy rules import`: what becomes of Falco's rules, what is reported, and what is refused.

mod random;

use std::path::Path;
use std::process::Output;

use crate::run::{davy, folder, text};

/// Lines of nfdump's CSV: time, source and destination with their ports, the protocol.
pub(super) fn flow(line: &str) -> String {
    let cells: Vec<&str> = line.split_whitespace().collect();
    let [time, sa, sp, da, dp, pr] = cells.as_slice() else { panic!("{line}") };
    let mut columns = vec!["0"; 48];
    let at = format!("2024-05-01 {time}");
    for (index, value) in
        [(0, at.as_str()), (1, &at), (3, sa), (4, da), (5, sp), (6, dp), (7, pr), (11, "1"), (12, "10")]
    {
        columns[index] = value;
    }
    columns.join(",") + "\n"
}

fn import(folder: &Path, more: &[&str]) -> Output {
    davy(folder, &[&["rules", "import", "rules.yaml", "--out", "out"], more].concat())
}

/// The rows of a script as JSON.
pub(super) fn rows(folder: &Path) -> Vec<serde_json::Value> {
    let run = davy(folder, &["run", "out/rules.sql", "--input", "flows.csv", "-o", "json", "--quiet"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    text(&run.stdout).lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
}

#[test]
fn rules_in_helm_values_with_wrong_indentation_run_over_flows() {
    let flows = [
        "10:00:01 10.0.0.5 40000 203.0.113.9 443 TCP",
        "10:00:02 10.0.0.5 40000 203.0.113.9 3333 TCP",
        "10:00:03 10.0.0.5 40000 203.0.113.10 3333 TCP",
        "10:00:04 203.0.113.9 14433 10.0.0.6 40000 TCP",
        "10:00:05 10.0.0.5 40000 10.0.0.9 3333 TCP",
        "10:00:06 127.0.0.1 40000 203.0.113.9 443 TCP",
        "10:00:07 10.0.0.5 40000 198.51.100.1 6666 TCP",
        "10:00:08 10.0.0.5 40000 198.51.100.1 6666 UDP",
        "10:00:09 10.0.0.5 40000 203.0.113.11 443 TCP",
    ];
    let flows: String = flows.map(flow).concat();
    let folder = folder(&[("rules.yaml", include_str!("files/values.yaml")), ("flows.csv", &flows)]);
    let refused = import(folder.path(), &[]);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(
        said.contains(
            "rules.yaml:39: error: rule `Connections to mining pools` cannot be imported: a flow does not know \
                           `container.image.repository in (falco_containers)`; with --allow-wider"
        ),
        "{said}"
    );
    assert!(said.contains("1 rules are in out/rules.sql; 1 could not be imported"), "{said}");

    let imported = import(folder.path(), &["--allow-wider"]);
    let said = text(&imported.stderr);
    assert!(imported.status.success(), "{said}");
    for line in [
        "rules.yaml:15: note: the item is indented by 5 blanks, the first one by 4; it is read as if they were aligned",
        "rules.yaml:45: note: the line is indented like a field; it is read as the continuation of the line before",
        "rules.yaml:42: note: rule `Connections to mining pools`: `evt.dir = <` is true of every flow: a flow is a connection that \
         a client makes",
        "rules.yaml:42: warning: rule `Connections to mining pools`: `container.image.repository in (falco_containers)` is left \
         out, since a flow does not know `container.image.repository`: the rule is wider",
        "rules.yaml:39: note: rule `Connections to mining pools`: `%proc.cmdline` of its output is `<NA>`",
        "miner_domains_names has names: resolve them now and then with davy ioc resolve out/miner_domains_names.txt --out \
         out/miner_domains_names.csv",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    let read = |name: &str| std::fs::read_to_string(folder.path().join("out").join(name)).expect(name);
    assert_eq!(read("miner_ports.csv"), "port\n3333\n4444\n14433\n");
    assert_eq!(read("miner_domains_names.txt"), "pool.example\neu.pool.example\n");
    assert_eq!(read("rfc_1918_addresses_networks.csv"), "network\n10.0.0.0/8\n172.16.0.0/12\n192.168.0.0/16\n");

    let resolved = "address,name,expires\n203.0.113.9,pool.example,2024-05-02T00:00:00Z\n\
                    203.0.113.11,eu.pool.example,2024-04-30T00:00:00Z\n";
    for name in ["miner_domains_names.csv", "https_miner_domains_names.csv"] {
        std::fs::write(folder.path().join("out").join(name), resolved).expect("written");
    }
    // A second import keeps what was resolved.
    assert!(import(folder.path(), &["--allow-wider"]).status.success());
    let mut found: Vec<String> = rows(folder.path()).iter().map(alert).collect();
    found.sort();
    let pool = "Connections to mining pools|Critical|critical|network,mitre_execution,T1496|Connection to a pool (command=<NA> ";
    assert_eq!(
        found,
        [
            format!("10:00:01|{pool}port=443 ip=203.0.113.9 from 10.0.0.5)"),
            format!("10:00:02|{pool}port=3333 ip=203.0.113.9 from 10.0.0.5)"),
            format!("10:00:04|{pool}port=14433 ip=203.0.113.9 from 10.0.0.6)"),
            "10:00:07|Connections to a port|Warning|medium||Port 6666".to_owned(),
        ]
    );
}

fn alert(row: &serde_json::Value) -> String {
    let cell = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let time = cell("te");
    [&time[11..19], &cell("rule"), &cell("priority"), &cell("severity"), &cell("tags"), &cell("output")].join("|")
}

/// Rules in YAML, with these conditions.
fn rules(conditions: &[&str]) -> String {
    let rule = |(number, condition): (usize, &&str)| {
        format!("- rule: r{number}\n  condition: {condition}\n  output: x\n  priority: INFO\n")
    };
    conditions.iter().enumerate().map(rule).collect()
}

#[test]
fn what_cannot_be_translated_is_refused_and_named() {
    let cases = [
        ("proc.name = xmrig", "nothing of the condition is left that a flow could be compared with"),
        (
            "fd.sport = 1 or proc.name = xmrig",
            "`proc.name = xmrig` is not known of a flow, and stands under `or` or `not` beside",
        ),
        ("not (fd.sport = 1 and proc.name = xmrig)", "stands under `or` or `not` beside what is known"),
        ("evt.type = execve and fd.sport = 1", "the condition is true of no flow"),
        ("fd.sport = 1 and not evt.type in (connect)", "the condition is true of no flow"),
        ("fd.sport = http", "`fd.sport = http`: `http` is no port, and no list of the file"),
        ("fd.sport in (no_such_list)", "`no_such_list` is no port, and no list of the file"),
        ("fd.sport = 65536", "`65536` is no port"),
        ("fd.snet = 10.0.0.1/8", "`10.0.0.1/8` has bits beyond its prefix; write 10.0.0.0/8"),
        ("fd.sip.name contains pool", "the operator `contains` is not translated for names"),
        ("fd.sport = 1 and", "the condition (line 2) at character 17: expected a field"),
        (
            "fd.sport = 1 ) and x",
            "the condition (line 2) at character 14, before `) and x`: expected `and`, `or` or the end",
        ),
        (
            "outbound and fd.sport = 1",
            "the macro `outbound` is not in the file; add its definition from Falco's own rules",
        ),
    ];
    for (condition, why) in cases {
        let folder = folder(&[("rules.yaml", &rules(&[condition]))]);
        let imported = import(folder.path(), &["--allow-wider"]);
        let said = text(&imported.stderr);
        assert_eq!(imported.status.code(), Some(2), "{condition}: {said}");
        assert!(said.contains(why), "{condition}: {said}");
        assert!(!folder.path().join("out").exists(), "{condition}");
    }
}

#[test]
fn a_rule_with_exceptions_is_wider_without_them_and_says_so() {
    let rule = rules(&["fd.sport = 3333"])
        + "  exceptions:\n    - name: known\n      fields: [fd.sip]\n      values: [[\"10.0.0.1\"]]\n";
    let folder = folder(&[("rules.yaml", &rule)]);
    let refused = import(folder.path(), &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("its `exceptions` are not imported"), "{}", text(&refused.stderr));
    let wider = import(folder.path(), &["--allow-wider"]);
    assert!(wider.status.success(), "{}", text(&wider.stderr));
    let warned = "rules.yaml:5: warning: rule `r0`: its `exceptions` are left out: the rule is wider";
    assert!(text(&wider.stderr).contains(warned), "{}", text(&wider.stderr));
}

#[test]
fn a_file_that_is_no_rules_is_refused_with_its_line() {
    let cases = [
        ("", "the file has no `- list:`, `- macro:` or `- rule:`"),
        ("a: 1\n", "the file has no `- list:`, `- macro:` or `- rule:`"),
        ("- list: a\n  items: [1, 2\n- list: b\n  items: []\n", "line 1: the item is not valid YAML"),
        ("- list: a\n  items: []\n- macro: m\n", "line 3: the macro `m` has no condition"),
        ("\n- rule: r\n  enabled: false\n", "line 2: the rule `r` has no condition"),
        ("- macro: m\n  condition: m\n- rule: r\n  condition: m\n  output: x\n", "the macro `m` contains itself"),
    ];
    for (content, why) in cases {
        let folder = folder(&[("rules.yaml", content)]);
        let imported = import(folder.path(), &[]);
        let said = text(&imported.stderr);
        assert_eq!(imported.status.code(), Some(2), "{content}: {said}");
        assert!(said.contains(why), "{content}: {said}");
    }
    let folder = folder(&[]);
    let said = text(&import(folder.path(), &[]).stderr);
    assert!(said.contains("rules `rules.yaml` cannot be read"), "{said}");
}

#[test]
fn later_items_extend_and_replace_earlier_ones() {
    let content = "\
- required_engine_version: 0.26.0
- list: ports
  items: [1]
- list: more
  items: [ports, 3, '3']
- list: ports
  append: true
  items: [2]
- macro: m
  condition: fd.sport in (more)
- macro: m
  condition: or fd.sport = 9
  override:
    condition: append
- rule: first
  condition: fd.sport = 7
  output: first
  tags: [a]
- rule: first
  condition: m
  output: second
  tags: [b]
- rule: off
  condition: fd.sport = 5
  output: off
- rule: off
  enabled: off
- rule: wide
  condition: fd.sport = 100
  output: wide
- rule: wide
  append: true
  condition: or fd.sport = 101
";
    let flows: String =
        (1..=9).chain([100, 101]).map(|port| flow(&format!("10:00:00 10.0.0.1 40000 10.0.0.2 {port} TCP"))).collect();
    let folder = folder(&[("rules.yaml", content), ("flows.csv", &flows)]);
    let imported = import(folder.path(), &[]);
    let said = text(&imported.stderr);
    assert!(imported.status.success(), "{said}");
    assert!(said.contains("rules.yaml:23: note: rule `off` is not enabled, and left out"), "{said}");
    let list = std::fs::read_to_string(folder.path().join("out/more_ports.csv")).expect("a list");
    assert_eq!(list, "port\n1\n2\n3\n");
    let mut found: Vec<String> = rows(folder.path())
        .iter()
        .map(|row| format!("{} {} {}", row["output"].as_str().unwrap_or_default(), row["tags"], row["server_port"]))
        .collect();
    found.sort();
    assert_eq!(
        found,
        ["second \"b\" 1", "second \"b\" 2", "second \"b\" 3", "second \"b\" 9", "wide \"\" 100", "wide \"\" 101",]
    );
}

#[test]
fn text_of_a_rule_never_becomes_sql() {
    let content = "- rule: \"a'; DROP TABLE flows; --\\n SELECT 1;\"\n  desc: \"x\\n SELECT 2;\"\n  condition: fd.sport = 1\n  output: \"it's '%fd.rport'\"\n  tags: [\"'\"]\n";
    let folder = folder(&[("rules.yaml", content), ("flows.csv", &flow("10:00:00 10.0.0.1 2 10.0.0.2 1 TCP"))]);
    let imported = import(folder.path(), &[]);
    assert!(imported.status.success(), "{}", text(&imported.stderr));
    let rows = rows(folder.path());
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["rule"], "a'; DROP TABLE flows; --\n SELECT 1;");
    assert_eq!(rows[0]["output"], "it's '1'");
}
