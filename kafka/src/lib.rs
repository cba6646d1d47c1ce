//! Kafka for workers and coordinators: the only crate that names the client library, librdkafka.
//!
//! | module | what for |
//! |---|---|
//! | [`connection`] | how clients reach a cluster, with TLS and SASL, and which properties may be set |
//! | [`error`] | what went wrong, by what the caller does about it, with remedies |
//! | `client` | what every client reports of itself, and requests that notice why a client cannot connect |
//! | [`offsets`] | partitions of topics, their offsets, and the committed offsets of groups |
//! | [`reader`] | records in batches, by manual assignment |
//! | [`producer`] | transactions, for the owner of a transactional id only; and an idempotent producer |
//! | [`admin`] | topics and their records: create, describe, delete |
//! | [`membership`] | which member of a consumer group has a partition |
//!
//! All calls block, so they belong on threads that may wait. The crate knows nothing of rows, splits or catalogs.

pub mod admin;
mod client;
mod clock;
pub mod connection;
mod detached;
pub mod error;
pub mod features;
pub mod membership;
pub mod offsets;
pub mod producer;
pub mod reader;

use std::fmt;
use std::sync::Arc;

pub use connection::KafkaConnection;
pub use error::{Error, Result};

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// What of transactions a client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Only what is committed. A partition ends before its first open transaction.
    ReadCommitted,
    /// Everything, with the records of open and aborted transactions.
    ReadUncommitted,
}

impl Isolation {
    fn name(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read_committed",
            Self::ReadUncommitted => "read_uncommitted",
        }
    }
}
