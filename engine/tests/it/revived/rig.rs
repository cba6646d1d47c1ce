//! Owners of one task, over a store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use davy_engine::log::Source;
use davy_engine::log::transactions::{Destination, TransactionalCommit, TransactionalOptions};
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
}

impl Rig {
    /// The only task of a stage, which reads all partitions.
    pub fn new(pipeline: Pipeline, stage: usize, n_partitions: u32) -> Self {
        let dataflow = Arc::new(pipeline.dataflows.into_iter().next().expect("a query"));
        Self { dataflow, sinks: pipeline.sinks, stage, n_partitions }
    }

    /// A new owner.
    pub fn start(&self, source: Box<dyn Source>, store: &Store, now: Duration) -> Task {
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
        let parts = TaskParts {
            name: "0/0/0".into(),
            dataflow: Arc::clone(&self.dataflow),
            stage: self.stage,
            n_tasks: vec![1; self.dataflow.stages.len()].into(),
            index: 0,
            n_partitions: self.n_partitions,
            source,
            commit: Box::new(TransactionalCommit::new(store.client(), options)),
            budget: Budget::new(usize::MAX, Arc::new(MemorySpill)).expect("a budget"),
            metrics: Arc::default(),
            board: Arc::default(),
            run_start: 0,
            rows_per_advance: ROWS_PER_ADVANCE,
            probe: |_| (),
        };
        Task::recover(parts, now).unwrap_or_else(|error| panic!("the task does not recover: {error}"))
    }
}
