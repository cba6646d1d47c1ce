//! The coordinator's planner: the worker's own code, so that both plan the same.

use std::time::Duration;

use davy_coordinator::planner::{Planner, Refusal, Tail};
use davy_engine::Error;
use davy_proto::Location;
use davy_proto::domain::{DataflowShape, Script, TailRow};
use davy_worker::connector::LocalConnectors;
use davy_worker::slots::planning::{self, Conflict};

pub(crate) struct LocalPlanner {
    pub(crate) connectors: LocalConnectors,
}

impl Planner for LocalPlanner {
    fn plan(&self, script: &Script) -> Result<Vec<DataflowShape>, Refusal> {
        planning::shapes(script, &self.connectors).map_err(refusal)
    }

    fn explain(&self, script: &Script) -> Result<String, Refusal> {
        planning::explain(script, &self.connectors).map_err(refusal)
    }

    fn plan_tasks(&self, script: &Script, kafka_name: &str, wanted: u32) -> Result<Vec<DataflowShape>, Refusal> {
        let planned = planning::shapes_on_broker(script, kafka_name, wanted, &self.connectors).map_err(refusal)?;
        planned.map_err(|Conflict(message)| Refusal::Precondition {
            message,
            hint: "keep that part of the query as it was, or start fresh (update --fresh): the contents of open windows are \
                   then lost, and the topics are read from where the script says"
                .to_owned(),
        })
    }

    fn tail(&self, script: &Script, table: Option<&str>, from_beginning: bool) -> Result<Box<dyn Tail>, Refusal> {
        let tail = planning::Tail::open(script, table, from_beginning, &self.connectors).map_err(refusal)?;
        Ok(Box::new(LocalTail(tail)))
    }
}

struct LocalTail(planning::Tail);

impl Tail for LocalTail {
    fn next(&mut self, wait: Duration) -> Result<Vec<TailRow>, Refusal> {
        self.0.next(wait).map_err(refusal)
    }
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Invalid(diagnostic) | Error::Data(diagnostic) => Refusal::Invalid {
            message: diagnostic.message,
            location: diagnostic.location.map(|at| Location { line: at.line, column: at.column }),
            hint: diagnostic.hint,
        },
        Error::Unavailable(message)
        | Error::OutOfMemory(message)
        | Error::Fenced(message)
        | Error::OutputClosed(message) => Refusal::Unavailable(message),
        Error::Internal(message) => Refusal::Internal(message),
    }
}
