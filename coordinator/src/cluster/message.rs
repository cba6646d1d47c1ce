//! Inputs, decisions and timeouts of the cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use davy_proto::domain::{Epoch, Release, TaskId, WorkerId};

/// Timeouts, and the label for zones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterOptions {
    /// A worker that sends nothing for so long is lost.
    pub lease_timeout: Duration,
    /// How long a new leader waits for workers to report what they run. At least `lease_timeout`.
    pub startup_grace_period: Duration,
    /// How long a worker may take to give a revoked task back; then the task is granted elsewhere.
    pub drain_timeout: Duration,
    /// A task that starts and does not run after so long has failed.
    pub start_timeout: Duration,
    /// The wait after a task's first failure; it doubles with each further one.
    pub back_off_min: Duration,
    /// The longest wait after a failure. After a task has run for so long, its next wait is the shortest again.
    pub back_off_max: Duration,
    /// How long a lost worker is shown, and a task avoids the worker where it failed.
    pub forget_after: Duration,
    /// A task that was granted so recently is not moved for balance.
    pub move_cool_down: Duration,
    /// Workers with the same value of this label fail together.
    pub zone_label: String,
}

/// A worker, as it registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerInfo {
    /// A restarted worker has another id.
    pub id: WorkerId,
    pub name: String,
    pub version: String,
    /// How many tasks it takes without being crowded.
    pub slots: u32,
    /// Such as `zone=a`.
    pub labels: BTreeMap<String, String>,
}

/// A message to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The worker owns a task from now on.
    Grant {
        worker: WorkerId,
        task: TaskId,
        /// Greater than that of every earlier owner.
        epoch: Epoch,
        /// Version of the `PipelineSpec` to run.
        spec_version: u64,
        reason: String,
    },
    /// The worker must give a task back.
    Revoke {
        worker: WorkerId,
        task: TaskId,
        /// Applies if the worker has the task with this epoch or an earlier one.
        epoch: Epoch,
        release: Release,
        reason: String,
    },
}

/// The worker is unknown, or was lost: it must register first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker is not registered here; register it again")]
pub struct Unknown;

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            lease_timeout: Duration::from_secs(10),
            startup_grace_period: Duration::from_secs(10),
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
