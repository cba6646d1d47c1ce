//! Views for people: workers, tasks and pipelines at the last decision.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::model::DesiredState;
use davy_proto::domain::{Epoch, EventTime, Messages, PipelineId, TaskId, WorkerId};

use super::task::{Stage, Task};
use super::{Cluster, Member};

/// Problems shown of one pipeline; the rest is counted.
const N_PROBLEMS_MAX: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerState {
    /// It takes tasks, though its session may be broken at the moment.
    Alive,
    /// It gives its tasks back and gets no others.
    Draining,
    /// It has sent nothing for longer than the lease timeout.
    Lost,
}

#[derive(Clone, Debug, PartialEq)]
pub struct WorkerView {
    pub id: WorkerId,
    pub name: String,
    pub state: WorkerState,
    pub version: String,
    /// How many tasks it takes without being crowded.
    pub slots: u32,
    pub n_tasks: u32,
    /// Such as `zone=a`.
    pub labels: BTreeMap<String, String>,
    /// Since the process started.
    pub registered_at: Duration,
    /// Time since its last message.
    pub silent: Duration,
    /// Busy tasks per slot: 0 to 1, above 1 when it has more busy tasks than slots.
    pub busy_ratio: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// It should run, and no worker has it.
    Unplaced,
    /// It was granted, and does not run yet.
    Starting,
    /// It reads and writes.
    Running,
    /// Its worker must give it back.
    Draining,
    /// It should not run, and no worker has it.
    Released,
    /// It ended with an error, and is granted again.
    Failed,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TaskView {
    pub id: TaskId,
    pub state: TaskState,
    pub worker: Option<WorkerId>,
    /// Empty without an owner.
    pub worker_name: String,
    /// 0 without an owner.
    pub epoch: Epoch,
    /// Version that its owner runs; 0 without one.
    pub spec_version: u64,
    /// Why it is at this worker.
    pub reason: String,
    /// Its last error; `None` while it runs.
    pub error: Option<String>,
    /// Restarts by its worker, and grants after a failure.
    pub restarts: u32,
    /// Messages not yet read, as last reported.
    pub lag: Messages,
    /// `None` until the task has read a message.
    pub rows_per_message: Option<f64>,
    pub rows_per_second: f64,
    /// Share of the time in which the task did not wait, 0 to 1.
    pub busy_ratio: f64,
    pub watermark: Option<EventTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipelineState {
    /// Some of its tasks do not run yet.
    Starting,
    Running,
    /// Some of its tasks failed and are started again.
    Degraded,
    /// There is no worker, and none of its tasks run.
    Waiting,
    /// Some tasks have not been given back yet.
    Pausing,
    /// No worker runs it; it can be resumed.
    Paused,
    /// Some tasks have not been given back yet.
    Stopping,
    Stopped,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PipelineStatus {
    pub state: PipelineState,
    pub n_tasks: u32,
    /// Those that read and write.
    pub n_tasks_running: u32,
    /// Messages not yet read, over all tasks that have reported.
    pub lag: Messages,
    pub rows_per_second: f64,
    /// Slots it keeps busy: the sum over its tasks.
    pub busy_ratio: f64,
    /// Why some of its tasks do not run: the first few, then how many more.
    pub problems: Vec<String>,
}

impl Cluster {
    /// All workers, recently lost ones included, in order of their ids.
    pub fn workers(&self, now: Duration) -> Vec<WorkerView> {
        let mut load: BTreeMap<&WorkerId, (u32, f64)> = BTreeMap::new();
        for task in self.tasks.values() {
            if let Some(lease) = &task.lease {
                let (n_tasks, busy) = load.entry(&lease.worker).or_default();
                *n_tasks += 1;
                *busy += task.meter.busy_ratio;
            }
        }
        let view = |member: &Member| {
            let (n_tasks, busy) = load.get(&member.info.id).copied().unwrap_or_default();
            member.view(n_tasks, busy, now)
        };
        self.workers.values().map(view).collect()
    }

    /// The tasks of one pipeline or of all, in order; includes tasks that a worker still has and should not run.
    pub fn tasks(&self, pipeline: Option<&PipelineId>) -> Vec<TaskView> {
        match pipeline {
            None => self.tasks.iter().map(|(id, task)| self.view(id, task)).collect(),
            Some(pipeline) => self.tasks.range(all_of(pipeline)).map(|(id, task)| self.view(id, task)).collect(),
        }
    }

    /// `None` if there is no such pipeline.
    pub fn status(&self, id: &PipelineId) -> Option<PipelineStatus> {
        let pipeline = self.pipelines.get(id)?;
        let tasks = self.tasks(Some(id));
        let is_held = |member: &Member| member.held.range(all_of(id)).next().is_some();
        let facts = Facts {
            n_running: tasks.iter().filter(|task| task.is_running()).count(),
            n_failing: tasks.iter().filter(|task| task.is_failing()).count(),
            n_tasks: pipeline.tasks.len(),
            is_owned: tasks.iter().any(|task| task.worker.is_some()) || self.workers.values().any(is_held),
            has_workers: self.workers.values().any(|member| member.lost_at.is_none() && !member.is_draining),
        };
        let state = facts.state(pipeline.record.desired_state);
        Some(PipelineStatus {
            state,
            n_tasks: facts.n_tasks.try_into().unwrap_or(u32::MAX),
            n_tasks_running: facts.n_running.try_into().unwrap_or(u32::MAX),
            lag: tasks.iter().map(|task| task.lag).sum(),
            rows_per_second: tasks.iter().map(|task| task.rows_per_second).sum(),
            busy_ratio: tasks.iter().map(|task| task.busy_ratio).sum(),
            problems: problems(state, &tasks),
        })
    }

    fn view(&self, id: &TaskId, task: &Task) -> TaskView {
        let is_wanted = self.pipelines.get(&id.pipeline).is_some_and(|pipeline| pipeline.wants(id));
        let state = match task.lease.as_ref().map(|lease| &lease.stage) {
            Some(Stage::Sent | Stage::Starting { .. }) => TaskState::Starting,
            Some(Stage::Running { .. }) => TaskState::Running,
            Some(Stage::Leaving(_)) => TaskState::Draining,
            None if !is_wanted => TaskState::Released,
            None if task.trouble.error.is_some() => TaskState::Failed,
            None => TaskState::Unplaced,
        };
        let owner = task.lease.as_ref().and_then(|lease| self.workers.get(&lease.worker));
        TaskView {
            id: id.clone(),
            state,
            worker: task.lease.as_ref().map(|lease| lease.worker.clone()),
            worker_name: owner.map_or_else(String::new, |member| member.info.name.clone()),
            epoch: task.lease.as_ref().map_or(Epoch::default(), |lease| lease.epoch),
            spec_version: task.lease.as_ref().map_or(0, |lease| lease.spec_version),
            reason: task.notice.as_ref().filter(|_| task.lease.is_some()).unwrap_or(&task.reason).clone(),
            error: task.trouble.error.clone(),
            restarts: task.trouble.n_failures.saturating_add(task.meter.restarts),
            lag: task.meter.lag,
            rows_per_message: task.meter.rows_per_message,
            rows_per_second: task.meter.rows_per_second,
            busy_ratio: task.meter.busy_ratio,
            watermark: task.meter.watermark,
        }
    }
}

/// All ids that a task of the pipeline can have: tasks are ordered by pipeline first.
fn all_of(pipeline: &PipelineId) -> RangeInclusive<TaskId> {
    let at = |n: u32| TaskId { pipeline: pipeline.clone(), dataflow: n, stage: n, index: n };
    at(0)..=at(u32::MAX)
}

impl Member {
    fn view(&self, n_tasks: u32, busy: f64, now: Duration) -> WorkerView {
        let state = match (self.lost_at, self.is_draining) {
            (Some(_), _) => WorkerState::Lost,
            (None, true) => WorkerState::Draining,
            (None, false) => WorkerState::Alive,
        };
        WorkerView {
            id: self.info.id.clone(),
            name: self.info.name.clone(),
            state,
            version: self.info.version.clone(),
            slots: self.info.slots,
            n_tasks,
            labels: self.info.labels.clone(),
            registered_at: self.registered_at,
            silent: now.saturating_sub(self.heard_at),
            busy_ratio: busy / f64::from(self.info.slots.max(1)),
        }
    }
}

impl TaskView {
    /// A draining task still reads until its last commit, unless it is revoked because it did not start.
    fn is_running(&self) -> bool {
        match self.state {
            TaskState::Running => true,
            TaskState::Draining => self.error.is_none(),
            TaskState::Unplaced | TaskState::Starting | TaskState::Released | TaskState::Failed => false,
        }
    }

    fn is_failing(&self) -> bool {
        self.error.is_some() && self.state != TaskState::Released
    }
}

/// Facts that determine a pipeline's state.
struct Facts {
    n_tasks: usize,
    n_running: usize,
    n_failing: usize,
    /// A worker has one of its tasks.
    is_owned: bool,
    has_workers: bool,
}

impl Facts {
    fn state(&self, desired_state: DesiredState) -> PipelineState {
        match desired_state {
            DesiredState::Pause if self.is_owned => PipelineState::Pausing,
            DesiredState::Pause => PipelineState::Paused,
            DesiredState::Stop | DesiredState::StopNow if self.is_owned => PipelineState::Stopping,
            DesiredState::Stop | DesiredState::StopNow => PipelineState::Stopped,
            DesiredState::Run if !self.has_workers && self.n_running == 0 => PipelineState::Waiting,
            DesiredState::Run if self.n_failing > 0 => PipelineState::Degraded,
            DesiredState::Run if self.n_running >= self.n_tasks => PipelineState::Running,
            DesiredState::Run => PipelineState::Starting,
        }
    }
}

fn problems(state: PipelineState, tasks: &[TaskView]) -> Vec<String> {
    let mut problems = Vec::new();
    if state == PipelineState::Waiting {
        problems.push("there is no worker to run it; start one with `davy worker`".to_owned());
    }
    let failing = tasks.iter().filter(|task| task.is_failing());
    let mut failing = failing.filter_map(|task| Some((&task.id, task.error.as_ref()?)));
    problems.extend(failing.by_ref().take(N_PROBLEMS_MAX).map(|(id, error)| format!("task `{id}`: {error}")));
    let n_more = failing.count();
    if n_more > 0 {
        problems.push(format!("and {n_more} tasks more fail"));
    }
    problems
}
