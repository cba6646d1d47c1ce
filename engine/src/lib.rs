//! Davy's engine: SQL to dataflow, formats, operators, tasks and the in-memory log.
//!
//! Pure: no files, no sockets, no clock of its own, no tokio in the data path. The worker crate brings the outside world.

pub mod connector;
pub mod error;
pub mod format;
pub mod log;
pub mod lookup;
pub mod metrics;
pub mod operator;
pub mod options;
pub mod plan;
pub mod recovery;
pub mod sql;
pub mod task;
pub mod time;
pub mod udf;

pub use error::{Diagnostic, Error, Location, Result};
