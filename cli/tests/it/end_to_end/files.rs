//! What is in files: read with `davy run`, and compared with what the filter lets through.

use std::path::Path;
use std::process::Stdio;

use super::oracle::{Passed, compare};
use super::pipeline::FILE_COLUMNS;
use super::process::command;
use crate::run::text;

/// How the files below `folder` differ from what was expected, for each format that is written.
pub(crate) fn differences(folder: &Path, formats: &[&str], expected: &Passed) -> Vec<String> {
    let mut complaints = Vec::new();
    for format in formats {
        compare(&format!("files of {format}"), &rows(&printed(folder, format)), expected, &mut complaints);
    }
    complaints
}

/// The rows in all files of a format that readers see, as CSV.
fn printed(folder: &Path, name: &str) -> String {
    let format = name.split('.').next().unwrap_or(name);
    let script = format!(
        "CREATE TABLE files {FILE_COLUMNS} WITH (connector = 'filesystem', path = '{name}', type = 'source', format = '{format}');\n\
         SELECT p, o, k, n FROM files;\n"
    );
    std::fs::write(folder.join("files.sql"), script).expect("written");
    let mut command = command();
    command.args(["run", "files.sql", "-o", "csv", "--quiet"]).current_dir(folder).stdin(Stdio::null());
    let output = command.output().expect("the binary starts");
    assert!(output.status.success(), "files of {name}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn rows(printed: &str) -> Passed {
    let mut rows = Passed::new();
    for line in printed.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [p, o, k, n] = cells[..] else { panic!("a row of files: {line}") };
        let number = |text: &str| text.parse::<i64>().expect("a number");
        *rows.entry(((number(p) as i32, number(o)), k.to_owned(), number(n))).or_default() += 1;
    }
    rows
}
