//! The state that survives the coordinator: pipelines, and the numbers that only grow.
//!
//! | where | for |
//! |---|---|
//! | a compacted Kafka topic | clusters: one writer leads and fences the older one, others stand by |
//! | a local file | one coordinator on one machine |
//! | memory | tests and `davy dev` |

pub mod file;
pub mod kafka;
pub mod memory;
mod state;

use serde::{Deserialize, Serialize};

use crate::model::PipelineRecord;
use davy_proto::domain::{Epoch, PipelineId, Term};

/// A later record of the same key replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// A pipeline; its key is its id.
    Pipeline(Box<PipelineRecord>),
    /// A pipeline that is forgotten.
    Forgotten { id: PipelineId },
    /// No epoch at or above this one has been granted.
    Epochs {
        /// The first epoch that the next leader may grant.
        ceiling: Epoch,
    },
    Leader {
        /// Greater than that of every earlier leader.
        term: Term,
        /// Where clients and workers reach it.
        address: String,
    },
}

/// The contents of a catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// In order of their ids.
    pub pipelines: Vec<PipelineRecord>,
    /// The first epoch that may be granted.
    pub ceiling: Epoch,
    /// Term of the last leader.
    pub term: Term,
    /// Address of the last leader.
    pub leader: Option<String>,
}

/// Why the catalog could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Another coordinator leads: step down.
    #[error("{0}")]
    Fenced(String),
    #[error("{0}")]
    Unavailable(String),
    /// The contents are not what was written: a person must look.
    #[error("{0}")]
    Corrupt(String),
}

/// Stores records. Calls block; one thread owns it.
pub trait Catalog: Send {
    /// Waits until this coordinator leads, or until `is_over` returns true (`None`), and returns the contents.
    /// From then on older leaders' writes fail.
    fn lead(&mut self, is_over: &dyn Fn() -> bool) -> Result<Option<Snapshot>, CatalogError>;

    /// Writes all of `records`, or none of them.
    fn write(&mut self, records: &[Record]) -> Result<(), CatalogError>;

    /// Whether this coordinator still leads, as far as is known without waiting; called about once a second.
    fn still_leads(&mut self) -> Result<(), CatalogError>;
}
