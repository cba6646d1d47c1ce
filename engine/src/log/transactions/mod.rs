//! Commits as Kafka's transactions: the protocol, over the calls of a client.
//!
//! Everything is encoded before the transaction begins, since an open one holds back every reader of the partitions it touches:
//! begin → rows and partials → positions with their offset metadata → commit, in one burst. Any error makes the task start again from its
//! last commit. The client is a trait, so that the same protocol runs over Kafka and over the simulator.
//!
//! Taking over: fence the older owners and abort what they left open (`init`), then read the committed positions; read before,
//! they could be stale.
//!
//! **A fresh producer after trouble.** A commit whose request or answer was late leaves a request in the network that Kafka would
//! apply to the *next* transaction of the same epoch (before KIP-890, which librdkafka does not speak). So after trouble the
//! producer is replaced before the next transaction. That raises the epoch, which would also fence an owner that has come since;
//! so the positions are read again, and if they are not the ones written here, it is this owner that is too old.

mod commit;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::{Position, SplitId};
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
}

/// A sink that takes no part in the transaction: written before it, so its rows come at least once.
pub trait OutsideSink: Send {
    /// Writes the rows and waits until they are safe.
    fn write(&mut self, batches: &[RecordBatch]) -> Result<()>;
}

/// Where the rows of a table go.
pub enum Destination {
    Inside(Box<dyn RowEncoder>),
    Outside(Box<dyn OutsideSink>),
}
