//! Commits as Kafka's transactions: the protocol, over the calls of a client.
//!
//! Everything is encoded before the transaction begins, since an open one holds back every reader of the partitions it touches:
//! begin → rows and partials → positions with their offset metadata → commit, in one burst. Any error makes the task start again from its
//! last commit. The client is a trait, so that the same protocol runs over Kafka and over the simulator.
//!
//! **Files** are written in two phases around the transaction: what it covers is on the disk, hidden, before it begins; the
//! transaction carries how far each file is committed; and a file that it closes is published after it. A crash in between is mended by
//! the next owner, from what is committed. Taking over, the owner first commits that it has the files ([`Commit::claim`]): only then
//! does it change anything that an older owner could still have changed.
//!
//! [`Commit::claim`]: super::Commit::claim
//!
//! Taking over: fence the older owners and abort what they left open (`init`), then read the committed positions; read before,
//! they could be stale.
//!
//! **A fresh producer after trouble.** A commit whose request or answer was late leaves a request in the network that Kafka would
//! apply to the *next* transaction of the same epoch (before KIP-890, which librdkafka does not speak). So after trouble the
//! producer is replaced before the next transaction. That raises the epoch, which would also fence an owner that has come since;
//! so the positions are read again, and if they are not the ones written here, it is this owner that is too old.

mod commit;
mod sinks;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::sink_state::SinkState;
use super::{Position, SplitId, Unwritable};
use crate::error::Result;

pub use commit::{TransactionalCommit, TransactionalOptions};

/// A message to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub topic: Arc<str>,
    /// Which partition; `None`: by the key, else any.
    pub partition: Option<u32>,
    pub key: Option<Vec<u8>>,
    pub headers: Vec<(Cow<'static, str>, Vec<u8>)>,
    pub value: Vec<u8>,
    /// Milliseconds since 1970; `None`: the time at which it is written.
    pub timestamp_ms: Option<i64>,
    /// Whether it has no value at all: the dead letter of a message without one.
    pub is_tombstone: bool,
}

/// The calls of a transactional client that belongs to one task.
///
/// Errors: [`Error::Fenced`] when a newer owner has taken over; [`Error::Unavailable`] when the transaction cannot go on and the
/// task has to start again from its last commit.
pub trait Transactions: Send {
    /// Makes a fresh producer under the task's name: fences every older one and aborts what they left open.
    fn init(&mut self) -> Result<()>;

    /// The committed positions of `splits` with their metadata, once no transaction on them is open.
    fn committed(&mut self, splits: &[SplitId]) -> Result<Vec<(SplitId, Position, String)>>;

    fn begin(&mut self) -> Result<()>;

    /// Writes a message within it.
    fn produce(&mut self, message: Message) -> Result<()>;

    /// Commits positions with it.
    fn send_offsets(&mut self, positions: &[(SplitId, Position, String)]) -> Result<()>;

    /// Waits until all of it is written, and commits it.
    fn commit(&mut self) -> Result<()>;

    /// Gives it up, as far as that is possible now.
    fn abort(&mut self);

    /// Whether a request was late or a connection broke since the last transaction began.
    fn had_trouble(&self) -> bool;
}

/// Turns the rows of one sink table into messages.
pub trait RowEncoder: Send {
    /// Appends the messages of a batch.
    fn encode(&mut self, batch: &RecordBatch, messages: &mut Vec<Message>) -> Result<()>;

    /// The rows whose messages the topic would not take.
    fn unwritable(&mut self, _rows: &RecordBatch) -> Result<Vec<Unwritable>> {
        Ok(Vec::new())
    }
}

/// A sink that takes no part in the transaction: written before it, so its rows come at least once.
pub trait OutsideSink: Send {
    /// Writes the rows and waits until they are safe.
    fn write(&mut self, batches: &[RecordBatch]) -> Result<()>;

    /// The rows that it would not take.
    fn unwritable(&mut self, _rows: &RecordBatch) -> Result<Vec<Unwritable>> {
        Ok(Vec::new())
    }

    /// See [`super::Sink::deliver`].
    fn deliver(&mut self, _rows: &RecordBatch) -> Result<Option<Vec<Unwritable>>> {
        Ok(None)
    }
}

/// Whether a commit closes a file that is not full yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    WhenFull,
    /// The task ends, or gives its files up.
    Now,
}

/// A sink whose rows become visible with the transaction of the task that writes them, and not before: files.
///
/// An owner calls `recover` once, and `publish` when the state that `recover` returned is committed. Then, for each commit:
/// `prepare`, the transaction with the state, `publish`. After any error the sink is dropped, and leaves everything as it is.
pub trait TransactionalSink: Send {
    /// Which table, and where its files are: the same number in all owners of the task.
    fn target(&self) -> u32;

    /// Takes over what is committed. Changes nothing that an owner with an older or a newer claim relies on: the claim may fail.
    fn recover(&mut self, committed: Option<SinkState>) -> Result<SinkState>;

    /// Brings rows to the disk, hidden. They are safe when it returns.
    fn prepare(&mut self, rows: &[RecordBatch], closing: Closing) -> Result<SinkState>;

    /// Publishes the file that the last state closed, and removes what no later commit can refer to. May be repeated.
    fn publish(&mut self) -> Result<()>;

    /// Whether a file is open, which the last commit of a task should close.
    fn has_open_file(&self) -> bool;
}

/// Where the rows of a table go.
pub enum Destination {
    Inside(Box<dyn RowEncoder>),
    Outside(Box<dyn OutsideSink>),
    Files(Box<dyn TransactionalSink>),
}
