//! The log behind a task: where its input comes from and what makes its progress true.
//!
//! Two small traits carry everything: a [`Source`] gives input by split and position, a [`Commit`] makes rows, partials and
//! positions visible in one atomic step and fences older owners. Kafka, local files and the in-memory log implement them.

pub mod log_time;
pub mod memory;
pub mod offset_metadata;
pub mod sink_state;
pub mod transactions;
pub mod watermarks;
pub mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::error::Result;
use crate::format::BadReason;
use crate::log::offset_metadata::{OffsetMetadata, Reset};
use crate::log::watermarks::WatermarkVector;
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
    pub start: Position,
    /// Where reading goes on after it.
    pub next: Position,
    /// The first line of the split, given with the first piece after an `assign` that did not start at 0.
    pub preamble: Option<Arc<[u8]>>,
    /// What was read. May be empty when only `end_of_split` is set.
    pub payload: Payload,
    /// For bytes that were messages of a topic: which part of them each one was.
    pub messages: Option<Arc<Messages>>,
    /// Nothing comes after this: the split is bounded and read to its end.
    pub end_of_split: bool,
}

/// The messages that a piece of bytes is made of, in order. Every list has one entry per message; the last two are empty where
/// the query does not use them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// Where each ends in the bytes, its line end included.
    pub ends: Vec<u32>,
    pub positions: Vec<u64>,
    /// When they were made or appended, in milliseconds since 1970; -1 where it is not known.
    pub timestamps: Vec<i64>,
    /// Those without a byte.
    pub empty: Vec<EmptyMessage>,
    pub keys: Vec<Option<Vec<u8>>>,
    /// Their headers, as JSON.
    pub headers: Vec<Option<String>>,
}

/// A message without a byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmptyMessage {
    pub position: u64,
    /// Whether it has no value at all.
    pub is_tombstone: bool,
    pub key: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub enum Payload {
    /// Nothing: the position moved over records that are not for readers (transaction markers).
    Nothing,
    /// Whole records in the table's format (for line formats: whole lines).
    Bytes(Vec<u8>),
    /// Rows that need no decoding (arrow, parquet, generators), in the schema that the source was opened with.
    Batch(RecordBatch),
    /// Partial aggregates from an earlier stage.
    Partials(Partials),
    /// Part of a record with partials of this sender; the rest of it comes later.
    Piece { sender: u32 },
    /// Part of a record that began before the position where reading began.
    Remnant,
}

/// A flush of one stage's task into an exchange.
#[derive(Clone, Debug)]
pub struct Partials {
    /// Which task of the stage this is from, counted over all stages that write to the exchange.
    pub sender: u32,
    /// How many such tasks there are: until all have spoken, no watermark holds.
    pub senders: u32,
    /// Rows `pane, keys…, states…`; `None` when only the watermarks moved.
    pub batch: Option<RecordBatch>,
    /// The sender's watermark per source split; a split that is idle is in it as such. Last one wins.
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

impl SplitTime {
    /// The same, where it is not later than `limit`.
    pub(crate) fn at_most(self, limit: Watermark) -> Self {
        match self {
            Self::Active(watermark) => Self::Active(watermark.min(limit)),
            Self::Idle(watermark) => Self::Idle(watermark.min(limit)),
        }
    }
}

/// What a poll found.
#[derive(Clone, Debug)]
pub enum Polled {
    Data(Fetched),
    /// Nothing now; poll again.
    Pending,
    /// Every assigned split is bounded and has been read to its end.
    End,
}

/// Gives input, by split and position. One source serves one task.
pub trait Source: Send {
    /// The splits that exist now, in a stable order. New ones may appear in a later call.
    fn splits(&mut self) -> Result<Vec<SplitId>>;

    /// The splits that have appeared since the last call.
    fn joined(&mut self) -> Result<Vec<SplitId>> {
        Ok(Vec::new())
    }

