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
