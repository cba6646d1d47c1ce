//! Lookup tables: lists that rows of a stream are joined with, one entry per key.
//!
//! A list is data from outside: the worker reads it and hands its bytes in ([`LookupFile`]). Parsed and indexed it is a [`Snapshot`],
//! which never changes. A [`Lookup`] publishes one at a time, so a new version replaces the old one as a whole. A join with a lookup
//! table is no join to the engine but a call of [`function`] for each row: it needs no window and has no state.

mod function;
mod in_force;
mod networks;
mod snapshot;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};

use crate::error::Result;
use crate::format::Format;
use crate::metrics::LookupMetrics;
pub(crate) use function::{declaration, field, function, of_function};
pub(crate) use in_force::Pinned;
pub use networks::{Network, Networks, parse_address};
pub use snapshot::{Snapshot, Version};

/// Where a list is from.
pub trait LookupFile: fmt::Debug + Send + Sync {
    /// What it contains now.
    fn read(&self) -> Result<Vec<u8>>;

    /// How often a change is looked for; `None`: never.
    fn reload_interval(&self) -> Option<Duration> {
        None
    }
}

/// How a key of a list is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// By equality.
    Exact,
    /// An address with the networks that contain it; the longest prefix wins.
    Cidr,
}

/// What CREATE TABLE says of a lookup table.
#[derive(Clone, Debug)]
pub struct Declaration {
    pub name: Arc<str>,
    /// Its columns; only the key and columns that are NOT NULL have to have a value.
    pub columns: SchemaRef,
    /// Which column is the key.
    pub key: usize,
    pub matching: Match,
    pub format: Format,
}

impl Declaration {
    /// The columns as a query sees them: each may be null, since a row of a stream may have no entry.
    pub fn nullable_columns(&self) -> SchemaRef {
        let fields = self.columns.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// All that decides what a lookup means, except for what the list contains.
    fn describe(&self) -> String {
        let column = |field: &Arc<arrow::datatypes::Field>| format!("{} {}", field.name(), field.data_type());
        let columns: Vec<String> = self.columns.fields().iter().map(column).collect();
        let matching = match self.matching {
            Match::Exact => "exact",
            Match::Cidr => "cidr",
        };
        format!("{} ({}) key {} {matching}", self.name, columns.join(", "), self.columns.field(self.key).name())
    }
}

/// A lookup table of a script.
#[derive(Debug)]
pub struct Lookup {
    pub declaration: Declaration,
    pub metrics: LookupMetrics,
    file: Arc<dyn LookupFile>,
    published: RwLock<Arc<Snapshot>>,
}

impl Lookup {
    /// Reads the list for the first time: a list that cannot be used stops the start.
    pub fn load(declaration: Declaration, file: Arc<dyn LookupFile>) -> Result<Self> {
        let snapshot = Snapshot::parse(&declaration, &file.read()?)?;
        let metrics = LookupMetrics::new(&*declaration.name);
        metrics.entries.set(snapshot.n_entries() as i64);
        Ok(Self { declaration, metrics, file, published: RwLock::new(Arc::new(snapshot)) })
    }

    /// Publishes what the list contains now, if that is another version. After an error, the version before stays.
    pub fn reload(&self) -> Result<Option<Arc<Snapshot>>> {
        let read = self.file.read().and_then(|bytes| {
            if Version::of(&bytes) == self.published().version {
                return Ok(None);
            }
            Snapshot::parse(&self.declaration, &bytes).map(|snapshot| Some(Arc::new(snapshot)))
        });
        let changed = read.inspect_err(|_| self.metrics.reload_errors.inc())?;
        if let Some(snapshot) = &changed {
            *self.published.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(snapshot);
            self.metrics.entries.set(snapshot.n_entries() as i64);
            self.metrics.reloads.inc();
        }
        Ok(changed)
    }

    /// How often a change is to be looked for; `None`: never.
    pub fn reload_interval(&self) -> Option<Duration> {
        self.file.reload_interval()
    }

    /// What a commit calls it: a hash of its name.
    pub fn id(&self) -> u32 {
        crc32fast::hash(self.declaration.name.as_bytes())
    }

    /// The version that is published.
    pub fn published(&self) -> Arc<Snapshot> {
        Arc::clone(&self.published.read().unwrap_or_else(PoisonError::into_inner))
    }
}
