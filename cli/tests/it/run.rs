//! The binary as a person uses it: exit codes, output, errors, settings, and the demo's own capture.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) fn davy(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
    for name in ["DAVY_OUTPUT", "DAVY_TASKS", "DAVY_CONFIG", "DAVY_COMMIT_INTERVAL", "DAVY_PLUGIN_DIRS"] {
        command.env_remove(name);
    }
    command.env("DAVY_ANONYMIZE_KEY", ANONYMIZE_KEY);
    command.current_dir(folder).args(arguments).output().expect("the binary starts")
}

/// The key of Crypto-PAn's published sample.
pub(crate) const ANONYMIZE_KEY: &str = "1522178d33a4cf80130a5b1649907d10d8988f837979652762574c2d2a842202";

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

const SCRIPT: &str = "CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'single_file', path = 'flows.csv', type = 'source', format = 'csv');
SELECT k, tumble(INTERVAL '1 minute') AS w, sum(v) AS total FROM flows GROUP BY k, w;";

pub(crate) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect("written");
    }
    folder
}

const FLOWS: &str = "2024-05-01 10:00:01,a,1\n2024-05-01 10:00:02,b,2\n2024-05-01 10:00:59,a,3\nbroken\n";

#[test]
fn rows_are_printed_in_the_requested_format() {
    let folder = folder(&[("s.sql", SCRIPT), ("flows.csv", FLOWS)]);
    let json = davy(folder.path(), &["run", "s.sql", "-o", "json"]);
    assert!(json.status.success(), "{}", text(&json.stderr));
    let mut lines: Vec<serde_json::Value> =
        text(&json.stdout).lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect();
    lines.sort_by_key(|line| line["k"].to_string());
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["k"], &lines[0]["total"]), (&"a".into(), &4.into()));
    let said = text(&json.stderr);
    assert!(said.contains("3 flows read, 1 windows closed, 2 rows out"), "{said}");
    assert!(said.contains("1 bad records (too_short)"), "{said}");

    let csv = text(&davy(folder.path(), &["run", "s.sql", "-o", "csv", "--quiet"]).stdout);
    assert!(csv.starts_with("k,w,total\n") && csv.lines().count() == 3, "{csv}");
    let table = text(&davy(folder.path(), &["run", "s.sql"]).stdout);
    assert!(table.contains("total") && !table.contains('\u{1b}'), "no colours in a pipe: {table}");
}