    /// Whether what is gone from a split may be done without.
    fn accepts_loss(&self) -> bool {
        false
    }

    /// Where reading begins in a split that has no committed position: as the table says in a pipeline that starts, at the
    /// beginning in a split that has joined later.
    fn start(&mut self, _split: &SplitId, _has_joined: bool) -> Result<Position> {
        Ok(Position(0))
    }

    /// What of a split is still there; `None` where nothing ever goes.
    fn bounds(&mut self, _split: &SplitId) -> Result<Option<Bounds>> {
        Ok(None)
    }

    /// Says whether the query wants messages' keys and headers, before anything is read.
    fn want(&mut self, _keys: bool, _headers: bool) {}

    /// Where the split ends now: nothing waits for a task that has read to there. `None` where that is not known. The task checks this
    /// before it sets a split idle. May send a request to a broker.
    fn end(&mut self, _split: &SplitId) -> Result<Option<Position>> {
        Ok(Some(Position(0)))
    }

    /// Messages not yet read, as far as is known without a request.
    fn lag(&self) -> u64 {
        0
    }

    /// Holds a split back, or lets it go on.
    fn hold(&mut self, _split: &SplitId, _is_held: bool) -> Result<()> {
        Ok(())
    }

    /// Reads `split` from `from` on; a second call for the same split moves it there and gives up what was read ahead.
    fn assign(&mut self, split: &SplitId, from: Position) -> Result<()>;

    /// Reads the next piece of any assigned split; does not wait longer than some milliseconds.
    fn poll(&mut self) -> Result<Polled>;
}

pub trait Commit: Send {
    /// Fences every older owner of the task, then reads what was committed of `splits`.
    fn take_over(&mut self, splits: &[SplitId]) -> Result<Found>;

    /// Reads what was committed of splits that have joined since the task was taken over.
    fn find(&mut self, _joined: &[SplitId]) -> Result<Found> {
        Ok(Found::Whole(None))
    }

    /// Records the new owner before the task rebuilds its state, which may take long: an older owner that only learns that it is
    /// fenced would take the task back meanwhile.
    fn claim(&mut self) -> Result<()> {
        Ok(())
    }

    /// Whether an owner with precedence over this one has committed since. A fenced task checks this, because a broker that has
    /// aborted a transaction by itself returns the same error.
    fn is_superseded(&mut self) -> Result<bool> {
        Ok(true)
    }

    /// Makes rows, partials and the record visible, all or nothing. [`crate::Error::Fenced`] when a newer owner exists.
    fn commit(&mut self, transaction: Transaction) -> Result<()>;

    /// The rows for a table that the place does not take where they would go.
    fn unwritable(&mut self, _table: &str, _rows: &RecordBatch) -> Result<Vec<Unwritable>> {
        Ok(Vec::new())
    }

    /// Hands rows of a table over before the commit, where single rows may be refused; gives those that are. `None`: the rows go with
    /// the commit.
    fn deliver(&mut self, _table: &str, _rows: &RecordBatch) -> Result<Option<Vec<Unwritable>>> {
        Ok(None)
    }

    /// Whether rows are committed to files that the task's last commit has to close.
    fn has_open_files(&self) -> bool {
        false
    }
}

/// A row that the place does not take where it would go: a commit with it would fail, and be tried again for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritable {
    /// Which of the batch.
    pub row: usize,
    pub reason: BadReason,
    /// What a row does that its place does not take, such as ``has 9 bytes, topic `t` takes 8``.
    pub why: String,
    /// What a person can do.
    pub remedy: &'static str,
}

/// What of a split is still there: positions from `first` on, before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first that can still be read.
    pub first: Position,
    /// The one after the last.
    pub end: Position,
}

/// What a task finds of its last commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A log that keeps the record as it is.
    Whole(Option<Box<CommitRecord>>),
    /// A log that keeps a position and offset metadata per split; splits without a commit are not listed.
    Splits(Vec<FoundSplit>),
}

