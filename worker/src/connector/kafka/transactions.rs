//! A task's transactions: the engine's protocol over a producer of Kafka, which is replaced whenever the protocol needs a fresh one.
//!
//! Every call blocks, so all of it belongs to the task's own thread.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use davy_engine::log::transactions::{Message, Transactions};
use davy_engine::log::{Position, SplitId};
use davy_engine::{Error, Result};
use davy_kafka::offsets::{CommittedOffset, ConsumerGroup, GroupMetadata};
use davy_kafka::producer::{Record, Sizes, TransactionalOptions, TransactionalProducer, Unfenced};
use davy_kafka::{Error as KafkaError, Isolation, KafkaConnection, TopicPartition};

use super::known::KnownPositions;
use super::source::partition_of;
use super::{Compression, of_kafka};
use crate::probe;

/// How long an open transaction may live on the broker.
const TRANSACTION: Duration = Duration::from_secs(15);
/// How long a call of the transaction protocol is tried.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a task that is stopping tries each of the calls of its last commit.
const LAST_PATIENCE: Duration = Duration::from_millis(1_800);

/// The remedy when positions stay unreadable: a broker may leave a transaction open for ever, and only an administrator can abort it.
const HANGING: &str =
    "; if that stays so for minutes, look for a transaction that hangs: kafka-transactions.sh find-hanging";

/// What a task is called on the broker.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) transactional_id: String,
    pub(crate) group: String,
    /// Topics of exchanges, whose splits are named otherwise.
    pub(crate) topics: HashMap<Arc<str>, Arc<str>>,
}

impl Identity {
    fn partition(&self, split: &SplitId) -> Result<TopicPartition> {
        let TopicPartition { topic, partition } = partition_of(split)?;
        Ok(TopicPartition { topic: self.topics.get(&topic).cloned().unwrap_or(topic), partition })
    }
}

/// How long a task's transaction may be open.
pub(crate) fn transaction_timeout(connection: &KafkaConnection) -> Duration {
    let given = connection.property("transaction.timeout.ms").and_then(|text| text.parse().ok());
    given.map_or(TRANSACTION, Duration::from_millis)
}

/// How a task's messages are written. One producer writes to all its topics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writing {
    pub(crate) compression: Compression,
    pub(crate) sizes: Sizes,
}

