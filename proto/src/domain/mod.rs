//! The domain: one type for each concept, shared by the worker, the coordinator and the CLI.

mod ids;
mod script;
mod tail;
mod task;
mod tls;
mod units;

pub use ids::{Epoch, NAME_LENGTH_MAX, PipelineId, TaskId, Term, WorkerId, is_name};
pub use script::{DataflowShape, PipelineSpec, Script, StageShape};
pub use tail::TailRow;
pub use task::{Assignment, Phase, Release, Revocation, TaskReport};
pub use tls::{IdentityFiles, TlsFiles};
pub use units::{Bytes, EventTime, Messages, Rows};
