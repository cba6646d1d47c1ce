//! What the coordinator asks of someone who can plan SQL and look at topics; it knows neither itself.
//!
//! All calls block, and are made off the threads that answer clients.

use std::time::Duration;

use davy_proto::domain::{DataflowShape, Script, TailRow};

/// Why something cannot be, by what the client should do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Mend the script or a setting.
    #[error("{message}")]
    Invalid {
        message: String,
        /// Line and column in the script, from 1.
        place: Option<(u64, u64)>,
        /// How to fix it.
        hint: Option<String>,
    },
    /// State would be lost, or belongs to something else.
    #[error("{message}")]
    Precondition {
        /// What stands in the way.
        message: String,
        hint: String,
    },
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Internal(String),
}

/// Reads a topic as it grows: only what is committed.
pub trait Tail: Send {
    /// The rows that have come, after waiting for some for at most `wait`; may be none.
    fn next(&mut self, wait: Duration) -> Result<Vec<TailRow>, Refusal>;
}

/// Plans SQL, and looks at topics.
pub trait Planner: Send + Sync + 'static {
    /// Checks a script without asking any broker; every stage has `n_tasks` 0.
    fn plan(&self, script: &Script) -> Result<Vec<DataflowShape>, Refusal>;

    /// Its stages, keys, windows and decoded columns, for people.
    fn explain(&self, script: &Script) -> Result<String, Refusal>;

    /// Checks a script that is to run as `kafka_name` on a cluster of workers, and says how many tasks each stage has: as many as it
    /// had when it ran before under this name, else at most `wanted`. Asks the broker.
    fn plan_tasks(&self, script: &Script, kafka_name: &str, wanted: u32) -> Result<Vec<DataflowShape>, Refusal>;

    /// Reads the topic of a table that the script writes; `None`: of the only one.
    fn tail(&self, script: &Script, table: Option<&str>, from_beginning: bool) -> Result<Box<dyn Tail>, Refusal>;
}
