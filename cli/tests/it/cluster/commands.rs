//! Sends commands to a coordinator with the command line that people use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::end_to_end::process::command;
use crate::run::text;

/// Calls the coordinator that leads.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) folder: PathBuf,
    /// Of those that run.
    pub(super) coordinators: Vec<String>,
}

/// A task as the coordinator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) state: String,
    pub(super) worker: String,
    pub(super) epoch: u64,
    pub(super) restarts: u64,
    pub(super) lag: u64,
    pub(super) error: String,
}

impl Client {
    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary starts")
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command();
        command.args(arguments).args(["--coordinator", &self.coordinators.join(",")]);
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    /// The answer, an object per line, or what the command wrote to stderr.
    pub(super) fn query(&self, arguments: &[&str]) -> Result<Vec<Value>, String> {
        let output = self.run(&[arguments, &["-o", "json"]].concat());
        if !output.status.success() {
            return Err(text(&output.stderr));
        }
        let parse = |line: &str| serde_json::from_str(line).map_err(|error| format!("{error} in {line}"));
        text(&output.stdout).lines().map(parse).collect()
    }

    /// Runs a command that must succeed.
    pub(super) fn must(&self, arguments: &[&str]) -> Vec<Value> {
        self.query(arguments).unwrap_or_else(|said| panic!("{arguments:?}: {said}"))
    }

    /// Tasks by their ids; `None` while no coordinator leads.
    pub(super) fn tasks(&self) -> Option<BTreeMap<String, Task>> {
        let rows = self.query(&["tasks"]).ok()?;
        let tasks: BTreeMap<String, Task> = rows.iter().map(|row| (word(row, "id"), task(row))).collect();
        assert_eq!(tasks.len(), rows.len(), "a task is listed once: {rows:?}");
        Some(tasks)
    }

    /// Names of the workers that are in one state; none while no coordinator leads.
    pub(super) fn workers(&self, state: &str) -> BTreeSet<String> {
        let rows = self.query(&["workers"]).unwrap_or_default();
        rows.iter().filter(|row| row["state"] == state).map(|row| word(row, "name")).collect()
    }
}

fn task(row: &Value) -> Task {
    let number = |name: &str| row[name].as_u64().unwrap_or_else(|| panic!("`{name}` of {row}"));
    Task {
        state: word(row, "state"),
        worker: word(row, "worker_name"),
        epoch: number("epoch"),
        restarts: number("restarts"),
        lag: number("lag_messages"),
        error: word(row, "error"),
    }
}

pub(super) fn word(row: &Value, name: &str) -> String {
    row[name].as_str().unwrap_or_else(|| panic!("`{name}` of {row}")).to_owned()
}
