//! `davy run … | head`: a reader that has seen enough ends the run, before anything more is committed.

use std::io::{BufRead, BufReader, PipeWriter, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use davy_testkit::wait::until;

use crate::run::folder;

const PATIENCE: Duration = Duration::from_secs(30);

/// An endless source into the standard output, by the connector or as the rows of a SELECT.
const SOURCE: &str = "CREATE TABLE n WITH (connector = 'impulse', event_rate = '10000');\n";
const CONNECTOR: &str =
    "CREATE TABLE out (counter BIGINT) WITH (connector = 'stdout');\nINSERT INTO out SELECT counter FROM n;\n";
const SELECT: &str = "SELECT counter FROM n;\n";

/// The process, the first line of its output, and the rest.
pub(crate) fn after_a_line(mut command: Command) -> (Child, String, BufReader<ChildStdout>) {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let mut rows = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    rows.read_line(&mut line).expect("a line");
    assert!(!line.is_empty(), "it ended without a row");
    (child, line, rows)
}

/// Waits for the end; returns the exit code and what it said.
pub(crate) fn end_of(child: &mut Child) -> (Option<i32>, String) {
    let status = until("the run ends", PATIENCE, || child.try_wait().expect("a child of ours"));
    let mut said = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    (status.code(), said)
}

#[test]
fn a_run_ends_quietly_when_the_reader_of_its_rows_has_gone() {
    for (what, script, arguments) in [
        ("connector", SOURCE.to_owned() + CONNECTOR, &["run", "s.sql", "--quiet"][..]),
        ("json", SOURCE.to_owned() + SELECT, &["run", "s.sql", "--quiet", "-o", "json"]),
        ("csv", SOURCE.to_owned() + SELECT, &["run", "s.sql", "--quiet", "-o", "csv"]),
    ] {
        let folder = folder(&[("s.sql", &script)]);
        let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
        command.current_dir(folder.path()).args(arguments).args(["--commit-interval", "20ms"]);
        let (mut child, _, rows) = after_a_line(command);
        drop(rows);
        assert_eq!(end_of(&mut child), (Some(141), String::new()), "{what}");
    }
}

/// Both at once, as in `davy … 2>&1 | head`, and each alone.
#[test]
fn a_command_whose_output_is_closed_ends_as_it_would_and_does_not_panic() {
    let rows = "CREATE TABLE n WITH (connector = 'impulse', message_count = '3');\nSELECT counter FROM n;\n";
    let folder = folder(&[("rows.sql", rows), ("wrong.sql", "SELECT nothing FROM nowhere;\n")]);
    let cases: &[(&[&str], Option<i32>, Option<i32>)] = &[
        // Arguments; the exit code with everything closed, and with standard error alone.
        (&["run", "rows.sql"], Some(141), Some(0)),
        (&["run", "rows.sql", "-o", "json"], Some(141), Some(0)),
        (&["run", "wrong.sql"], Some(2), Some(2)),
        (&["functions"], Some(0), Some(0)),
        (&["completions", "bash"], Some(0), Some(0)),
    ];
    for (arguments, all_closed, errors_closed) in cases {
        let run = |closes_rows: fn(&mut Command, PipeWriter)| {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            drop(reader);
            let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
            command.current_dir(folder.path()).args(*arguments).env("DAVY_LOG", "debug").stdout(Stdio::null());
            command.stderr(writer.try_clone().expect("a second end"));
            closes_rows(&mut command, writer);
            command.status().expect("the binary starts").code()
        };
        let both = run(|command, writer| {
            command.stdout(writer);
        });
        assert_eq!(both, *all_closed, "{arguments:?}, all closed");
        assert_eq!(run(|_, _| ()), *errors_closed, "{arguments:?}, standard error closed");
    }
}
