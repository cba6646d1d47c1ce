//! `davy` as processes of its own, which can be paused, stopped with SIGTERM, and killed.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use crate::run::text;
use davy_testkit::wait::within;

/// The longest that a process may take to reach the point where it kills itself: it starts, takes over and replays before. A task
/// tries for 30 s to take over and for 30 s to read its positions, and starts again when a request was lost.
const REACH: Duration = Duration::from_secs(120);

/// The points at which a process can kill itself.
pub(crate) const POINTS: [&str; 8] = [
    "poll",
    "decode",
    "aggregate",
    "before_begin",
    "after_produce",
    "after_send_offsets",
    "before_commit",
    "after_commit",
];

/// The points of tasks that write files.
pub(crate) const FILE_POINTS: [&str; 3] = ["during_file_write", "after_file_sync", "after_file_rename"];

/// The binary under test: the one that was built along with the tests, or one that is faster (`make chaos`).
fn binary() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "make chaos sets the binary")]
    let named = std::env::var_os("DAVY_BINARY");
    named.map_or_else(|| env!("CARGO_BIN_EXE_davy").into(), PathBuf::from)
}

/// The binary without the `DAVY_` variables of the tests' environment. It dies with the thread that starts it, also when
/// nothing is left that could kill it.
pub(crate) fn command() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(binary());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DAVY_")) {
        command.env_remove(name);
    }
    command
}

pub(crate) struct Davy {
    child: Child,
    log: PathBuf,
}

impl Davy {
    /// Starts it; what it says goes to `log`.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        command.stderr(File::create(&log).expect("a log"));
        Self { child: command.spawn().expect("the binary starts"), log }
    }

    /// Waits until every task has taken over.
    pub(crate) fn await_running(&mut self, n_tasks: usize) {
        let running = within(REACH, || {
            let n = self.said().lines().filter(|line| line.ends_with("running") || line.contains(" running ")).count();
            (n_tasks <= n).then_some(Ok(())).or_else(|| self.ended().map(Err))
        });
        match running {
            Some(Ok(())) => {}
            Some(Err(status)) => panic!("ended instead of running, {status}: {}", self.said()),
            None => panic!("waited {REACH:?} in vain: every task runs; it said: {}", self.said()),
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("`kill` is installed").success(), "SIG{name} was not delivered");
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    /// Waits for its end.
    pub(crate) fn await_end(&mut self, what: &str, limit: Duration) -> ExitStatus {
        match within(limit, || self.ended()) {
            Some(status) => status,
            None => panic!("waited {limit:?} in vain: {what}; it said: {}", self.said()),
        }
    }

    /// Waits until it has killed itself.
    pub(crate) fn await_crash(&mut self, point: &str) {
        let status = self.await_end(&format!("it dies at {point}"), REACH);
        assert_eq!(status.signal(), Some(9), "at {point} it ended by itself: {}", self.said());
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a child of ours");
        self.child.wait().expect("a child of ours");
    }

    /// Everything it has written to its log.
    pub(crate) fn said(&self) -> String {
        text(&std::fs::read(&self.log).unwrap_or_default())
    }

    pub(crate) fn log(&self) -> &Path {
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
