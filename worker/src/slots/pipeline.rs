//! A pipeline as a worker runs it: planned here, from its text, and once for all of its tasks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use davy_engine::connector::Writers;
use davy_engine::metrics::Metrics;
use davy_engine::plan::{Pipeline, SinkPlan};
use davy_engine::sql::{PlanRequest, plan};
use davy_engine::{Error, Result};
use davy_proto::domain::{DataflowShape, PipelineSpec, Script, TaskId};
use prometheus::Registry;

use crate::connector::LocalConnectors;
use crate::exposition::of_prometheus;
use crate::host::kafka::{KafkaTask, cluster_of, tasks_of};
use crate::host::sinks::check_over_kafka;
use crate::host::{HostOptions, Shared, TaskCount};
use crate::lookups::Reloading;

pub(super) struct Ready {
    pub(super) shared: Shared,
    /// By dataflow, from 1.
    tasks: Vec<(u32, KafkaTask)>,
    /// As long as the pipeline is here.
    _reloading: Reloading,
}

impl Ready {
    pub(super) fn task(&self, id: &TaskId) -> Option<&KafkaTask> {
        let is_it = |(dataflow, task): &&(u32, KafkaTask)| {
            *dataflow == id.dataflow && task.stage + 1 == id.stage as usize && task.index == id.index
        };
        self.tasks.iter().find(is_it).map(|(_, task)| task)
    }
}

/// A pipeline that some tasks of this worker belong to. The first task plans it; the others wait for that.
pub(super) struct Loaded {
    pub(super) spec: Arc<PipelineSpec>,
    /// Holds metrics once the pipeline is planned. They disappear from scrapes when the worker drops the pipeline.
    pub(super) registry: Registry,
    ready: Mutex<Option<Arc<Ready>>>,
}

impl Loaded {
    pub(super) fn new(spec: Arc<PipelineSpec>) -> Self {
        Self { registry: registry_of(&spec.id.to_string()), spec, ready: Mutex::default() }
    }

    /// Plans the pipeline once. After a failure, the next call tries again.
    pub(super) fn ready(&self, connectors: &LocalConnectors, options: &HostOptions) -> Result<Arc<Ready>> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = &*ready {
            return Ok(Arc::clone(ready));
        }
        let made = Arc::new(self.load(connectors, options)?);
        *ready = Some(Arc::clone(&made));
        Ok(made)
    }

    fn load(&self, connectors: &LocalConnectors, options: &HostOptions) -> Result<Ready> {
        let spec = &*self.spec;
        let pipeline = plan_for_cluster(&spec.script, Some(&spec.kafka_name), connectors)?;
        check_fingerprints(spec, &pipeline)?;
        let n_tasks = |shape: &DataflowShape| shape.stages.iter().map(|stage| stage.n_tasks).collect();
        let tasks = TaskCount::Decided(spec.dataflows.iter().map(n_tasks).collect());
        let options = HostOptions { tasks, ..options.clone() };
        let open = |plan: &SinkPlan| Err(prints_rows(&plan.name));
        let shared = Shared::open(&pipeline, open, options, Arc::new(Metrics::default()))?;
        let (functions, lookups) = (pipeline.functions.clone(), pipeline.lookups.clone());
        let mut tasks = Vec::new();
        for (number, dataflow) in (1..).zip(pipeline.dataflows) {
            let cluster =
                cluster_of(&dataflow)?.ok_or_else(|| Error::internal("a dataflow without a topic was planned"))?;
            let of_dataflow = tasks_of(&shared, &cluster, number as usize, &Arc::new(dataflow))?;
            tasks.extend(of_dataflow.into_iter().map(|task| (number, task)));
        }
        shared.metrics.register(&self.registry).map_err(of_prometheus)?;
        for function in functions {
            function.register(&self.registry).map_err(of_prometheus)?;
        }
        for lookup in &lookups {
            lookup.metrics.register(&self.registry).map_err(of_prometheus)?;
        }
        Ok(Ready { shared, tasks, _reloading: Reloading::start(&lookups)? })
    }
}

/// A registry whose metrics have the pipeline as label.
pub(crate) fn registry_of(id: &str) -> Registry {
    let labels = HashMap::from([("pipeline".to_owned(), id.to_owned())]);
    Registry::new_custom(None, Some(labels)).expect("there is a label")
}

/// Plans a script of which every INSERT can be spread over workers.
pub(crate) fn plan_for_cluster(
    script: &Script,
    kafka_name: Option<&str>,
    connectors: &LocalConnectors,
) -> Result<Pipeline> {
    let mut pipeline = plan(&PlanRequest { text: &script.sql, connectors, settings: &script.settings })?;
    if let Some(name) = kafka_name {
        // Overrides the script's own name: two pipelines of one script must not share their positions.
        pipeline.name = Some(name.to_owned());
    }
    if let Some(printed) = pipeline.sinks.iter().find(|sink| sink.table.is_none()) {
        return Err(prints_rows(&printed.name));
    }
    for (index, dataflow) in pipeline.dataflows.iter().enumerate() {
        if cluster_of(dataflow)?.is_none() {
            return Err(Error::invalid(format!(
                "INSERT {} (into `{}`) reads no topic, so no worker could go on where another one stopped",
                index + 1,
                dataflow.sink
            ))
            .hint("run it by `davy run`, or bring its input into a topic and read that"));
        }
    }
    check_over_kafka(&pipeline, Writers::Workers)?;
    Ok(pipeline)
}

fn prints_rows(name: &str) -> Error {
    Error::invalid(format!("the rows of `{name}` would go to a terminal, and a worker has none"))
        .hint("write them into a table: INSERT INTO … SELECT …")
}

/// A fingerprint as it is shown and compared.
pub(crate) fn show_fingerprint(fingerprint: u64) -> String {
    format!("{fingerprint:016x}")
}

fn check_fingerprints(spec: &PipelineSpec, pipeline: &Pipeline) -> Result<()> {
    let planned: Vec<String> =
        pipeline.dataflows.iter().map(|dataflow| show_fingerprint(dataflow.fingerprint)).collect();
    let wanted: Vec<&String> = spec.dataflows.iter().map(|shape| &shape.fingerprint).collect();
    if planned.iter().eq(wanted.iter().copied()) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "pipeline `{}`: the coordinator plans {wanted:?}, this build plans {planned:?}",
        spec.id
    ))
    .hint("let the coordinator and all workers be of one version, and see the same models and environment"))
}
