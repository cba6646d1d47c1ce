//! Which worker owns which task: the facts that workers and clients tell, and what is to be done about them.
//!
//! It does no I/O and has no clock: time is what has passed since the process started. [`Cluster::hear`] and its like only note facts;
//! [`Cluster::decide`] looks at all of them and says whom to grant and to revoke what. It is called after each fact and about once a
//! second, and may be called as often as one likes: what has been said is said again only when it seems to have been lost.
//!
//! A task is free, or somebody has a lease of it:
//!
//! | stage | left by | for |
//! |---|---|---|
//! | free | `decide`, if it is wanted and may be granted | sent |
//! | free, sent, … | a report of a greater epoch: the worker owned it before this coordinator led | starting, running, leaving |
//! | sent | a report of its epoch | starting, running |
//! | sent | `lease_timeout` on an open call, or a call that begins without it: the grant was lost | free |
//! | starting | a report | running |
//! | starting | `start_timeout`, twice as long after each failure: the same as a failure | leaving |
//! | any | `decide`, if it is not wanted, belongs elsewhere, or its worker drains | leaving |
//! | leaving | `Released`, a report without it, `drain_timeout` | free |
//! | any | `Failed`: it is granted again after a back-off, rather elsewhere | free |
//! | any | its worker is not heard of for `lease_timeout` | free |
//!
//! An epoch that was released, failed or taken away by force is over: a worker that still reports it is told to drop the task. What
//! keeps output exact is not this, but that Kafka fences the older owner: so the tasks of a lost worker are granted elsewhere at once.
//!
//! A coordinator that has just begun does not know who runs what. Until `settle` has passed it grants no task that another coordinator
//! may have granted, and moves none for balance. Nobody can have the tasks of a pipeline that was submitted to this one: those need not
//! wait.

mod decide;
mod message;
mod task;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{PipelineRecord, Wish};
use davy_proto::domain::{Epoch, PipelineId, TaskId, WorkerId};

pub use message::{Action, ClusterOptions, Phase, Report, Unknown, WorkerInfo};
use task::Task;
pub use view::{PipelineState, PipelineStatus, TaskState, TaskView, WorkerState, WorkerView};

/// All that is known of pipelines, workers and tasks.
#[derive(Debug)]
pub struct Cluster {
    options: ClusterOptions,
    started_at: Duration,
    /// Of the last decision; `None` until the first one, when all pipelines of the catalog are known.
    decided_at: Option<Duration>,
    /// The greatest that was given out or heard of.
    epoch_seen: Epoch,
    pipelines: BTreeMap<PipelineId, Pipeline>,
    workers: BTreeMap<WorkerId, Member>,
    tasks: BTreeMap<TaskId, Task>,
    /// Names that lost their pipeline before it was known who runs what: whoever takes them up again is not new.
    forgotten_early: BTreeSet<PipelineId>,
}

#[derive(Debug)]
struct Pipeline {
    record: PipelineRecord,
    tasks: Vec<TaskId>,
    /// It was submitted to this coordinator: nobody had its tasks before.
    is_new: bool,
}

#[derive(Debug)]
struct Member {
    info: WorkerInfo,
    registered_at: Duration,
    heard_at: Duration,
    /// Its call is open, so that it can be told something.
    is_attending: bool,
    is_draining: bool,
    lost_at: Option<Duration>,
    /// What it said last that it has.
    held: BTreeMap<TaskId, Held>,
}

/// A task that a worker has, whether it should or not.
#[derive(Debug)]
struct Held {
    epoch: Epoch,
    spec_version: u64,
    /// When it was first told to drop a task that is not its own.
    told_at: Option<Duration>,
    /// When it was last told so on this call.
    said_at: Option<Duration>,
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

