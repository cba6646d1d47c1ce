//! Owners of one task, over a store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use davy_engine::log::Source;
use davy_engine::log::transactions::{Destination, TransactionalCommit, TransactionalOptions};
use davy_engine::metrics::Metrics;
use davy_engine::operator::spill::{Budget, MemorySpill};
use davy_engine::plan::{Dataflow, Pipeline, SinkPlan};
use davy_engine::task::{ROWS_PER_ADVANCE, Task, TaskParts};

use super::store::Store;
use crate::sim::TextRows;

/// One task of a plan.
pub struct Rig {
    pub dataflow: Arc<Dataflow>,
    sinks: Vec<SinkPlan>,
    stage: usize,
    pub n_partitions: u32,
    budget: Budget,
    rows_per_advance: usize,
    pub metrics: Arc<Metrics>,
}

impl Rig {
    /// The only task of a stage, which reads all partitions.
    pub fn new(pipeline: Pipeline, stage: usize, n_partitions: u32) -> Self {
        let dataflow = Arc::new(pipeline.dataflows.into_iter().next().expect("a query"));
        let budget = Budget::new(usize::MAX, Arc::new(MemorySpill)).expect("a budget");
        let (rows_per_advance, metrics) = (ROWS_PER_ADVANCE, Arc::default());
        Self { dataflow, sinks: pipeline.sinks, stage, n_partitions, budget, rows_per_advance, metrics }
    }

    /// Owners that keep so much state in memory, and commit about so many rows of closed windows at once.
    #[must_use]
    pub fn with_limits(self, state_bytes: usize, rows_per_advance: usize) -> Self {
        Self { budget: Budget { state_bytes, ..self.budget }, rows_per_advance, ..self }
    }

    /// A new owner.
    pub fn start(&self, source: Box<dyn Source>, store: &Store, now: Duration) -> Task {
        let recovered = Task::recover(self.parts(source, store), now);
        recovered.unwrap_or_else(|error| panic!("the task does not recover: {error}"))
    }

    pub fn parts(&self, source: Box<dyn Source>, store: &Store) -> TaskParts {
        let rows = |sink: &SinkPlan| {
            let rows: Destination = Destination::Inside(Box::new(TextRows::new(Arc::clone(&sink.name), sink.clone())));
            (Arc::clone(&sink.name), rows)
        };
        let options = TransactionalOptions {
            name: "0/0/0".into(),
            task: 0,
            n_tasks: 1,
            owner: 1,
            exchanges: HashMap::new(),
            sinks: self.sinks.iter().map(rows).collect::<BTreeMap<_, _>>(),
            record_bytes_max: 1 << 20,
        };
        TaskParts {
            name: "0/0/0".into(),
            dataflow: Arc::clone(&self.dataflow),
            stage: self.stage,
            n_tasks: vec![1; self.dataflow.stages.len()].into(),
            index: 0,
            n_partitions: self.n_partitions,
            source,
            commit: Box::new(TransactionalCommit::new(store.client(), options)),
            budget: self.budget.clone(),
            metrics: Arc::clone(&self.metrics),
            board: Arc::default(),
            run_start: 0,
            rows_per_advance: self.rows_per_advance,
            probe: |_| (),
        }
    }
}
