//! What Davy writes into a file, Davy reads back equal: every format, every type that it holds.

use crate::run::{davy, folder, text};

/// Runs a script in `folder`; what it prints.
fn run(folder: &std::path::Path, name: &str, script: &str) -> String {
    std::fs::write(folder.join(name), script).expect("written");
    let run = davy(folder, &["run", name, "-o", "json", "--quiet"]);
    assert!(run.status.success(), "{script}\n{}", text(&run.stderr));
    let mut lines: Vec<String> = text(&run.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    lines.join("\n")
}

/// Writes `rows` (JSON) with these columns in each of `formats`, reads the files, and compares.
fn check(columns: &str, names: &str, rows: &str, formats: &[&str]) {
    let folder = folder(&[("in.json", rows)]);
    let source = |name: &str, path: &str, format: &str| {
        format!(
            "CREATE TABLE {name} ({columns}) WITH (connector = 'single_file', path = '{path}', type = 'source', format = '{format}');\n"
        )
    };
    let select = |from: &str| format!("SELECT {names} FROM {from};");
    let wanted = run(folder.path(), "in.sql", &(source("t", "in.json", "json") + &select("t")));
    assert_eq!(wanted.lines().count(), rows.lines().count(), "{wanted}");
    for format in formats {
        let path = format!("out.{format}");
        let sink = format!(
            "CREATE TABLE o ({columns}) WITH (connector = 'single_file', path = '{path}', type = 'sink', format = '{format}');\n"
        );
        let write = source("t", "in.json", "json") + &sink + &format!("INSERT INTO o SELECT {names} FROM t;");
        run(folder.path(), "out.sql", &write);
        let found = run(folder.path(), "back.sql", &(source("t", &path, format) + &select("t")));
        assert_eq!(found, wanted, "{format}: {}", text(&std::fs::read(folder.path().join(&path)).expect("a file")));
    }
}

const ALL: [&str; 4] = ["csv", "json", "arrow", "parquet"];

#[test]
fn texts_read_back() {
    let rows = r#"{"ts":1,"k":null}
{"ts":2,"k":""}
{"ts":3,"k":" lead"}
{"ts":4,"k":"a\"b"}
{"ts":5,"k":"two\nlines"}
{"ts":6,"k":"cr\rin\r\nboth"}
{"ts":7,"k":"\u00e9,\u20ac"}
{"ts":8,"k":"trail "}
{"ts":9,"k":"\"quoted\""}
{"ts":10,"k":"back\\slash\\"}
{"ts":11,"k":"\n"}
{"ts":12,"k":"\ufeffmark"}
"#;
    check("ts TIMESTAMP, k TEXT", "ts, k", rows, &ALL);
    check("k TEXT", "k", rows, &ALL);
    check("k TEXT, ts TIMESTAMP", "k, ts", rows, &ALL);
}

#[test]
fn decimals_and_times_read_back() {
    let rows = r#"{"d":"-1234567890123456789012345678.9012345678","p":"99.95","t":"23:59:59.999999999","y":"2024-02-29"}
{"d":"0","p":7,"t":"00:00:00","y":"1969-12-31"}
{"d":"0.0000000001","p":0.5,"t":"12:34:56.5","y":"9999-12-31"}
{"d":null,"p":null,"t":null,"y":null}
{"d":"9999999999999999999999999999.9999999999","p":-1e1,"t":"07:08","y":"2262-04-12"}
"#;
    check("d DECIMAL(38, 10), p DECIMAL(5, 2), t TIME, y DATE", "d, p, t, y", rows, &ALL);
}

#[test]
fn a_decimal_that_its_column_does_not_hold_is_a_bad_record() {
    let rows = "12.345,12:00:00\n1000,12:00:00\n12.30,24:00:00\n12.30,12:00:00\n";
    let script = "CREATE TABLE t (d DECIMAL(5, 2), t TIME) WITH (connector = 'single_file', path = 'in.csv', type = 'source', format = 'csv');
SELECT d, t FROM t;";
    let folder = folder(&[("in.csv", rows)]);
    assert_eq!(run(folder.path(), "s.sql", script), r#"{"d":"12.30","t":"12:00:00"}"#);
}

/// What `validate` says of a script, and that `run` says the same.
fn refusal(script: &str) -> String {
    let folder = folder(&[("s.sql", script), ("in.csv", "1\n"), ("in.json", "{}\n")]);
    let said = |command: &str| {
        let output = davy(folder.path(), &[command, "s.sql"]);
        assert!(!output.status.success(), "davy {command} takes {script}");
        text(&output.stderr)
    };
    let (validate, run) = (said("validate"), said("run"));
    assert_eq!(validate, run, "{script}");
    validate
}

#[test]
fn validate_refuses_the_types_that_run_would() {
    let sink = |format: &str| {
        format!(
            "CREATE TABLE t (v BIGINT) WITH (connector = 'single_file', path = 'in.csv', type = 'source', format = 'csv');
CREATE TABLE o (i INTERVAL) WITH (connector = 'single_file', path = 'out', type = 'sink', format = '{format}');
INSERT INTO o SELECT INTERVAL '1 day' FROM t;"
        )
    };
    let source = |format: &str| {
        format!(
            "CREATE TABLE t (i INTERVAL) WITH (connector = 'single_file', path = 'in.{format}', type = 'source', format = '{format}');
SELECT i FROM t;"
        )
    };
    let cases = [
        (sink("csv"), "table `o`: column `i`: CSV cannot hold Interval(MonthDayNano)"),
        (sink("json"), "table `o`: column `i`: JSON cannot hold Interval(MonthDayNano)"),
        (sink("parquet"), "table `o`: column `i`: Parquet cannot hold Interval(MonthDayNano)"),
        (source("csv"), "table `t`: column `i`: CSV cannot hold Interval(MonthDayNano)"),
        (source("json"), "table `t`: column `i`: JSON cannot hold Interval(MonthDayNano)"),
    ];
    for (script, wanted) in cases {
        let said = refusal(&script);
        assert!(said.contains(wanted), "{said}");
    }
    let folder = folder(&[("s.sql", &sink("arrow")), ("in.csv", "1\n")]);
    assert!(davy(folder.path(), &["validate", "s.sql"]).status.success(), "Arrow holds intervals");
    assert!(davy(folder.path(), &["run", "s.sql"]).status.success(), "Arrow holds intervals");
}
