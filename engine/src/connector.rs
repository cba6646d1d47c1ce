//! What planning needs from a connector; the worker crate implements it.
//!
//! Planning opens nothing that costs: a connector consumes its options and checks that what they name exists.

use std::any::Any;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{FieldRef, SchemaRef};
use davy_forest::scorer::{Backend, Scorer};

use crate::error::Result;
use crate::format::Format;
use crate::log::transactions::TransactionalSink;
use crate::log::{Sink, Source};
use crate::lookup::LookupFile;
use crate::options::Options;

/// Finds connectors by name.
pub trait Connectors: Send + Sync {
    /// The names that `connector = '…'` may have, for errors and `davy functions`.
    fn names(&self) -> Vec<&'static str>;

    /// The value of `${env:NAME}` or `${file:path}`; never put into an error.
    fn variable(&self, kind: &str, name: &str) -> Result<String> {
        Err(crate::Error::invalid(format!("`${{{kind}:{name}}}` cannot be resolved here")))
    }

    /// Loads the model of `CREATE FUNCTION … USING MODEL 'card'` and reproduces its golden rows.
    fn model(&self, card: &str, _backend: Backend) -> Result<Arc<Scorer>> {
        Err(crate::Error::invalid(format!("model `{card}` cannot be loaded here")))
    }

    /// Vets the library of `CREATE FUNCTION … USING LIBRARY 'path' WITH (sha256 = '…')`: whether it may be loaded here, and whether
    /// it is the one that is meant.
    fn library(&self, path: &str, _sha256: Option<&str>) -> Result<VettedLibrary> {
        Err(crate::Error::invalid(format!("library `{path}` cannot be loaded here")))
    }

    /// The time since any fixed moment, for the seconds that functions count.
    fn stopwatch(&self) -> Stopwatch {
        || Duration::ZERO
    }

    /// Makes the table of a CREATE TABLE; consumes the connector's own options.
    fn table(&self, request: TableRequest<'_>, options: &mut Options) -> Result<Arc<dyn Table>>;
}

/// A library that may be loaded.
#[derive(Debug)]
pub struct VettedLibrary {
    /// Where it is; absolute.
    pub path: PathBuf,
    /// Keeps it there until it is loaded.
    pub keep: Box<dyn Any + Send>,
}

/// The time since any fixed moment.
pub type Stopwatch = fn() -> Duration;

/// What the DDL says of a table, besides the connector's own options.
#[derive(Debug)]
pub struct TableRequest<'a> {
    /// `connector = '…'`; one of [`Connectors::names`].
    pub connector: &'a str,
    /// The table's name, for errors.
    pub name: &'a str,
    /// The declared physical columns (no METADATA, no generated ones), in order; may be empty.
    pub columns: &'a [FieldRef],
    /// `format = '…'` with its options, where given.
    pub format: Option<&'a Format>,
}

/// Which part of a source's splits a task reads: those with `index % count` equal to its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub index: usize,
    pub count: usize,
}

/// Which processes write a table over Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// The tasks of one process.
    OneProcess,
    /// The workers of a cluster, each task on any of them.
    Workers,
}

/// How tasks over Kafka write rows to a table that is no topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverKafka {
    /// Before the transaction: at least once. See [`Table::sink`].
    BeforeTransaction,
    /// With it: exactly once. See [`Table::transactional_sink`].
    WithTransaction,
}

/// The task that a sink is opened for.
#[derive(Clone, Copy, Debug)]
pub struct SinkTask<'a> {
    /// Its name, with its pipeline and its number: no other task has it.
    pub name: &'a str,
    /// Which of its stage's tasks.
    pub index: u32,
    /// See [`crate::log::offset_metadata::SplitMetadata::owner`].
    pub owner: u64,
}

/// A table as its connector sees it.
pub trait Table: Any + Debug + Send + Sync {
    /// The columns the connector brings when the DDL declares none (`impulse`, `netflow_generator`).
    fn default_columns(&self) -> Vec<FieldRef> {
        Vec::new()
    }

    /// The format where the DDL names none (`nfcapd` speaks nfdump's CSV).
    fn default_format(&self) -> Option<Format> {
        None
    }

    /// Whether it knows messages' metadata (`METADATA FROM 'offset'` and the like).
    fn has_metadata(&self) -> bool {
        false
    }

    /// Whether its splits are files that are read as a whole, so that a CSV row may have line ends in quotes.
    fn reads_files(&self) -> bool {
        false
    }

    /// A sink for another topic beside this one; `None` where there are no topics.
    fn side_topic(&self, _topic: &str, _format: &Format) -> Result<Option<Arc<dyn Table>>> {
        Ok(None)
    }

    /// The list of a lookup table; `None` for a table of a stream.
    fn lookup_file(&self) -> Option<Arc<dyn LookupFile>> {
        None
    }

    /// Whether it can be read.
    fn is_source(&self) -> bool;

    /// Whether it can be written.
    fn is_sink(&self) -> bool;

    /// Whether a later row replaces an earlier one with the same key.
    fn takes_updates(&self) -> bool {
        false
    }

    fn is_bounded(&self) -> bool;

    /// Whether [`Source::poll`] gives bytes in the table's format (true) or batches (false).
    fn reads_bytes(&self) -> bool;

    /// Opens a task's share for reading. With batches, they have exactly the columns of `schema` (what the query uses).
    fn source(&self, schema: &SchemaRef, share: Share) -> Result<Box<dyn Source>>;

    /// Opens for writing rows of `schema`.
    fn sink(&self, schema: &SchemaRef) -> Result<Box<dyn Sink>>;

    /// What writing rows of `schema` would be refused for, by their types.
    fn check_sink(&self, _schema: &SchemaRef) -> Result<()> {
        Ok(())
    }

    /// How tasks over Kafka write to it; an error where they cannot.
    fn over_kafka(&self, _writers: Writers) -> Result<OverKafka> {
        Ok(OverKafka::BeforeTransaction)
    }

    /// Opens for writing by one task over Kafka, with its transactions.
    fn transactional_sink(&self, _schema: &SchemaRef, _task: SinkTask<'_>) -> Result<Box<dyn TransactionalSink>> {
        Err(crate::Error::internal("a table that no transaction writes to"))
    }
}
