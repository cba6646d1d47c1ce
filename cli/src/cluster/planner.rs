//! The coordinator's planner: the worker's own code, so that both plan the same.

use std::time::Duration;

use davy_coordinator::model::{DataflowShape, StageShape};
use davy_coordinator::planner::{Planner, Refusal, Script, Tail, TopicRow};
use davy_engine::Error;
use davy_proto::domain::{self, TailRow};
use davy_worker::connector::LocalConnectors;
use davy_worker::slots::planning::{self, Conflict};

pub(crate) struct LocalPlanner {
    pub(crate) connectors: LocalConnectors,
}

impl Planner for LocalPlanner {
    fn plan(&self, script: &Script) -> Result<Vec<DataflowShape>, Refusal> {
        let shapes = planning::shapes(&of_domain(script), &self.connectors).map_err(refusal)?;
        Ok(shapes.into_iter().map(dataflow).collect())
    }

    fn explain(&self, script: &Script) -> Result<String, Refusal> {
        planning::explain(&of_domain(script), &self.connectors).map_err(refusal)
    }

    fn place(&self, script: &Script, kafka_name: &str, wanted: u32) -> Result<Vec<DataflowShape>, Refusal> {
        match planning::shapes_on_broker(&of_domain(script), kafka_name, wanted, &self.connectors).map_err(refusal)? {
            Ok(shapes) => Ok(shapes.into_iter().map(dataflow).collect()),
            Err(Conflict(message)) => Err(Refusal::Precondition {
                message,
                hint:
                    "keep that part of the query as it was, or begin anew (update --fresh): what is in open windows is \
                       then lost, and the topics are read from where the script says"
                        .to_owned(),
            }),
        }
    }

    fn tail(&self, script: &Script, table: Option<&str>, from_beginning: bool) -> Result<Box<dyn Tail>, Refusal> {
        let tail =
            planning::Tail::open(&of_domain(script), table, from_beginning, &self.connectors).map_err(refusal)?;
        Ok(Box::new(LocalTail(tail)))
    }
}

struct LocalTail(planning::Tail);

impl Tail for LocalTail {
    fn next(&mut self, wait: Duration) -> Result<Vec<TopicRow>, Refusal> {
        let rows = self.0.next(wait).map_err(refusal)?;
        let row = |TailRow { topic, partition, offset, written_at_ms, key, value }| TopicRow {
            topic,
            partition,
            offset,
            written_at_ms,
            key,
            value,
        };
        Ok(rows.into_iter().map(row).collect())
    }
}

fn of_domain(script: &Script) -> domain::Script {
    domain::Script { sql: script.sql.clone(), settings: script.settings.clone() }
}

fn dataflow(shape: domain::DataflowShape) -> DataflowShape {
    let stages =
        shape.stages.into_iter().map(|stage| StageShape { input: stage.input, n_tasks: stage.n_tasks }).collect();
    DataflowShape { sink: shape.sink, fingerprint: shape.fingerprint, stages }
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Invalid(diagnostic) => Refusal::Invalid {
            message: diagnostic.message,
            place: diagnostic.location.map(|at| (at.line, at.column)),
            hint: diagnostic.hint,
        },
        Error::Unavailable(message) | Error::OutOfMemory(message) | Error::Fenced(message) => {
            Refusal::Unavailable(message)
        }
        Error::Internal(message) => Refusal::Internal(message),
    }
}