#[test]
fn an_error_shows_where_it_is_and_sets_the_exit_code() {
    let folder = folder(&[
        ("s.sql", SCRIPT),
        ("column.sql", &SCRIPT.replace("sum(v)", "sum(volume)")),
        ("option.sql", &SCRIPT.replace("type =", "tpye =")),
        ("fail.sql", &SCRIPT.replace("format = 'csv'", "format = 'csv', bad_record = 'fail'")),
        ("division.sql", &SCRIPT.replace("sum(v)", "sum(1 / (v - v))")),
        ("flows.csv", FLOWS),
        ("semicolons.csv", "2024-05-01 10:00:01;a;1\n2024-05-01 10:00:02;b;2\n"),
        ("empty.csv", ""),
        ("davy.toml", ""),
        ("bad.toml", "outptu = 'json'"),
    ]);
    let cases: &[(&[&str], i32, &str)] = &[
        (&["run", "none.sql"], 2, "script `none.sql` cannot be read"),
        (&["run", "s.sql", "--input", "none.csv"], 2, "none.csv"),
        (&["validate", "column.sql"], 2, "column.sql:3:"),
        (&["validate", "option.sql"], 2, "unknown option `tpye`; valid here are"),
        (&["run", "s.sql", "--set", "nonsense=1"], 2, "unknown setting `nonsense`; valid are `anonymize_key`"),
        (&["run", "s.sql", "--set", "nonsense"], 2, "is not KEY=VALUE"),
        (&["run", "s.sql", "--set", "memory=1k"], 1, "window"),
        (&["run", "s.sql", "--config", "bad.toml"], 2, "unknown field `outptu`"),
        (&["run", "s.sql", "--tasks", "0"], 2, "`tasks` cannot be 0"),
        (&["run", "s.sql", "--spill-dir", "nowhere"], 2, "`nowhere` for spilled state is no folder"),
        (&["run", "s.sql", "--commit-interval", "soon"], 2, "write a duration such as 1s"),
        (&["run", "fail.sql"], 1, "at position 72"),
        (&["run", "s.sql", "--input", "semicolons.csv"], 1, "none of 2 records can be read"),
        (&["run", "s.sql", "--input", "semicolons.csv"], 1, "say csv.delimiter = ';'"),
        (&["run", "s.sql", "--input", "empty.csv"], 0, "0 flows read"),
        (&["run", "division.sql"], 1, "Divide by zero"),
        (&["nonsense"], 2, "unrecognized subcommand"),
    ];
    for (arguments, code, expected) in cases {
        let output = davy(folder.path(), arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?} should say {expected}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn settings_come_from_flags_then_the_environment_then_the_file() {
    let folder = folder(&[
        ("s.sql", SCRIPT),
        ("flows.csv", FLOWS),
        ("davy.toml", "output = 'csv'\n[set]\n'flows.path' = 'none.csv'\n"),
    ]);
    let output = davy(folder.path(), &["run", "s.sql", "--set", "flows.path=flows.csv"]);
    assert!(text(&output.stdout).starts_with("k,w,total"), "the file's format: {}", text(&output.stderr));
    let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
    command.current_dir(folder.path()).env("DAVY_OUTPUT", "json").args([
        "run",
        "s.sql",
        "--set",
        "flows.path=flows.csv",
    ]);
    let from_environment = command.output().expect("it starts");
    assert!(text(&from_environment.stdout).starts_with('{'), "the environment outranks the file");
    let from_flag = command.args(["-o", "csv"]).output().expect("it starts");
    assert!(text(&from_flag.stdout).starts_with("k,w,total"), "a flag outranks the environment");
}

#[test]
fn every_command_explains_itself() {
    let folder = folder(&[("s.sql", SCRIPT), ("flows.csv", FLOWS)]);
    let explained = text(&davy(folder.path(), &["explain", "s.sql"]).stdout);
    for expected in [
        "stage 1: read `flows`",
        "decode 3 of 3 columns",
        "partials by pane and k",
        "close tumble(1m)",
        "sink `results`",
    ] {
        assert!(explained.contains(expected), "{expected} in {explained}");
    }
    assert_eq!(text(&davy(folder.path(), &["validate", "s.sql"]).stdout), "ok\n");
    let functions = text(&davy(folder.path(), &["functions", "tumble", "-o", "csv"]).stdout);
    assert_eq!(functions, "kind,name\nwindow,\"tumble(INTERVAL width)\"\n");
    assert!(text(&davy(folder.path(), &["completions", "bash"]).stdout).contains("_davy"));
    assert!(text(&davy(folder.path(), &["run", "--help"]).stdout).contains("Examples:"));
}

/// The rows of a shipped pipeline over a file, as (client, server, port).
fn flagged(pipeline: &str, input: &Path) -> Vec<(String, String, u64)> {
    let script = repository().join("pipelines").join(pipeline);
    let output =
        davy(&repository(), &["run", &script.to_string_lossy(), "-i", &input.to_string_lossy(), "-o", "json", "-q"]);
    assert!(output.status.success(), "{}: {}", input.display(), text(&output.stderr));
    let mut pairs: Vec<_> = text(&output.stdout)
        .lines()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
            let field = |name: &str| row[name].as_str().expect("text").to_owned();
            (field("client"), field("server"), row["port"].as_u64().expect("a number"))
        })
        .collect();
    pairs.sort();
    pairs.dedup();
    pairs
}

