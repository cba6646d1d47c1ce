//! The tasks of a pipeline over records that are read poll by poll.

use std::sync::Arc;
use std::time::Duration;

use davy_engine::connector::Share;
use davy_engine::log::memory::MemoryLog;
use davy_engine::log::{ExchangeId, Source};
use davy_engine::metrics::Metrics;
use davy_engine::operator::spill::{Budget, MemorySpill};
use davy_engine::plan::{Dataflow, StageInput};
use davy_engine::task::{Step, Task, TaskParts};
use davy_engine::time::format_ns;

use super::{Row, SINK};
use crate::random::Rng;
use crate::random::scripts::BOUND_MS;
use crate::support::{Event, World, lines};

pub(super) struct Record {
    pub(super) time_ms: i64,
    pub(super) text: String,
}

impl Record {
    pub(super) fn new(time_ms: i64, key: &str, value: i64) -> Self {
        let text = format!("{{\"ts\":\"{}\",\"k\":\"{key}\",\"v\":{value}}}", format_ns(time_ms * 1_000_000));
        Self { time_ms, text }
    }
}

/// Rows within the bound on disorder, in one split.
pub(super) fn records(rng: &mut Rng) -> Vec<Record> {
    let mut latest = rng.between(-30_000, 30_000);
    let record = |_| {
        latest += rng.between(0, 3_000);
        let time_ms = latest - if rng.percent(50) { rng.between(0, BOUND_MS - 1) } else { 0 };
        let (key, value) = (rng.pick(&["a", "b", "c"]), rng.between(0, 12));
        Record::new(time_ms, key, value)
    };
    (0..40).map(record).collect()
}

/// The tasks of a pipeline, one per stage.
pub(super) struct Rig {
    log: MemoryLog,
    dataflow: Arc<Dataflow>,
    rows_per_advance: usize,
    budget: Budget,
    tasks: Vec<Task>,
    n_seen: usize,
}

impl Rig {
    pub(super) fn new(text: &str, records: &[Record], rows_per_advance: usize) -> Self {
        Self::with_polls(text, records, rows_per_advance, 1)
    }

    /// Reads so many records at once.
    pub(super) fn with_polls(text: &str, records: &[Record], rows_per_advance: usize, records_per_poll: usize) -> Self {
        let events = records.iter().map(|record| Event::Record("0".into(), record.text.clone())).collect();
        let world = World { records_per_poll, ..World::new([("flows".to_owned(), events)].into()) };
        let mut pipeline = world.plan(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let dataflow = Arc::new(pipeline.dataflows.remove(0));
        let log = MemoryLog::keeping_rows();
        let budget = Budget::new(usize::MAX, Arc::new(MemorySpill)).unwrap();
        let mut rig = Self { log, dataflow, rows_per_advance, budget, tasks: Vec::new(), n_seen: 0 };
        rig.start();
        rig
    }

    /// The same tasks with this budget.
    pub(super) fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self.start();
        self
    }

    /// New owners take over from the last commits.
    pub(super) fn start(&mut self) {
        self.tasks = (0..self.dataflow.stages.len()).map(|stage| self.task(stage)).collect();
    }

    fn task(&self, stage: usize) -> Task {
        let name: Arc<str> = format!("0/{stage}/0").into();
        let source: Box<dyn Source> = match &self.dataflow.stages[stage].input {
            StageInput::Table(plan) => plan.table.table.source(&plan.schema, Share { index: 0, count: 1 }).unwrap(),
            StageInput::Exchanges(inputs) => {
                let exchanges: Vec<ExchangeId> = inputs.iter().map(|input| input.aggregate.exchange.clone()).collect();
                Box::new(self.log.source_of(&exchanges, 0))
            }
        };
        let parts = TaskParts {
            commit: Box::new(self.log.commit_for(&name)),
            name,
            dataflow: Arc::clone(&self.dataflow),
            stage,
            n_tasks: vec![1; self.dataflow.stages.len()].into(),
            index: 0,
            n_partitions: 1,
            source,
            budget: self.budget.clone(),
            metrics: Arc::<Metrics>::default(),
            board: Arc::default(),
            run_start: 0,
            rows_per_advance: self.rows_per_advance,
            probe: |_| (),
        };
        Task::recover(parts, Duration::ZERO).unwrap()
    }

    /// Polls once more, and gives the rows that come of it.
    pub(super) fn read(&mut self) -> Vec<Row> {
        for (stage, task) in self.tasks.iter_mut().enumerate() {
            loop {
                let step = task.step(Duration::ZERO).unwrap();
                task.commit().unwrap();
                if stage == 0 || step == Step::Idle || step == Step::Ended {
                    break;
                }
            }
        }
        let all = lines(&self.log.rows(SINK));
        let new = all[self.n_seen..].iter().map(|line| Row::of_line(line)).collect();
        self.n_seen = all.len();
        new
    }
}
