//! A list that changes under a running pipeline.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::run::{folder, text};

/// A hundred rows per second, for a minute at most.
const SCRIPT: &str = "
CREATE TABLE numbers WITH (connector = 'impulse', event_rate = '100', message_count = '6000');
CREATE TABLE names (id BIGINT, name TEXT)
    WITH (connector = 'lookup', path = 'names.csv', format = 'csv', key = 'id', reload_interval = '1 second');
CREATE TABLE printed (counter BIGINT, name TEXT) WITH (connector = 'stdout', format = 'csv');
INSERT INTO printed SELECT counter, name FROM numbers LEFT JOIN names ON id = subtask_index;";

#[test]
fn a_list_is_reloaded_and_a_broken_one_is_not() {
    let folder = folder(&[("s.sql", SCRIPT), ("names.csv", "0,first\n")]);
    let replace = |list: &str| {
        std::fs::write(folder.path().join("new.csv"), list).expect("written");
        std::fs::rename(folder.path().join("new.csv"), folder.path().join("names.csv")).expect("renamed");
    };
    let mut child = Command::new(env!("CARGO_BIN_EXE_davy"))
        .current_dir(folder.path())
        .args(["run", "s.sql", "--quiet", "--commit-interval", "100ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let printed = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut names = printed.lines().map(|line| line.expect("a line").split(',').nth(1).unwrap_or_default().to_owned());
    assert_eq!(names.next().as_deref(), Some("first"));
    replace("0,second\n");
    assert_eq!(names.find(|name| name != "first").as_deref(), Some("second"));
    // The error is logged before the list after it is taken up.
    replace("0,broken\n0,broken\n");
    let is_over = names.by_ref().take(250).any(|name| name != "second");
    assert!(!is_over, "a broken list changes nothing, and neither does the first one come back");
    replace("0,third\n");
    assert_eq!(names.find(|name| name != "second").as_deref(), Some("third"));
    child.kill().expect("it runs");
    let output = child.wait_with_output().expect("it has ended");
    let said = text(&output.stderr);
    assert!(said.contains("lookup table not reloaded; the version before stays in force"), "{said}");
    assert!(said.contains("the key `0` is there twice"), "{said}");
}
