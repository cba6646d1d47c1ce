//! Kafka's transactions in memory, for tests: a broker, the network before it, and clients of the task's traits.
//!
//! It answers as a broker of version 4 answers a client that does not speak KIP-890 (librdkafka): a request of the right epoch acts
//! on whatever transaction is open when it arrives, however late it is. Pure: no clock, no threads, no randomness but what is passed in.
//! A test decides by [`FaultInjector`] what happens to each request, so that a run can be replayed. Left out: replicas,
//! batches, group membership (tasks assign their partitions themselves), and topics that are deleted.

mod broker;
mod client;
mod coordinator;
mod group;
mod network;
mod partition;
mod sink;
mod source;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use broker::{Broker, Request, Response, Rules};
pub use client::SimClient;
pub use network::{Fate, FaultInjector, Network};
pub use partition::Isolation;
pub use sink::TextRows;
pub use source::{Damage, ExchangeSource, TableSource, TableSourceOptions};

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: u32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// Who writes: the id stays with the transactional id, the epoch grows with each owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    pub id: u64,
    pub epoch: u32,
}

impl fmt::Display for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.epoch)
    }
}

/// Why a broker rejects a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The epoch is an older one (`INVALID_PRODUCER_EPOCH`, `PRODUCER_FENCED`).
    Fenced,
    /// There is no such transaction (`INVALID_TXN_STATE`); clients take it as fatal.
    InvalidState,
    /// A message before it is missing (`OUT_OF_ORDER_SEQUENCE_NUMBER`).
    OutOfSequence,
    /// The last transaction is still being ended (`CONCURRENT_TRANSACTIONS`): retry.
    Concurrent,
    /// The positions belong to an open transaction (`UNSTABLE_OFFSET_COMMIT`): retry.
    Unstable,
    /// There is no such partition.
    Unknown,
}

/// Chooses a number in `[0, end)`; seeded by the test.
pub type Choice = Box<dyn FnMut(usize) -> usize + Send>;
