//! The log behind a task: where its input comes from and what makes its progress true.
//!
//! Two small traits carry everything: a [`Source`] gives input by split and position, a [`Commit`] makes rows, partials and
//! positions visible in one atomic step and fences older owners. Kafka, local files and the in-memory log implement them.

pub mod memory;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::error::Result;
use crate::operator::watermark::WatermarkVector;
use crate::time::Watermark;

/// Names a split: a file's path, `topic/partition`, `exchange/partition`. Ordered, so that vectors over splits are stable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SplitId(pub Arc<str>);

impl fmt::Display for SplitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<&str> for SplitId {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

/// Where reading resumes in a split: the next offset. `Position(42)` committed means offsets `..42` are in state and output.
///
/// The unit is the connector's: a Kafka offset, a byte in a (decompressed) file, a row of a generator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64);

/// A piece of input from one split.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Where it is from.
    pub split: SplitId,
    /// Where it begins.
    pub start: Position,
    /// Where reading goes on after it.
    pub next: Position,
    /// The first line of the split, given with the first piece after an `assign` that did not start at 0.
    pub preamble: Option<Arc<[u8]>>,
    /// What was read. May be empty when only `end_of_split` is to be told.
    pub payload: Payload,
    /// Nothing comes after this: the split is bounded and read to its end.
    pub end_of_split: bool,
}

/// What was read.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Whole records in the table's format (for line formats: whole lines).
    Bytes(Vec<u8>),
    /// Rows that need no decoding (arrow, parquet, generators), in the schema that the source was opened with.
    Batch(RecordBatch),
    /// Partial aggregates from an earlier stage.
    Partials(Partials),
}

/// A flush of one stage's task into an exchange.
#[derive(Clone, Debug)]
pub struct Partials {
    /// Which task of the stage this is from, counted over all stages that write to the exchange.
    pub sender: u32,
    /// How many such tasks there are: until all have spoken, no watermark holds.
    pub senders: u32,
    /// Rows `pane, keys…, states…` (see [`crate::operator::window`]); `None` when only the watermarks moved.
    pub batch: Option<RecordBatch>,
    /// The sender's watermark per source split; a split that is idle is marked so. Last one wins.
    pub watermarks: Arc<BTreeMap<SplitId, SplitTime>>,
}

/// What is known of a split's event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitTime {
    /// Rows are coming: their watermark.
    Active(Watermark),
    /// Nothing has come for `idle_timeout` and nothing waits: set aside, but not forgotten.
    Idle(Watermark),
}

/// What a poll found.
#[derive(Clone, Debug)]
pub enum Polled {
    /// Input.
    Data(Fetched),
    /// Nothing now; ask again.
    Pending,
    /// Every assigned split is bounded and has been read to its end.
    End,
}

/// Gives input, by split and position. One source serves one task.
pub trait Source: Send {
    /// The splits that exist now, in a stable order. New ones may appear in a later call.
    fn splits(&mut self) -> Result<Vec<SplitId>>;

    /// Reads `split` from `from` on; a second call for the same split moves it there and gives up what was read ahead.
    fn assign(&mut self, split: &SplitId, from: Position) -> Result<()>;

    /// Reads the next piece of any assigned split; does not wait longer than some milliseconds.
    fn poll(&mut self) -> Result<Polled>;
}

/// Makes progress true.
pub trait Commit: Send {
    /// Fences every older owner of the task, then reads its last commit.
    fn take_over(&mut self) -> Result<Option<CommitRecord>>;

    /// Makes rows, partials and the record visible, all or nothing. [`crate::Error::Fenced`] when a newer owner exists.
    fn commit(&mut self, transaction: Transaction) -> Result<()>;
}

/// All that one commit carries.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// Partials by exchange and partition.
    pub partials: Vec<(ExchangeId, u32, Partials)>,
    /// Rows by sink table (results, late rows, dead letters).
    pub rows: Vec<(Arc<str>, RecordBatch)>,
    /// Progress.
    pub record: CommitRecord,
    /// Nothing will follow: sinks close their files.
    pub last: bool,
}

/// Names an exchange: the repartition log between two stages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub Arc<str>);

/// What recovery needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitRecord {
    /// The plan that wrote it (see [`crate::plan`]); recovery refuses another's.
    pub fingerprint: u64,
    /// Where reading resumes.
    pub positions: BTreeMap<SplitId, Position>,
    /// For stage 2: where replay begins, the earliest position that still holds part of an open window.
    pub replay_from: BTreeMap<SplitId, Position>,
    /// For stage 1: watermarks by source split at this commit.
    pub watermarks: BTreeMap<SplitId, i64>,
    /// For stage 2: what the senders had told, by the split they were heard on.
    pub heard: BTreeMap<SplitId, WatermarkVector>,
    /// For stage 2: every window that ends at or before this is in the output.
    pub closed_through: Option<i64>,
}

/// Where a table's rows go. Implemented by connectors; driven by a [`Commit`].
pub trait Sink: Send {
    /// Stages rows; nothing becomes visible before `commit`.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Makes the staged rows visible, atomically where the medium can.
    fn commit(&mut self) -> Result<()>;

    /// Drops the staged rows.
    fn abort(&mut self) -> Result<()>;

    /// After the last commit: closes (and for rolling files, publishes) what is open.
    fn finish(&mut self) -> Result<()>;
}
