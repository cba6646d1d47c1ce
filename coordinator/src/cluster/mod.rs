//! Which worker owns which task: the facts that workers and clients report, and the decisions that follow from them.
//!
//! It does no I/O and has no clock: time is what has passed since the process started. [`Cluster::heartbeat`] and its like only note
//! facts; [`Cluster::decide`] looks at all of them and returns the grants and revocations to send. It is called after each fact and about
//! once a second, and may be called at any time: it sends a message again only when the first one seems to be lost.
//!
//! A task is free, or a worker has its lease:
//!
//! | stage | left by | for |
//! |---|---|---|
//! | free | `decide`, if the task should run and may be granted | sent |
//! | free, sent, … | a report of a greater epoch: the worker owned it before this coordinator led | starting, running, leaving |
//! | sent | a report of its epoch | starting, running |
//! | sent | `lease_timeout` in an open session, or a session that begins without it: the grant was lost | free |
//! | starting | a report | running |
//! | starting | `start_timeout`, twice as long after each failure: the same as a failure | leaving |
//! | any | `decide`, if it should not run, belongs elsewhere, or its worker drains | leaving |
//! | leaving | `Released`, a report without it, `drain_timeout` | free |
//! | any | `Failed`: it is granted again after a back-off, preferably elsewhere | free |
//! | any | its worker sends nothing for `lease_timeout` | free |
//!
//! An epoch that was released, failed or taken away by force is over: the coordinator revokes the task from a worker that still reports
//! it. Output is exact for another reason: Kafka fences the older owner. So the tasks of a lost worker are granted elsewhere at once.
//!
//! A new leader does not know which worker runs what. During `startup_grace_period` it grants no task that another coordinator may have
//! granted, and moves none for balance. Tasks of a pipeline that was submitted to this leader need not wait: no worker can have them.

mod decide;
mod message;
mod task;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{DesiredState, PipelineRecord};
use davy_proto::domain::{Epoch, PipelineId, Release, TaskId, TaskReport, WorkerId};

pub use message::{Action, ClusterOptions, Unknown, WorkerInfo};
use task::Task;
pub use view::{PipelineState, PipelineStatus, TaskState, TaskView, WorkerState, WorkerView};

#[derive(Debug)]
pub struct Cluster {
    options: ClusterOptions,
    started_at: Duration,
    /// Time of the last decision; `None` until all pipelines of the catalog are known.
    decided_at: Option<Duration>,
    /// The greatest epoch that was granted or reported.
    epoch_seen: Epoch,
    pipelines: BTreeMap<PipelineId, Pipeline>,
    workers: BTreeMap<WorkerId, Member>,
    tasks: BTreeMap<TaskId, Task>,
    /// Pipelines forgotten during the start-up grace period: workers may still run them, so that a later pipeline of the same name is not new.
    forgotten_early: BTreeSet<PipelineId>,
}

#[derive(Debug)]
struct Pipeline {
    record: PipelineRecord,
    tasks: Vec<TaskId>,
    /// It was submitted to this leader: no worker had its tasks before.
    is_new: bool,
}

#[derive(Debug)]
struct Member {
    info: WorkerInfo,
    registered_at: Duration,
    heard_at: Duration,
    has_session: bool,
    is_draining: bool,
    lost_at: Option<Duration>,
    /// Tasks that it last reported to have.
    held: BTreeMap<TaskId, Held>,
}

/// A task that a worker reports to have, with or without a lease.
#[derive(Debug)]
struct Held {
    epoch: Epoch,
    spec_version: u64,
    /// When the coordinator first revoked the task, which the worker does not own.
    first_sent_at: Option<Duration>,
    /// When it last did so in this session.
    last_sent_at: Option<Duration>,
}

impl Cluster {
    /// A coordinator that begins to lead at `now`.
    pub fn new(options: ClusterOptions, now: Duration) -> Self {
        Self {
            options,
            started_at: now,
            decided_at: None,
            epoch_seen: Epoch::default(),
            pipelines: BTreeMap::new(),
            workers: BTreeMap::new(),
            tasks: BTreeMap::new(),
            forgotten_early: BTreeSet::new(),
        }
    }

    /// Notes a pipeline that is new or has changed. Pipelines of the catalog come before the first decision: workers may run their tasks
    /// already. A pipeline that first comes later was submitted to this leader.
    pub fn set_pipeline(&mut self, record: &PipelineRecord) {
        let (is_new, floor) = match self.pipelines.get(record.id()) {
            Some(known) => (known.is_new, Epoch::default()),
            // A worker without a session may still run an older pipeline of the same name and version: its epochs are below this floor.
            None if self.decided_at.is_some() => {
                (!self.forgotten_early.contains(record.id()), task::after(self.epoch_seen))
            }
            None => (false, Epoch::default()),
        };
        let tasks = record.tasks();
        for task in &tasks {
            self.tasks.entry(task.clone()).or_insert_with(|| Task::new(floor)).raise(floor);
        }
        self.pipelines.insert(record.id().clone(), Pipeline { record: record.clone(), tasks, is_new });
    }

