//! What the coordinator and a worker exchange about a task.

use std::sync::Arc;

use super::{Epoch, EventTime, Messages, PipelineSpec, Rows, TaskId};

/// What a worker does with a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It takes the task over, or waits to try again.
    #[default]
    Starting,
    Running,
    /// It makes a last commit.
    Draining,
    /// It has given the task back.
    Released,
    /// The task ended with an error, and the worker has given it back.
    Failed,
}

/// A task that a worker owns from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub task: TaskId,
    /// Greater than that of every earlier owner.
    pub epoch: Epoch,
    pub pipeline: Arc<PipelineSpec>,
}

/// A task that a worker gives back, if it has it with this epoch or an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub task: TaskId,
    pub epoch: Epoch,
    pub release: Release,
    pub reason: String,
}

/// How a worker gives a task back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    Drain,
    /// At once, without a commit.
    AtOnce,
}

/// What a worker reports about one of its tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskReport {
    pub task: TaskId,
    pub epoch: Epoch,
    /// Version of the [`PipelineSpec`] that it runs.
    pub spec_version: u64,
    pub phase: Phase,
    /// Why the task does not run, where it does not.
    pub error: Option<String>,
    pub lag: Messages,
    /// Messages read since the task was granted with this epoch.
    pub messages: Messages,
    /// Rows decoded from these messages.
    pub rows: Rows,
    /// Share of the time since the last report in which the task did not wait, 0 to 1.
    pub busy_ratio: f64,
    /// `None` before the first row.
    pub watermark: Option<EventTime>,
    /// How often the worker restarted the task by itself.
    pub restarts: u32,
}

impl Phase {
    /// Whether the worker has the task.
    pub fn is_held(self) -> bool {
        match self {
            Self::Starting | Self::Running | Self::Draining => true,
            Self::Released | Self::Failed => false,
        }
    }
}
