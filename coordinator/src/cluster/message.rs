//! What the cluster is told and what it says, and how patient it is.

use std::collections::BTreeMap;
use std::time::Duration;

use davy_proto::domain::{Epoch, TaskId, WorkerId};

/// How patient the coordinator is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterOptions {
    /// A worker that was not heard of for so long is lost.
    pub lease_timeout: Duration,
    /// How long after its start the coordinator waits for workers to say what they run. At least `lease_timeout`.
    pub settle: Duration,
    /// A worker that was told to give a task back and has not done so for so long is passed over.
    pub drain_timeout: Duration,
    /// A task that was taken up and does not run after so long has failed.
    pub start_timeout: Duration,
    /// The wait after a task's first failure; it doubles with each further one.
    pub back_off_min: Duration,
    /// The longest wait after a failure. A task that ran for so long starts with the shortest again.
    pub back_off_max: Duration,
    /// How long a lost worker is shown, and a task avoids the worker where it failed.
    pub forget_after: Duration,
    /// A task that was granted so recently is not moved for balance.
    pub move_cool_down: Duration,
    /// The workers' label that says which of them fail together.
    pub zone_label: String,
}

/// A worker, as it introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerInfo {
    /// Another one after a restart.
    pub id: WorkerId,
    pub name: String,
    pub version: String,
    /// How many tasks it takes without being crowded.
    pub slots: u32,
    /// Such as `zone=a`.
    pub labels: BTreeMap<String, String>,
}

/// What a worker does with a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It takes it over.
    Starting,
    /// It reads and writes.
    Running,
    /// It makes a last commit.
    Draining,
    /// It gave it back, and has it no more.
    Released,
    /// It ended with an error, and the worker has it no more.
    Failed,
}

/// What a worker says of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub task: TaskId,
    /// It owns the task by this one.
    pub epoch: Epoch,
    /// Of the script that it runs.
    pub spec_version: u64,
    /// What it does with it.
    pub phase: Phase,
    pub error: Option<String>,
    /// Rows not yet read.
    pub lag: u64,
    /// Rows read since it began with this epoch.
    pub rows: u64,
    /// Share of the time in which it worked, 0 to 1.
    pub busy_ratio: f64,
    /// Event time, in milliseconds since 1970.
    pub watermark_ms: Option<i64>,
    /// How often the worker restarted it by itself.
    pub restarts: u32,
}

/// Something to be told to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It owns a task from now on.
    Grant {
        worker: WorkerId,
        task: TaskId,
        /// Greater than that of any owner before.
        epoch: Epoch,
        /// Of the script to run.
        spec_version: u64,
        reason: String,
    },
    /// It is to give a task back.
    Revoke {
        worker: WorkerId,
        task: TaskId,
        /// If it has the task with this epoch or an older one.
        epoch: Epoch,
        /// After a last commit; else at once.
        drain: bool,
        reason: String,
    },
}

/// The worker is not known, or was lost: it has to register first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker is not registered here; register it again")]
pub struct Unknown;

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            lease_timeout: Duration::from_secs(10),
            settle: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(15),
            start_timeout: Duration::from_secs(60),
            back_off_min: Duration::from_secs(1),
            back_off_max: Duration::from_secs(60),
            forget_after: Duration::from_secs(600),
            move_cool_down: Duration::from_secs(5),
            zone_label: "zone".to_owned(),
        }
    }
}

impl Phase {
    /// The worker has it.
    pub(super) fn is_held(self) -> bool {
        match self {
            Self::Starting | Self::Running | Self::Draining => true,
            Self::Released | Self::Failed => false,
        }
    }
}