    /// Notes a pipeline that is new or has changed. Those that the catalog remembers come before the first decision: somebody may run
    /// their tasks already. A name that is first heard of later was submitted to this coordinator.
    pub fn set_pipeline(&mut self, record: &PipelineRecord) {
        let (is_new, floor) = match self.pipelines.get(&record.id) {
            Some(known) => (known.is_new, Epoch::default()),
            // A worker that was away may still run an older pipeline of the same name and version: its epochs are below this.
            None if self.decided_at.is_some() => {
                (!self.forgotten_early.contains(&record.id), task::after(self.epoch_seen))
            }
            None => (false, Epoch::default()),
        };
        let tasks = record.tasks();
        for task in &tasks {
            self.tasks.entry(task.clone()).or_insert_with(|| Task::new(floor)).raise(floor);
        }
        self.pipelines.insert(record.id.clone(), Pipeline { record: record.clone(), tasks, is_new });
    }

    /// Notes that a pipeline is gone: what still runs of it is revoked.
    pub fn forget_pipeline(&mut self, id: &PipelineId) {
        let was_new = self.pipelines.remove(id).is_some_and(|pipeline| pipeline.is_new);
        if !was_new {
            self.forgotten_early.insert(id.clone());
        }
        for (_, task) in self.tasks.iter_mut().filter(|(task, _)| task.pipeline == *id) {
            task.leave(false, "its pipeline is gone");
        }
    }

    /// Notes a worker that begins a call, with all tasks that it has. What it was told on an earlier call and does not have is lost.
    pub fn register(&mut self, info: WorkerInfo, reports: Vec<Report>, now: Duration) {
        let id = info.id.clone();
        let member = self.workers.entry(id.clone()).or_insert_with(|| Member::new(info.clone(), now));
        member.info = info;
        member.lost_at = None;
        for held in member.held.values_mut() {
            held.said_at = None;
        }
        for task in self.tasks.values_mut() {
            task.begin_call(&id);
        }
        let is_draining = member.is_draining;
        self.note(&id, reports, is_draining, now);
        for task in self.tasks.values_mut() {
            task.drop_lost_grant(&id);
        }
    }

    /// Notes what a worker says of itself. `reports` has all tasks that it has, and those that it had since it spoke last; a worker's
    /// messages must come in the order in which it sent them.
    pub fn hear(
        &mut self,
        worker: &WorkerId,
        reports: Vec<Report>,
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

    /// Whoever decides stood still, and could hear nobody: silence until now says nothing of workers, and those that have turned to
    /// another coordinator get the time to come back.
    pub fn wake(&mut self, now: Duration) {
        self.started_at = now;
        for member in self.workers.values_mut().filter(|member| member.lost_at.is_none()) {
            member.heard_at = now;
        }
    }

    /// Notes that a worker's call has ended. It may come back: it is lost only when it was not heard of for long enough. Not to be called
    /// for an older call once a newer one of the same worker has begun.
    pub fn hang_up(&mut self, worker: &WorkerId, _now: Duration) {
        if let Some(member) = self.workers.get_mut(worker) {
            member.is_attending = false;
        }
    }

    /// The greatest epoch given out or heard of. Greater than what the catalog gives out means that the catalog has forgotten something.
    pub fn epoch_seen(&self) -> Epoch {
        self.epoch_seen
    }

    fn note(&mut self, worker: &WorkerId, reports: Vec<Report>, is_draining: bool, now: Duration) {
        let Some(member) = self.workers.get_mut(worker) else { return };
        member.heard_at = now;
        member.is_attending = true;
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
            is_attending: true,
            is_draining: false,
            lost_at: None,
            held: BTreeMap::new(),
        }
    }

    /// Of two reports of one task the one with the greater epoch counts.
    fn hold(&mut self, report: &Report, before: Option<&Held>) {
        if self.held.get(&report.task).is_some_and(|held| report.epoch < held.epoch) {
            return;
        }
        let told = before.filter(|held| held.epoch == report.epoch);
        let (told_at, said_at) = told.map_or((None, None), |held| (held.told_at, held.said_at));
        let held = Held { epoch: report.epoch, spec_version: report.spec_version, told_at, said_at };
        self.held.insert(report.task.clone(), held);
    }

    /// It can be given tasks.
    fn is_candidate(&self) -> bool {
        self.lost_at.is_none() && self.is_attending && !self.is_draining
    }
}

impl Pipeline {
    fn wants(&self, task: &TaskId) -> bool {
        self.record.wish == Wish::Run && self.tasks.binary_search(task).is_ok()
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
