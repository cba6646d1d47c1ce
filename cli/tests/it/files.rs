//! What a committed file may hold: a module says first what it is for, and no file knows the machine it was written on.

use crate::repository::{File, files};

/// This file names the folders that others must not.
const MYSELF: &str = "cli/tests/it/files.rs";

/// Folders of somebody's machine. `/tmp/` and `/etc/` are missing on purpose: they are the same everywhere.
const MACHINE_FOLDERS: &[&str] = &["/home/", "/root/", "/work/", "/Users/"];

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
