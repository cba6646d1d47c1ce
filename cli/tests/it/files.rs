//! What a committed file may hold: a module says first what it is for, and no file knows the machine it was written on.

use crate::repository::{File, files};

/// This file names the folders that others must not.
const MYSELF: &str = "cli/tests/it/files.rs";

/// Folders that exist on one machine only. `/tmp/` and `/etc/` are missing on purpose: they are the same everywhere.
const MACHINE_FOLDERS: &[&str] = &["/home/", "/root/", "/work/", "/Users/"];

/// Beyond that a module holds a second idea.
const LINES_MAX: usize = 400;

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|part| part == "tests" || part == "testkit")
}

fn long_modules(files: &[File]) -> Vec<String> {
    let sources = files.iter().filter(|file| file.path.ends_with(".rs") && !is_test(&file.path));
    let lines = sources.map(|file| (&file.path, file.text().lines().count()));
    lines
        .filter(|(_, n_lines)| LINES_MAX < *n_lines)
        .map(|(path, n_lines)| format!("{path}: {n_lines} lines; split it, {LINES_MAX} are the most"))
        .collect()
}

fn sleeps_in_tests(files: &[File]) -> Vec<String> {
    let tests = files.iter().filter(|file| file.path.ends_with(".rs") && file.path != MYSELF && is_test(&file.path));
    let mut complaints = Vec::new();
    for file in tests {
        let text = file.text();
        let sleeps = text.lines().enumerate().filter(|(_, line)| line.contains("sleep("));
        complaints.extend(
            sleeps.map(|(index, _)| {
                format!("{}:{}: wait for what has to happen, or drive the clock", file.path, index + 1)
            }),
        );
    }
    complaints
}

fn modules_without_doc(files: &[File]) -> Vec<String> {
    let sources = files.iter().filter(|file| file.path.ends_with(".rs"));
    let silent = sources.filter(|file| !file.content.starts_with(b"//! "));
    silent.map(|file| format!("{}: begin with `//! ` and say what the module is for", file.path)).collect()
}

/// Whether an absolute path begins in `line`: `src/work/x` and `$HOME/work/x` go through such a folder but begin elsewhere.
fn holds_machine_path(line: &str) -> bool {
    let continues_a_path = |c: char| c.is_alphanumeric() || "._-~*})".contains(c);
    MACHINE_FOLDERS
        .iter()
        .flat_map(|folder| line.match_indices(folder))
        .any(|(start, _)| !line[..start].ends_with(continues_a_path))
}

fn machine_paths(files: &[File]) -> Vec<String> {
    let others = files.iter().filter(|file| file.path != MYSELF);
    others
        .flat_map(|file| {
            let text = file.text();
            let lines = text.lines().enumerate().filter(|(_, line)| holds_machine_path(line));
            lines
                .map(|(index, _)| format!("{}:{}: a path of one machine; make it relative", file.path, index + 1))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_module_begins_by_saying_what_it_is_for() {
    assert_eq!(modules_without_doc(&files()), [""; 0]);
}

#[test]
fn a_module_without_a_first_doc_line_is_named() {
    let made_up = [
        File::new("engine/src/a.rs", "//! What a is for.\n"),
        File::new("engine/src/b.rs", "use std::fmt;\n//! too late\n"),
        File::new("engine/src/c.rs", "// Not a doc comment.\n"),
        File::new("README.md", "# Davy\n"),
    ];
    assert_eq!(
        modules_without_doc(&made_up),
        [
            "engine/src/b.rs: begin with `//! ` and say what the module is for",
            "engine/src/c.rs: begin with `//! ` and say what the module is for",
        ]
    );
}

#[test]
fn no_module_is_too_long_and_no_test_sleeps() {
    let files = files();
    assert_eq!(long_modules(&files), [""; 0]);
    assert_eq!(sleeps_in_tests(&files), [""; 0]);
}

#[test]
fn a_long_module_and_a_sleeping_test_are_named() {
    let long = "\n".repeat(LINES_MAX + 1);
    let made_up = [
        File::new("engine/src/a.rs", &long),
        File::new("engine/src/a/tests.rs", &long),
        File::new("cli/tests/it/b.rs", "\nthread::sleep(pause);"),
        File::new("cli/src/b.rs", "thread::sleep(pause);"),
    ];
    assert_eq!(long_modules(&made_up), ["engine/src/a.rs: 401 lines; split it, 400 are the most"]);
    assert_eq!(sleeps_in_tests(&made_up), ["cli/tests/it/b.rs:2: wait for what has to happen, or drive the clock"]);
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let files = files();
    assert!(files.iter().any(|file| file.path == MYSELF), "the list of files is not this repository's");
    assert_eq!(machine_paths(&files), [""; 0]);
}

#[test]
fn a_path_of_one_machine_is_found_wherever_it_begins() {
    for line in ["/home/ann/x", "open('/root/x')", "see file:///work/x", "A=/Users/ann", "-v /work/x:/x"] {
        assert!(holds_machine_path(line), "{line}");
    }
    for line in ["src/work/x", "$HOME/work/x", "${ROOT}/root/x", "~/work/x", "https://example.org/home/", "/var/x"] {
        assert!(!holds_machine_path(line), "{line}");
    }
    let made_up = [File::new("notes.txt", "fine\nin /home/ann/davy"), File::new(MYSELF, "/home/")];
    assert_eq!(machine_paths(&made_up), ["notes.txt:2: a path of one machine; make it relative"]);
}
