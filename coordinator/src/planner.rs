//! The coordinator's interface to planning SQL and reading topics, which it cannot do itself.
//!
//! All calls block, and run on threads for blocking work.

use std::time::Duration;

use davy_proto::Location;
use davy_proto::domain::{DataflowShape, Script, TailRow};

/// Refusals, by what the client should do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Fix the script or a setting.
    #[error("{message}")]
    Invalid { message: String, location: Option<Location>, hint: Option<String> },
    /// State would be lost, or belongs to something else.
    #[error("{message}")]
    Precondition { message: String, hint: String },
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Internal(String),
}

/// Reads the committed rows of a topic as it grows.
pub trait Tail: Send {
    /// New rows, after a wait of at most `wait`; may be none.
    fn next(&mut self, wait: Duration) -> Result<Vec<TailRow>, Refusal>;
}

pub trait Planner: Send + Sync + 'static {
    /// Checks a script without a broker; every stage has `n_tasks` 0.
    fn plan(&self, script: &Script) -> Result<Vec<DataflowShape>, Refusal>;

    /// Shows its stages, keys, windows and decoded columns, for people.
    fn explain(&self, script: &Script) -> Result<String, Refusal>;

    /// Checks a script that is to run as `kafka_name` on a cluster of workers, and says how many tasks each stage has: as many as it
    /// had when it ran before under this name, else at most `wanted`. Reads the broker's topics.
    fn plan_tasks(&self, script: &Script, kafka_name: &str, wanted: u32) -> Result<Vec<DataflowShape>, Refusal>;

    /// Reads the topic of a table that the script writes; `None`: of the only one.
    fn tail(&self, script: &Script, table: Option<&str>, from_beginning: bool) -> Result<Box<dyn Tail>, Refusal>;
}
