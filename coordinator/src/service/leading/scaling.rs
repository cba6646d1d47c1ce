//! Feeds what is seen once a second to [`crate::autoscale`]: for the cluster, and for each pipeline alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::autoscale::{self, Decision, Options, Sample, State, TaskLoad};
use crate::cluster::{TaskView, WorkerState, WorkerView};
use crate::model::Wish;
use davy_proto::domain::PipelineId;

use super::Leading;

/// What was decided last, and what is remembered for the next time.
pub(super) struct Scaling {
    options: Options,
    overall: Option<Gauge>,
    each: BTreeMap<PipelineId, Gauge>,
}

struct Gauge {
    state: State,
    sample: Sample,
    decision: Decision,
}

/// When it is, and the workers: how many, and the slots of one.
type Setting = (i64, (u32, u32));

impl Scaling {
    pub(super) fn new(options: Options) -> Self {
        Self { options, overall: None, each: BTreeMap::new() }
    }

    /// How many workers are wanted; `None` before the first sample.
    pub(super) fn overall(&self) -> Option<&Decision> {
        self.overall.as_ref().map(|gauge| &gauge.decision)
    }

    /// How many one pipeline alone would need.
    pub(super) fn of(&self, id: &PipelineId) -> Option<&Decision> {
        self.each.get(id).map(|gauge| &gauge.decision)
    }

    fn observe(&mut self, setting: Setting, loads: &BTreeMap<PipelineId, Vec<TaskLoad>>) {
        let all: Vec<TaskLoad> = loads.values().flatten().copied().collect();
        self.overall = Some(next(&self.options, self.overall.as_ref(), setting, &all));
        self.each.retain(|id, _| loads.contains_key(id));
        for (id, tasks) in loads {
            let gauge = next(&self.options, self.each.get(id), setting, tasks);
            self.each.insert(id.clone(), gauge);
        }
    }
}

fn next(options: &Options, before: Option<&Gauge>, (at_ms, workers): Setting, tasks: &[TaskLoad]) -> Gauge {
    let sample = Sample::of(at_ms, workers, tasks, before.map(|gauge| &gauge.sample));
    let nothing = State::default();
    let (state, decision) = autoscale::decide(options, before.map_or(&nothing, |gauge| &gauge.state), &sample);
    Gauge { state, sample, decision }
}

impl Leading {
    /// Measures the load, and counts all by state.
    pub(super) fn sample(&mut self) {
        let workers = alive(&self.cluster.workers(self.tools.clock.now()));
        let wanted: BTreeSet<&PipelineId> =
            self.records.values().filter(|record| record.wish == Wish::Run).map(|record| &record.id).collect();
        let mut loads: BTreeMap<PipelineId, Vec<TaskLoad>> = BTreeMap::new();
        for task in self.cluster.tasks(None).iter().filter(|task| wanted.contains(&task.id.pipeline)) {
            loads.entry(task.id.pipeline.clone()).or_default().push(load(task));
        }
        self.scaling.observe((self.tools.clock.unix_ms(), workers), &loads);
        let desired = self.scaling.overall().map_or(0, |decision| decision.desired_workers);
        self.tools.metrics.desired_workers.set(desired.into());
        self.tools.metrics.take_census(&self.census());
    }
}

/// How many take tasks, and the slots of one of them.
fn alive(workers: &[WorkerView]) -> (u32, u32) {
    let alive: Vec<u32> =
        workers.iter().filter(|worker| worker.state == WorkerState::Alive).map(|worker| worker.slots).collect();
    let n_alive = u32::try_from(alive.len()).unwrap_or(u32::MAX);
    let slots: u64 = alive.iter().map(|slots| u64::from(*slots)).sum();
    let mean = slots.checked_div(u64::from(n_alive)).unwrap_or(0);
    (n_alive, u32::try_from(mean).unwrap_or(u32::MAX))
}

fn load(task: &TaskView) -> TaskLoad {
    TaskLoad {
        lag_rows: task.lag,
        rows_per_second: task.rows_per_second,
        busy_ratio: task.busy_ratio,
        watermark_ms: task.watermark_ms,
    }
}
