//! Plans a script for workers without running it: its dataflows, the state that it left on the broker, the rows it has written.

use std::time::Duration;

use davy_engine::plan::{Dataflow, Pipeline, StageInput};
use davy_engine::sql::{PlanRequest, explain::explain as explain_pipeline, plan};
use davy_engine::{Error, Result};
use davy_proto::domain::{DataflowShape, Script, StageShape, TailRow};

use super::pipeline::{plan_for_cluster, show_fingerprint};
use crate::connector::LocalConnectors;
use crate::connector::kafka::KafkaTable;
use crate::connector::kafka::tail::TopicTail;
use crate::host::kafka::{Missing, cluster_of, examine};
use crate::host::{HostOptions, Shared, TaskCount};

/// Why the state on the broker cannot be taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict(pub String);

/// Plans a script without a broker: every stage has 0 tasks.
pub fn shapes(script: &Script, connectors: &LocalConnectors) -> Result<Vec<DataflowShape>> {
    let pipeline = plan_for_cluster(script, None, connectors)?;
    Ok(pipeline.dataflows.iter().map(|dataflow| shape(dataflow, &[])).collect())
}

/// The stages, keys, windows and decoded columns of a script.
pub fn explain(script: &Script, connectors: &LocalConnectors) -> Result<String> {
    Ok(explain_pipeline(&plan(&PlanRequest { text: &script.sql, connectors, settings: &script.settings })?))
}

/// Plans a script that is to run as `kafka_name`, with the number of tasks of each stage: as many as when it ran before under this
/// name, else at most `wanted`. Changes nothing on the broker.
pub fn shapes_on_broker(
    script: &Script,
    kafka_name: &str,
    wanted: u32,
    connectors: &LocalConnectors,
) -> Result<Result<Vec<DataflowShape>, Conflict>> {
    let pipeline = plan_for_cluster(script, Some(kafka_name), connectors)?;
    let options = HostOptions { tasks: TaskCount::AtMost(wanted as usize), ..HostOptions::default() };
    let shared = Shared::for_planning(&pipeline, options)?;
    let mut shapes = Vec::new();
    for (index, dataflow) in pipeline.dataflows.iter().enumerate() {
        let cluster = cluster_of(dataflow)?.ok_or_else(|| Error::internal("a dataflow without a topic was planned"))?;
        let examined = examine(&shared, &cluster, (index + 1, dataflow), Missing::Leave)?;
        if let Some(other) = examined.other_states.first() {
            return Ok(Err(Conflict(format!(
                "INSERT {} (into `{}`) cannot take up the state that is there: it was left by plan `{}`, this one is `{}`; only \
                 what is above closed windows, and queries without windows, can be changed in place",
                index + 1,
                dataflow.sink,
                show_fingerprint(*other),
                show_fingerprint(dataflow.state_fingerprint)
            ))));
        }
        shapes.push(shape(dataflow, &examined.n_tasks));
    }
    Ok(Ok(shapes))
}

fn shape(dataflow: &Dataflow, n_tasks: &[u32]) -> DataflowShape {
    let input = |input: &StageInput| match input {
        StageInput::Table(plan) => plan.table.name.to_string(),
        StageInput::Exchanges(inputs) => {
            let names: Vec<&str> = inputs.iter().map(|input| &*input.aggregate.exchange.0).collect();
            names.join(", ")
        }
    };
    let n_tasks = n_tasks.iter().copied().chain(std::iter::repeat(0));
    let stages = dataflow.stages.iter().zip(n_tasks);
    DataflowShape {
        sink: dataflow.sink.to_string(),
        fingerprint: show_fingerprint(dataflow.fingerprint),
        stages: stages.map(|(stage, n_tasks)| StageShape { input: input(&stage.input), n_tasks }).collect(),
    }
}

/// Reads the topic of a table that a script writes, as it grows.
pub struct Tail(TopicTail);

impl Tail {
    /// From now on, or from the beginning; without a table's name, the only one that the script writes to.
    pub fn open(
        script: &Script,
        table: Option<&str>,
        from_beginning: bool,
        connectors: &LocalConnectors,
    ) -> Result<Self> {
        let pipeline = plan_for_cluster(script, None, connectors)?;
        let table = written_topic(&pipeline, table)?;
        Ok(Self(TopicTail::open(&table.cluster, &table.topic, from_beginning)?))
    }

    /// The committed rows that have come, after waiting for some for at most `wait`.
    pub fn next(&mut self, wait: Duration) -> Result<Vec<TailRow>> {
        self.0.next(wait)
    }
}

fn written_topic<'a>(pipeline: &'a Pipeline, named: Option<&str>) -> Result<&'a KafkaTable> {
    let topics: Vec<(&str, &KafkaTable)> = pipeline
        .sinks
        .iter()
        .filter_map(|sink| Some((&*sink.name, sink.table.as_deref().and_then(KafkaTable::of)?)))
        .collect();
    let names = topics.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match (named, topics.as_slice()) {
        (_, []) => Err(Error::invalid("the pipeline writes to no topic, so there is nothing to look at")),
        (None, [(_, only)]) => Ok(only),
        (None, _) => Err(Error::invalid("the pipeline writes to several tables").hint(format!("name one of {names}"))),
        (Some(named), _) => topics.iter().find(|(name, _)| *name == named).map(|(_, table)| *table).ok_or_else(|| {
            Error::invalid(format!("the pipeline writes to no table `{named}` that is a topic"))
                .hint(format!("tables are {names}"))
        }),
    }
}
