//! Gives one measurement a second to [`crate::autoscale`]: for the cluster, and for each pipeline alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::autoscale::{self, Decision, Options, Sample, Setting, State, TaskLoad};
use crate::cluster::{TaskView, WorkerState, WorkerView};
use crate::model::DesiredState;
use davy_proto::domain::PipelineId;

use super::LeaderState;

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

impl Scaling {
    pub(super) fn new(options: Options) -> Self {
        Self { options, overall: None, each: BTreeMap::new() }
    }

    /// `None` before the first sample.
    pub(super) fn overall(&self) -> Option<&Decision> {
        self.overall.as_ref().map(|gauge| &gauge.decision)
    }

    /// How many workers one pipeline alone needs.
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

fn next(options: &Options, before: Option<&Gauge>, setting: Setting, tasks: &[TaskLoad]) -> Gauge {
    let sample = Sample::of(setting, tasks, before.map(|gauge| &gauge.sample));
    let nothing = State::default();
    let (state, decision) = autoscale::decide(options, before.map_or(&nothing, |gauge| &gauge.state), &sample);
    Gauge { state, sample, decision }
}

impl LeaderState {
    /// Measures the load, and counts workers, tasks and pipelines by state.
    pub(super) fn sample(&mut self) {
        let workers = self.cluster.workers(self.tools.clock.now());
        let setting = setting(self.tools.clock.unix_ms(), &workers);
        let wanted: BTreeSet<&PipelineId> = self
            .records
            .values()
            .filter(|record| record.desired_state == DesiredState::Run)
            .map(|record| record.id())
            .collect();
        let mut loads: BTreeMap<PipelineId, Vec<TaskLoad>> = BTreeMap::new();
        for task in self.cluster.tasks(None).iter().filter(|task| wanted.contains(&task.id.pipeline)) {
            loads.entry(task.id.pipeline.clone()).or_default().push(load(task));
        }
        self.scaling.observe(setting, &loads);
        let desired = self.scaling.overall().map_or(0, |decision| decision.desired_workers);
        self.tools.metrics.desired_workers.set(desired.into());
        self.tools.metrics.take_census(&self.census());
    }
}

fn setting(at_ms: i64, workers: &[WorkerView]) -> Setting {
    let alive = workers.iter().filter(|worker| worker.state == WorkerState::Alive);
    let slots: Vec<u64> = alive.map(|worker| worker.slots.into()).collect();
    let mean = slots.iter().sum::<u64>().checked_div(slots.len() as u64).unwrap_or(0);
    Setting {
        at_ms,
        workers_alive: u32::try_from(slots.len()).unwrap_or(u32::MAX),
        slots_per_worker: u32::try_from(mean).unwrap_or(u32::MAX),
    }
}

fn load(task: &TaskView) -> TaskLoad {
    TaskLoad {
        lag: task.lag,
        rows_per_message: task.rows_per_message,
        rows_per_second: task.rows_per_second,
        busy_ratio: task.busy_ratio,
        watermark_ms: task.watermark.map(|time| time.0),
    }
}