/// How many of the recorded session's miners a shipped pipeline flags, of how many, and how many pairs that are none.
fn judge(pipeline: &str) -> (usize, usize, usize) {
    let lab = repository().join("models/capture");
    let found = flagged(pipeline, &lab.join("lab.csv.gz"));
    let labels = std::fs::read_to_string(lab.join("labels.csv")).expect("labels");
    let header = labels.lines().next().expect("a header").split(',');
    let column = |name: &str| header.clone().position(|title| title == name).expect(name);
    let (client, server, port, label) = (column("client"), column("server"), column("server_port"), column("label"));
    let is_miner = |pair: &(String, String, u64)| {
        labels.lines().skip(1).any(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[client], cells[server], cells[port].parse()) == (pair.0.as_str(), pair.1.as_str(), Ok(pair.2))
                && cells[label] == "miner"
        })
    };
    let n_miners = labels.lines().filter(|line| line.split(',').nth(label) == Some("miner")).count();
    let n_found = found.iter().filter(|pair| is_miner(pair)).count();
    (n_found, n_miners, found.len() - n_found)
}

#[test]
fn the_shipped_rule_finds_miners_of_the_recorded_session() {
    let (n_found, n_miners, n_false) = judge("miners.sql");
    assert_eq!(n_miners, 11);
    assert!(6 <= n_found, "the rule found {n_found} of {n_miners}");
    assert!(n_false <= 43, "the rule accuses {n_false} pairs that are none");
}

/// The session is among the model's training data: this shows that the pipeline works, not how good the model is.
#[test]
fn the_shipped_forest_finds_miners_of_the_recorded_session() {
    let (n_found, _, n_false) = judge("miners_forest.sql");
    assert!(8 <= n_found && n_false == 0, "the forest found {n_found} and accuses {n_false} that are none");
}

#[test]
fn shipped_pipelines_run_unchanged() {
    let (root, mut n_models, mut n_pipelines) = (repository(), 0, 0);
    for entry in std::fs::read_dir(root.join("pipelines")).expect("pipelines") {
        let script = entry.expect("readable").path();
        // The lists of a pipeline are in a folder beside it.
        if script.is_dir() {
            continue;
        }
        let output = davy(&root, &["validate", &script.to_string_lossy()]);
        assert!(output.status.success(), "{}: {}", script.display(), text(&output.stderr));
        n_pipelines += 1;
    }
    for entry in std::fs::read_dir(root.join("models")).expect("models") {
        let card = entry.expect("readable").path().join("card.toml");
        if card.exists() {
            let output = davy(&root, &["model", "verify", &card.to_string_lossy()]);
            assert!(output.status.success(), "{}: {}", card.display(), text(&output.stderr));
            n_models += 1;
        }
    }
    assert!(2 <= n_models && 5 <= n_pipelines, "{n_models} models, {n_pipelines} pipelines");
}

/// Real captures that the project may not ship; where they are missing, this says which cases were left out.
#[test]
fn the_shipped_rule_finds_most_miners_of_real_captures() {
    #[expect(clippy::disallowed_methods, reason = "the environment says where real captures are")]
    let data = std::env::var_os("DAVY_TEST_DATA").map_or_else(|| repository().join("../shared/data"), PathBuf::from);
    let captures = data.join("fixtures/csv-a300i60");
    let Ok(entries) = std::fs::read_dir(&captures) else {
        println!("left out: no real captures at {}", captures.display());
        return;
    };
    let mut n_miners = 0;
    let mut missed = Vec::new();
    for entry in entries {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let n_found = flagged("miners.sql", &path).len();
        if name.starts_with("miner__cj-") {
            n_miners += 1;
            if n_found == 0 {
                missed.push(name);
            }
        }
    }
    assert!(8 <= n_miners, "the miners' captures are there");
    assert!(missed.len() * 4 <= n_miners, "missed {missed:?} of {n_miners}");
}
