//! `davy` as processes of its own, which can be frozen, asked to stop, and killed.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::wait::{until, within};
use crate::run::text;

/// The longest that a process may take to come to where it was told to die: it starts, takes over and replays before.
const REACH: Duration = Duration::from_secs(45);

/// What is tried out: the binary that was built along with the tests, or one that is faster (`make chaos`).
fn binary() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "whoever plays a long one says with what")]
    let named = std::env::var_os("DAVY_BINARY");
    named.map_or_else(|| env!("CARGO_BIN_EXE_davy").into(), PathBuf::from)
}

/// What all runs of one pipeline have in common.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) folder: PathBuf,
    pub(super) servers: String,
    /// How many tasks it has in all.
    pub(super) n_tasks: usize,
}

impl Setup {
    pub(super) fn script(&self) -> PathBuf {
        self.folder.join("pipeline.sql")
    }

    fn davy(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        for name in ["DAVY_OUTPUT", "DAVY_TASKS", "DAVY_CONFIG", "DAVY_COMMIT_INTERVAL", "DAVY_COMMIT_ROWS"] {
            command.env_remove(name);
        }
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
        command.stdout(Stdio::null()).stderr(File::create(&log).expect("a log"));
        Davy { child: command.spawn().expect("the binary starts"), log, n_tasks: self.n_tasks }
    }

    /// Messages that wait in all partitions that the pipeline reads; `None` while the broker does not answer.
    pub(super) fn lag(&self) -> Option<u64> {
        let output = self.davy(&["lag", "-o", "json"]).output().expect("the binary starts");
        let rows = text(&output.stdout);
        let lag = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["lag"].as_u64();
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

/// One process.
pub(super) struct Davy {
    child: Child,
    log: PathBuf,
    n_tasks: usize,
}

impl Davy {
    /// Waits until every task has taken over.
    pub(super) fn await_running(&mut self) {
        let running = until("every task runs", REACH, || {
            let n = self.said().lines().filter(|line| line.ends_with("running") || line.contains(" running ")).count();
            (self.n_tasks <= n).then_some(Ok(())).or_else(|| self.ended().map(Err))
        });
        if let Err(status) = running {
            panic!("ended instead of running, {status}: {}", self.said());
        }
    }

    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("`kill` is installed").success(), "SIG{name} was not delivered");
    }

    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    /// Waits for its end.
    pub(super) fn await_end(&mut self, what: &str, limit: Duration) -> ExitStatus {
        match within(limit, || self.ended()) {
            Some(status) => status,
            None => panic!("waited {limit:?} in vain: {what}; it said: {}", self.said()),
        }
    }

    /// Waits until it has killed itself.
    pub(super) fn await_crash(&mut self, point: &str) {
        let status = self.await_end(&format!("it dies at {point}"), REACH);
        assert_eq!(status.signal(), Some(9), "at {point} it ended by itself: {}", self.said());
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().expect("a child of ours");
        self.child.wait().expect("a child of ours");
    }

    /// Everything it has written to its log.
    pub(super) fn said(&self) -> String {
        text(&std::fs::read(&self.log).unwrap_or_default())
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }
}

impl Drop for Davy {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        if self.ended().is_none() {
            self.kill();
        }
    }
}