    /// Notes that a pipeline is gone: tasks that still run are revoked.
    pub fn forget_pipeline(&mut self, id: &PipelineId) {
        let was_new = self.pipelines.remove(id).is_some_and(|pipeline| pipeline.is_new);
        if !was_new {
            self.forgotten_early.insert(id.clone());
        }
        for (_, task) in self.tasks.iter_mut().filter(|(task, _)| task.pipeline == *id) {
            task.leave(Release::AtOnce, "its pipeline is gone");
        }
    }

    /// Notes a worker that opens a session, with all tasks that it has. A grant of an earlier session that it does not have is lost.
    pub fn register(&mut self, info: WorkerInfo, reports: Vec<TaskReport>, now: Duration) {
        let id = info.id.clone();
        let member = self.workers.entry(id.clone()).or_insert_with(|| Member::new(info.clone(), now));
        member.info = info;
        member.lost_at = None;
        for held in member.held.values_mut() {
            held.last_sent_at = None;
        }
        for task in self.tasks.values_mut() {
            task.begin_session(&id);
        }
        let is_draining = member.is_draining;
        self.note(&id, reports, is_draining, now);
        for task in self.tasks.values_mut() {
            task.drop_lost_grant(&id);
        }
    }

    /// Notes a worker's report. `reports` has all tasks that it has, and those that it gave back since its last report; a worker's
    /// messages must come in the order in which it sent them.
    pub fn heartbeat(
        &mut self,
        worker: &WorkerId,
        reports: Vec<TaskReport>,
        is_draining: bool,
        now: Duration,
    ) -> Result<(), Unknown> {
        match self.workers.get(worker) {
            Some(member) if member.lost_at.is_none() => {
                self.note(worker, reports, is_draining, now);
                Ok(())
            }
            Some(_) | None => Err(Unknown),
        }
    }

    /// The coordinator was suspended and received nothing: silence until now does not count, and workers that have turned to another
    /// coordinator get the time to come back.
    pub fn wake(&mut self, now: Duration) {
        self.started_at = now;
        for member in self.workers.values_mut().filter(|member| member.lost_at.is_none()) {
            member.heard_at = now;
        }
    }

    /// Notes that a worker's session has ended. The worker is lost only when it opens no other one within the lease timeout. Must not be
    /// called for an older session when the worker has opened a newer one.
    pub fn close_session(&mut self, worker: &WorkerId) {
        if let Some(member) = self.workers.get_mut(worker) {
            member.has_session = false;
        }
    }

    /// The greatest epoch that was granted or reported. When it is above the catalog's ceiling, the catalog has lost records.
    pub fn epoch_seen(&self) -> Epoch {
        self.epoch_seen
    }

    fn note(&mut self, worker: &WorkerId, reports: Vec<TaskReport>, is_draining: bool, now: Duration) {
        let Some(member) = self.workers.get_mut(worker) else { return };
        member.heard_at = now;
        member.has_session = true;
        member.is_draining = is_draining;
        let before = std::mem::take(&mut member.held);
        for report in reports {
            self.epoch_seen = self.epoch_seen.max(report.epoch);
            let task = self.tasks.entry(report.task.clone()).or_insert_with(|| Task::new(Epoch::default()));
            task.hear(worker, &report, now, &self.options);
            if report.phase.is_held() {
                member.hold(&report, before.get(&report.task));
            }
        }
        for task in before.keys().filter(|task| !member.held.contains_key(*task)) {
            if let Some(task) = self.tasks.get_mut(task) {
                task.vanish(worker, now, &self.options);
            }
        }
    }
}

impl Member {
    fn new(info: WorkerInfo, now: Duration) -> Self {
        Self {
            info,
            registered_at: now,
            heard_at: now,
            has_session: true,
            is_draining: false,
            lost_at: None,
            held: BTreeMap::new(),
        }
    }

    /// Of two reports of one task, the one with the greater epoch counts.
    fn hold(&mut self, report: &TaskReport, before: Option<&Held>) {
        if self.held.get(&report.task).is_some_and(|held| report.epoch < held.epoch) {
            return;
        }
        let known = before.filter(|held| held.epoch == report.epoch);
        let (first_sent_at, last_sent_at) = known.map_or((None, None), |held| (held.first_sent_at, held.last_sent_at));
        let held = Held { epoch: report.epoch, spec_version: report.spec_version, first_sent_at, last_sent_at };
        self.held.insert(report.task.clone(), held);
    }

    /// Whether it can get tasks.
    fn is_candidate(&self) -> bool {
        self.lost_at.is_none() && self.has_session && !self.is_draining
    }
}

impl Pipeline {
    fn wants(&self, task: &TaskId) -> bool {
        self.record.desired_state == DesiredState::Run && self.tasks.binary_search(task).is_ok()
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
