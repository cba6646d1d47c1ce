//! A pipeline as a worker runs it: planned here, from its text, and once for all of its tasks.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use davy_engine::metrics::Metrics;
use davy_engine::plan::{Pipeline, SinkPlan};
use davy_engine::sql::{PlanRequest, plan};
use davy_engine::{Error, Result};
use prometheus::Registry;

use crate::connector::LocalConnectors;
use crate::exposition::of_prometheus;
use crate::host::kafka::{KafkaTask, cluster_of, tasks_of};
use crate::host::{HostOptions, Shared};

/// What is needed to plan a pipeline: text, never a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipelineText {
    /// `<tenant>/<name>`.
    pub id: String,
    /// Grows with each change of what follows.
    pub spec_version: u64,
    /// Its name on the broker.
    pub kafka_name: String,
    pub sql: String,
    /// As with `--set`.
    pub settings: BTreeMap<String, String>,
    /// Of each INSERT: the fingerprint of its plan, and how many tasks its stages have.
    pub dataflows: Vec<(String, Vec<u32>)>,
}

/// A planned pipeline.
pub(super) struct Ready {
    pub(super) shared: Shared,
    tasks: Vec<(usize, KafkaTask)>,
}

impl Ready {
    /// A task by its position; dataflow and stage count from 1.
    pub(super) fn task(&self, dataflow: usize, stage: usize, index: u32) -> Option<&KafkaTask> {
        let is_it =
            |(number, task): &&(usize, KafkaTask)| (*number, task.stage + 1, task.index) == (dataflow, stage, index);
        self.tasks.iter().find(is_it).map(|(_, task)| task)
    }
}

/// A pipeline that some tasks of this worker belong to. The first task plans it; the others wait for that.
pub(super) struct Loaded {
    /// Holds metrics once the pipeline is planned. They disappear from scrapes when the worker drops the pipeline.
    pub(super) registry: Registry,
    ready: Mutex<Option<Arc<Ready>>>,
}

impl Loaded {
    pub(super) fn new(id: &str) -> Self {
        Self { registry: registry_of(id), ready: Mutex::default() }
    }

    /// Plans the pipeline once. After a failure, the next call tries again.
    pub(super) fn ready(
        &self,
        text: &PipelineText,
        connectors: &LocalConnectors,
        options: &HostOptions,
    ) -> Result<Arc<Ready>> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = &*ready {
            return Ok(Arc::clone(ready));
        }
        let made = Arc::new(self.load(text, connectors, options)?);
        *ready = Some(Arc::clone(&made));
        Ok(made)
    }

    fn load(&self, text: &PipelineText, connectors: &LocalConnectors, options: &HostOptions) -> Result<Ready> {
        let pipeline = plan_for_cluster(&text.sql, &text.settings, Some(&text.kafka_name), connectors)?;
        check_fingerprints(text, &pipeline)?;
        let n_tasks = Some(text.dataflows.iter().map(|(_, n_tasks)| n_tasks.clone()).collect());
        let options = HostOptions { n_tasks, ..options.clone() };
        let open = |plan: &SinkPlan| Err(prints_rows(&plan.name));
        let shared = Shared::open(&pipeline, open, options, Arc::new(Metrics::default()))?;
        let functions = pipeline.functions.clone();
        let mut tasks = Vec::new();
        for (index, dataflow) in pipeline.dataflows.into_iter().enumerate() {
            let cluster =
                cluster_of(&dataflow)?.ok_or_else(|| Error::internal("a dataflow without a topic was planned"))?;
            let of_dataflow = tasks_of(&shared, &cluster, index + 1, &Arc::new(dataflow))?;
            tasks.extend(of_dataflow.into_iter().map(|task| (index + 1, task)));
        }
        shared.metrics.register(&self.registry).map_err(of_prometheus)?;
        for function in functions {
            function.register(&self.registry).map_err(of_prometheus)?;
        }
        Ok(Ready { shared, tasks })
    }
}

/// A registry whose metrics have the pipeline as label.
pub(crate) fn registry_of(id: &str) -> Registry {
    let labels = HashMap::from([("pipeline".to_owned(), id.to_owned())]);
    Registry::new_custom(None, Some(labels)).expect("there is a label")
}

/// Plans a script of which every INSERT can be spread over workers.
pub(crate) fn plan_for_cluster(
    sql: &str,
    settings: &BTreeMap<String, String>,
    kafka_name: Option<&str>,
    connectors: &LocalConnectors,
) -> Result<Pipeline> {
    let mut pipeline = plan(&PlanRequest { text: sql, connectors, settings })?;
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

fn check_fingerprints(text: &PipelineText, pipeline: &Pipeline) -> Result<()> {
    let planned: Vec<String> =
        pipeline.dataflows.iter().map(|dataflow| show_fingerprint(dataflow.fingerprint)).collect();
    let wanted: Vec<&String> = text.dataflows.iter().map(|(fingerprint, _)| fingerprint).collect();
    if planned.iter().eq(wanted.iter().copied()) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "pipeline `{}`: the coordinator plans {wanted:?}, this build plans {planned:?}",
        text.id
    ))
    .hint("let the coordinator and all workers be of one version, and see the same models and environment"))
}
