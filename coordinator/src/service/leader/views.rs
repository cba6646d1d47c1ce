//! Views for clients: pipelines, workers and tasks as they are, and each change of a pipeline.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::cluster::{PipelineState, TaskState, WorkerState};
use crate::error::{Kind, Refused};
use crate::metrics::Census;
use crate::model::{DesiredState, PipelineRecord};
use crate::service::change::not_found;
use crate::service::event::{PipelineView, Query, Watching, Which};
use davy_proto::domain::PipelineId;

use super::LeaderState;
use super::changes::answer;

/// Changes that a watcher has not read; with more it is dropped.
const CHANGES_MAX: usize = 256;

#[derive(Default)]
pub(super) struct Watchers {
    all: Vec<Watcher>,
    /// What watchers have seen of each pipeline.
    seen: BTreeMap<PipelineId, Essence>,
}

struct Watcher {
    which: Which,
    changes: mpsc::Sender<PipelineView>,
}

/// The part of a pipeline whose change watchers see: not its numbers, which change all the time.
#[derive(Clone, PartialEq)]
struct Essence {
    version: u64,
    state: Option<PipelineState>,
    n_tasks_running: u32,
    problems: Vec<String>,
}

impl LeaderState {
    pub(super) fn view(&self, id: &PipelineId) -> Option<PipelineView> {
        Some(self.view_of(self.records.get(id)?))
    }

    fn view_of(&self, record: &Arc<PipelineRecord>) -> PipelineView {
        PipelineView {
            record: Arc::clone(record),
            status: self.cluster.status(record.id()),
            scaling: self.scaling.of(record.id()).cloned(),
        }
    }

    pub(super) fn answer(&mut self, query: Query) {
        match query {
            Query::Get(id, reply) => answer(reply, self.view(&id).ok_or_else(|| not_found(&id.name))),
            Query::List(which, reply) => answer(reply, Ok(self.list(&which))),
            Query::Watch(which, reply) => answer(reply, self.watch(which)),
            Query::Workers(reply) => answer(reply, Ok(self.cluster.workers(self.tools.clock.now()))),
            Query::Tasks(which, reply) => {
                let is_known = which.name.is_none() || self.records.keys().any(|id| which.includes(id));
                let name = which.name.clone().unwrap_or_default();
                let tasks = self.cluster.tasks(None).into_iter().filter(|task| which.includes(&task.id.pipeline));
                answer(reply, if is_known { Ok(tasks.collect()) } else { Err(not_found(&name)) });
            }
            Query::Scaling(reply) => {
                let unknown = || Refused::new(Kind::Unavailable, "the load was not measured yet").hint("try again");
                answer(reply, self.scaling.overall().cloned().ok_or_else(unknown));
            }
        }
    }

    fn list(&self, which: &Which) -> Vec<PipelineView> {
        let is_shown = |record: &&Arc<PipelineRecord>| {
            which.includes(record.id())
                && (which.with_stopped
                    || matches!(record.desired_state, DesiredState::Run | DesiredState::Pause)
                    || self.is_stopping(record))
        };
        self.records.values().filter(is_shown).map(|record| self.view_of(record)).collect()
    }

    /// Whether a worker still runs one of its tasks.
    fn is_stopping(&self, record: &PipelineRecord) -> bool {
        self.cluster.status(record.id()).is_some_and(|status| status.state == PipelineState::Stopping)
    }

    fn watch(&mut self, which: Which) -> Result<Watching, Refused> {
        let pipelines = self.list(&which);
        if let (Some(name), true) = (&which.name, pipelines.is_empty()) {
            return Err(not_found(name));
        }
        let (sender, changes) = mpsc::channel(CHANGES_MAX);
        self.watchers.all.push(Watcher { which, changes: sender });
        Ok(Watching { pipelines, changes })
    }

    /// Sends changes to watchers. A watcher that has left, or reads too slowly, is dropped and sees its stream end.
    pub(super) fn update_watchers(&mut self) {
        self.watchers.all.retain(|watcher| !watcher.changes.is_closed());
        if self.watchers.all.is_empty() {
            return self.watchers.seen.clear();
        }
        for record in self.records.values() {
            let view = self.view_of(record);
            let essence = Essence::of(&view);
            if self.watchers.seen.get(record.id()) == Some(&essence) {
                continue;
            }
            self.watchers.seen.insert(record.id().clone(), essence);
            self.watchers.all.retain(|watcher| {
                !watcher.which.includes(record.id()) || watcher.changes.try_send(view.clone()).is_ok()
            });
        }
    }

    pub(super) fn dismiss_watchers(&mut self) {
        self.watchers = Watchers::default();
    }

    /// Counts all by state, for metrics.
    pub(super) fn census(&self) -> Census {
        let mut census = Census::default();
        for worker in self.cluster.workers(self.tools.clock.now()) {
            *census.workers.entry(worker_state(worker.state)).or_default() += 1;
        }
        for task in self.cluster.tasks(None) {
            *census.tasks.entry(task_state(task.state)).or_default() += 1;
        }
        for (id, record) in &self.records {
            let Some(status) = self.cluster.status(id) else { continue };
            *census.pipelines.entry(pipeline_state(status.state)).or_default() += 1;
            if record.desired_state == DesiredState::Run {
                census.lag.push((id.clone(), status.lag));
            }
        }
        census
    }
}

impl Essence {
    fn of(view: &PipelineView) -> Self {
        let status = view.status.as_ref();
        Self {
            version: view.record.version,
            state: status.map(|status| status.state),
            n_tasks_running: status.map_or(0, |status| status.n_tasks_running),
            problems: status.map(|status| status.problems.clone()).unwrap_or_default(),
        }
    }
}

fn worker_state(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Alive => "alive",
        WorkerState::Draining => "draining",
        WorkerState::Lost => "lost",
    }
}

fn task_state(state: TaskState) -> &'static str {
    match state {
        TaskState::Unplaced => "unplaced",
        TaskState::Starting => "starting",
        TaskState::Running => "running",
        TaskState::Draining => "draining",
        TaskState::Released => "released",
        TaskState::Failed => "failed",
    }
}

fn pipeline_state(state: PipelineState) -> &'static str {
    match state {
        PipelineState::Starting => "starting",
        PipelineState::Running => "running",
        PipelineState::Degraded => "degraded",
        PipelineState::Waiting => "waiting",
        PipelineState::Pausing => "pausing",
        PipelineState::Paused => "paused",
        PipelineState::Stopping => "stopping",
        PipelineState::Stopped => "stopped",
    }
}
