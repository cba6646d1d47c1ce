//! `davy run` as a process, and what it leaves behind.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::end_to_end::process::{Davy, command};
use crate::run::text;

/// What all runs of one pipeline have in common.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) folder: PathBuf,
    pub(super) servers: String,
}

impl Setup {
    pub(super) fn script(&self) -> PathBuf {
        self.folder.join("pipeline.sql")
    }

    fn davy(&self, arguments: &[&str]) -> Command {
        let mut command = command();
        command.arg(arguments[0]).arg(self.script()).args(&arguments[1..]);
        command
            .current_dir(&self.folder)
            .env("DAVY_KAFKA", &self.servers)
            .env("TRANSACTION_MS", "2000")
            .stdin(Stdio::null());
        command
    }

    /// Starts it; its transactions may be open for so long; `crash` names the point where it kills itself.
    pub(super) fn start(&self, number: usize, transaction: Duration, crash: Option<&str>) -> Davy {
        let log = self.folder.join(format!("davy-{number}.log"));
        let mut command = self.davy(&["run", "--commit-interval", "100ms", "--tasks", "2"]);
        command.env("TRANSACTION_MS", transaction.as_millis().to_string());
        command.env("DAVY_LOG", "warn,davy_worker=info").envs(crash.map(|point| ("DAVY_CRASH_AT", point)));
        command.stdout(Stdio::null());
        Davy::start(command, log)
    }

    /// Messages that wait in all partitions that the pipeline reads; `None` while the broker does not answer.
    pub(super) fn lag(&self) -> Option<u64> {
        let output = self.davy(&["lag", "-o", "json"]).output().expect("the binary starts");
        let rows = text(&output.stdout);
        let lag = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["lag_messages"].as_u64();
        (output.status.success() && !rows.is_empty()).then(|| rows.lines().map(lag).sum::<Option<u64>>())?
    }

    /// Flows read by all processes that came to their end, as they have said it.
    pub(super) fn n_read(&self) -> u64 {
        let entries = std::fs::read_dir(&self.folder).expect("logs").flatten();
        let logs = entries.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
        let count = |log: String| {
            let line = log.lines().find_map(|line| Some(line.split_once(" flows read")?.0.to_owned()))?;
            line.split(' ').next_back()?.replace(',', "").parse::<u64>().ok()
        };
        logs.filter_map(count).sum()
    }

    /// Processes that still run this pipeline.
    pub(super) fn leaked(&self) -> Vec<String> {
        let script = self.script();
        let entries = std::fs::read_dir("/proc").expect("processes").flatten();
        let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines.map(|line| text(&line)).filter(|line| line.contains(&*script.to_string_lossy())).collect()
    }
}