/// A task's transactional client.
pub(crate) struct KafkaTransactions {
    connection: KafkaConnection,
    identity: Identity,
    writing: Writing,
    known: Arc<KnownPositions>,
    /// The positions that the open transaction has.
    sent: Vec<(SplitId, Position)>,
    /// Made by `init`; dropped after a commit in doubt.
    producer: Option<TransactionalProducer>,
    /// The group that positions are committed for, as soon as they have been read. It has no members.
    group: Option<GroupMetadata>,
    /// Whether the process wants to stop: then nothing is tried for long.
    is_stopping: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl KafkaTransactions {
    pub(crate) fn new(
        connection: &KafkaConnection,
        identity: Identity,
        writing: Writing,
        known: Arc<KnownPositions>,
        is_stopping: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Self {
        let connection = connection.clone();
        Self { connection, identity, writing, known, sent: Vec::new(), producer: None, group: None, is_stopping }
    }

    fn producer(&self) -> Result<&TransactionalProducer> {
        self.producer.as_ref().ok_or_else(no_producer)
    }

    fn patience(&self) -> Duration {
        if (self.is_stopping)() { LAST_PATIENCE } else { PATIENCE }
    }
}

fn no_producer() -> Error {
    Error::internal("a transaction before the task was taken over")
}

impl Transactions for KafkaTransactions {
    fn init(&mut self) -> Result<()> {
        self.producer = None;
        let options = TransactionalOptions {
            transactional_id: self.identity.transactional_id.clone(),
            transaction_timeout: TRANSACTION,
            compression: self.writing.compression,
            sizes: self.writing.sizes,
        };
        let unfenced = Unfenced::connect(&self.connection, &options).map_err(of_kafka)?;
        self.producer = Some(unfenced.take_over(&|| self.patience()).map_err(of_kafka)?);
        Ok(())
    }

    fn committed(&mut self, splits: &[SplitId]) -> Result<Vec<(SplitId, Position, String)>> {
        // Of this call only: a client per task that waits for the next one would cost threads and connections.
        let group = ConsumerGroup::connect(&self.connection, &self.identity.group, Isolation::ReadCommitted);
        let group = group.map_err(of_kafka)?;
        self.group = Some(group.metadata());
        let found = positions(&group, &self.identity, splits).map_err(|error| match error {
            Error::Unavailable(message) => Error::Unavailable(format!("{message}{HANGING}")),
            other => other,
        })?;
        let of_splits: BTreeMap<&SplitId, Position> = found.iter().map(|(split, at, _)| (split, *at)).collect();
        self.known.check(splits, &of_splits)?;
        self.known.note(of_splits.into_iter());
        Ok(found)
    }

    fn begin(&mut self) -> Result<()> {
        self.sent.clear();
        probe::reached("before_begin");
        self.producer()?.begin().map_err(of_kafka)
    }

    fn produce(&mut self, message: Message) -> Result<()> {
        self.producer()?.send(&record(&message)).map_err(of_kafka)
    }

    fn send_offsets(&mut self, positions: &[(SplitId, Position, String)]) -> Result<()> {
        let (producer, group) = (self.producer()?, self.group.as_ref().ok_or_else(no_producer)?);
        // All rows before any position: a message that cannot be written is found here, and its error is its own.
        producer.drain(&|| self.patience()).map_err(of_kafka)?;
        probe::reached("after_produce");
        if positions.is_empty() {
            return Ok(());
        }
        let offset = |(split, position, metadata): &(SplitId, Position, String)| {
            let partition = self.identity.partition(split)?;
            Ok(CommittedOffset { partition, offset: position.0, metadata: metadata.clone() })
        };
        let offsets = positions.iter().map(offset).collect::<Result<Vec<_>>>()?;
        producer.send_offsets(group, &offsets, &|| self.patience()).map_err(of_kafka)?;
        self.sent = positions.iter().map(|(split, position, _)| (split.clone(), *position)).collect();
        probe::reached("after_send_offsets");
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        probe::reached("before_commit");
        let committed = self.producer()?.commit(&|| self.patience());
        if matches!(committed, Err(KafkaError::InDoubt(_))) {
            // The next attempt finds out from the committed positions, with a fresh producer.
            self.producer = None;
        }
        committed.map_err(of_kafka)?;
        self.known.note(self.sent.iter().map(|(split, position)| (split, *position)));
        probe::reached("after_commit");
        Ok(())
    }

    fn abort(&mut self) {
        if let Some(producer) = &self.producer {
            producer.abort();
        }
    }

    fn had_trouble(&self) -> bool {
        self.producer.as_ref().is_none_or(TransactionalProducer::had_trouble)
    }
}

/// A message as the client takes it.
pub(super) fn record(message: &Message) -> Record<'_> {
    Record {
        topic: &message.topic,
        partition: message.partition.map(|partition| partition as i32),
        key: message.key.as_deref(),
        value: (!message.is_tombstone).then_some(&*message.value),
        headers: &message.headers,
        timestamp_ms: message.timestamp_ms,
    }
}

/// The positions committed so far, without waiting for open transactions: for callers that do not resume from them. A process that was
/// killed leaves its transaction open until the broker's timeout, and these callers should not wait for that.
pub(crate) fn committed_so_far(
    connection: &KafkaConnection,
    identity: &Identity,
    splits: &[SplitId],
) -> Result<Vec<(SplitId, Position, String)>> {
    let group = ConsumerGroup::connect(connection, &identity.group, Isolation::ReadUncommitted);
    positions(&group.map_err(of_kafka)?, identity, splits)
}

fn positions(
    group: &ConsumerGroup,
    identity: &Identity,
    splits: &[SplitId],
) -> Result<Vec<(SplitId, Position, String)>> {
    let partitions = splits.iter().map(|split| identity.partition(split)).collect::<Result<Vec<_>>>()?;
    let splits: HashMap<&TopicPartition, &SplitId> = partitions.iter().zip(splits).collect();
    let position = |CommittedOffset { partition, offset, metadata }| {
        let split = *splits.get(&partition)?;
        Some((split.clone(), Position(offset), metadata))
    };
    Ok(group.committed(&partitions).map_err(of_kafka)?.into_iter().filter_map(position).collect())
}