/// What is committed of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSplit {
    pub split: SplitId,
    pub position: Position,
    pub metadata: OffsetMetadata,
}

impl Found {
    /// The record of a log that keeps it whole.
    pub fn whole(self) -> Option<CommitRecord> {
        match self {
            Self::Whole(record) => record.map(|record| *record),
            Self::Splits(_) => None,
        }
    }
}

/// All that one commit carries.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// Partials by exchange and partition.
    pub partials: Vec<(ExchangeId, u32, Partials)>,
    /// Rows by sink table (results, late rows, dead letters).
    pub rows: Vec<(Arc<str>, RecordBatch)>,
    pub record: CommitRecord,
    /// Nothing will follow: sinks close their files.
    pub last: bool,
}

/// Names an exchange: the repartition log between two stages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub Arc<str>);

/// A window that has more rows than one commit should have, and is given out over several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartlyClosed {
    /// Its end; of sessions, the watermark by which they closed.
    pub window_end: i64,
    /// The rows of keys with a lesser place are in the output (see [`crate::operator`]'s `order`).
    pub place: u64,
}

/// From where on a replay judges the records of an exchange's partition that holds sessions (see [`log_time`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The earliest record that still holds part of an open session; those before it only bring watermarks.
    pub from: Position,
    /// The watermark before it.
    pub watermark: i64,
}

/// The versions of lookup tables' lists: a hash of the table's name, and a short hash of the list.
pub type LookupVersions = BTreeMap<u32, u32>;

/// What recovery needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitRecord {
    /// The plan that wrote it (see [`crate::plan`]); recovery refuses another's.
    pub fingerprint: u64,
    pub positions: BTreeMap<SplitId, Position>,
    /// For stage 2: where replay begins, the earliest position that still holds part of an open window.
    pub replay_from: BTreeMap<SplitId, Position>,
    /// For stage 2: how a replay judges what belongs to sessions, by the exchange's split.
    pub judged: BTreeMap<SplitId, Judged>,
    /// For stage 1: watermarks by source split at this commit.
    pub watermarks: BTreeMap<SplitId, i64>,
    /// For stage 1: the splits that were idle.
    pub idle: BTreeSet<SplitId>,
    /// For stage 2: what a reset of its watermark left to leave out, by the exchange's split.
    pub resets: BTreeMap<SplitId, Reset>,
    /// For stage 2: the watermark that all senders together had reported.
    pub expected: Option<i64>,
    /// For stage 2: the watermarks that senders had reported, by the exchange's split. Only a log whose senders end keeps it.
    pub heard: BTreeMap<SplitId, WatermarkVector>,
    /// For stage 2: every window that ends at or before this is in the output.
    pub closed_through: Option<i64>,
    /// For stage 2: the window after these that is partly in the output.
    pub partly_closed: Option<PartlyClosed>,
    /// With which lists the rows since the commit before were joined.
    pub lookups: LookupVersions,
}

/// Where a table's rows go, outside of transactions. Implemented by connectors; driven by a [`Commit`].
///
/// Files that tasks over Kafka write are a [`transactions::TransactionalSink`] instead.
pub trait Sink: Send {
    /// Stages rows; nothing becomes visible before `commit`.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// The rows that the medium does not take.
    fn unwritable(&mut self, _rows: &RecordBatch) -> Result<Vec<Unwritable>> {
        Ok(Vec::new())
    }

    /// Hands rows over at once, where the receiver may refuse single ones; gives those that it has refused. `None`: rows are written.
    fn deliver(&mut self, _rows: &RecordBatch) -> Result<Option<Vec<Unwritable>>> {
        Ok(None)
    }

    /// Makes the staged rows visible, atomically where the medium can.
    fn commit(&mut self) -> Result<()>;

    /// Drops the staged rows.
    fn abort(&mut self) -> Result<()>;

    /// After the last commit: closes (and for rolling files, publishes) what is open.
    fn finish(&mut self) -> Result<()>;
}
