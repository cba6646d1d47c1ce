//! What a pipeline needs of the broker besides reading and writing: topics for its exchanges, and their purge.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use davy_engine::log::{Commit, Found, Position, SplitId, Transaction, Unwritable};
use davy_engine::{Error, Result};
use davy_kafka::admin::{Admin, Created, NewTopic};
use davy_kafka::offsets::MetadataClient;
use davy_kafka::reader::{Event, Reader};
use davy_kafka::{Isolation, KafkaConnection, TopicPartition};
use tracing::{debug, warn};

use super::of_kafka;
use super::source::partition_of;
use crate::clock;

/// Makes an exchange's topic where it is missing, and checks it where it is there.
///
/// Nothing may be deleted by age: a window may be open for longer than any retention. What is no longer needed is purged. Says whether
/// it was made here.
pub(crate) fn ensure_exchange(connection: &KafkaConnection, topic: &str, wanted: u32) -> Result<bool> {
    if is_exchange_there(connection, topic, wanted)? { Ok(false) } else { create(connection, topic, wanted) }
}

/// Whether an exchange's topic is there, and as it must be.
pub(crate) fn is_exchange_there(connection: &KafkaConnection, topic: &str, wanted: u32) -> Result<bool> {
    let client = MetadataClient::connect(connection, Isolation::ReadCommitted).map_err(of_kafka)?;
    match client.find_topic(topic).map_err(of_kafka)? {
        None => Ok(false),
        Some(found) if found as u32 == wanted => Ok(true),
        Some(found) => Err(Error::invalid(format!(
            "the exchange `{topic}` has {found} partitions, the pipeline wants {wanted}"
        ))
        .hint(
            "the number is fixed when a pipeline begins: set `exchange_partitions` back to what it was, or, if partitions were added to the \
             topic, start fresh under another name",
        )),
    }
}

/// Whether a committed record is, or was, in a topic. Aborted transactions leave none.
pub(crate) fn has_records(connection: &KafkaConnection, topic: &Arc<str>) -> Result<bool> {
    /// Between two messages, or ends of partitions.
    const PATIENCE: Duration = Duration::from_secs(4);
    let mut reader = Reader::connect(connection, Isolation::ReadCommitted).map_err(of_kafka)?;
    let Some(n_partitions) = reader.metadata().find_topic(topic).map_err(of_kafka)? else { return Ok(false) };
    let mut n_reading = 0;
    for number in 0..n_partitions {
        let partition = TopicPartition::new(Arc::clone(topic), number);
        let offsets = reader.metadata().offsets(&partition).map_err(of_kafka)?;
        if 0 < offsets.start {
            return Ok(true);
        }
        if !offsets.is_empty() {
            reader.assign(&partition, offsets.start).map_err(of_kafka)?;
            n_reading += 1;
        }
    }
    let (mut n_ended, mut is_found) = (0, false);
    let mut heard = clock::running();
    while n_ended < n_reading && !is_found {
        let n_events = reader.poll(Duration::from_millis(100), |event| match event {
            Event::Message(_) => is_found = true,
            Event::End(..) => n_ended += 1,
        });
        match n_events.map_err(of_kafka)? {
            0 if PATIENCE <= clock::running().saturating_sub(heard) => {
                return Err(Error::Unavailable(format!("cannot read topic `{topic}`: the broker does not answer")));
            }
            0 => {}
            _ => heard = clock::running(),
        }
    }
    Ok(is_found)
}

/// Returns whether this call created the topic; another process may have created it in the same moment.
fn create(connection: &KafkaConnection, topic: &str, n_partitions: u32) -> Result<bool> {
    let new = NewTopic {
        name: topic,
        n_partitions: n_partitions as i32,
        replication: None,
        config: &[
            ("cleanup.policy", "delete"),
            ("retention.ms", "-1"),
            ("retention.bytes", "-1"),
            // What is purged leaves the disk with its whole segment, and the newest segment stays.
            ("segment.bytes", "33554432"),
            ("segment.ms", "600000"),
            // Whatever the broker's limit is, records of partials have one of their own; the broker's replicas follow this one.
            ("max.message.bytes", "1048588"),
        ],
    };
    let created = Admin::connect(connection).and_then(|admin| admin.create_topic(&new)).map_err(of_kafka)?;
    Ok(created == Created::Here)
}

/// A commit that also deletes what no recovery will need any more from the exchanges that its task reads.
pub(crate) struct PurgingCommit<C> {
    inner: C,
    connection: KafkaConnection,
    /// The topic of each exchange.
    topics: HashMap<Arc<str>, Arc<str>>,
    admin: Option<Admin>,
    purged: BTreeMap<SplitId, Position>,
    interval: Duration,
    last: Duration,
}

impl<C> PurgingCommit<C> {
    /// Deletes at most once in `interval`.
    pub(crate) fn new(
        inner: C,
        connection: &KafkaConnection,
        topics: HashMap<Arc<str>, Arc<str>>,
        interval: Duration,
    ) -> Self {
        let connection = connection.clone();
        Self { inner, connection, topics, admin: None, purged: BTreeMap::new(), interval, last: clock::running() }
    }

    fn purge(&mut self, replay_from: BTreeMap<SplitId, Position>) -> Result<()> {
        let mut before = Vec::new();
        for (split, from) in &replay_from {
            if self.purged.get(split).is_some_and(|purged| from <= purged) {
                continue;
            }
            let TopicPartition { topic: exchange, partition } = partition_of(split)?;
            let Some(topic) = self.topics.get(&exchange) else { continue };
            before.push((TopicPartition::new(Arc::clone(topic), partition), from.0));
        }
        if before.is_empty() {
            return Ok(());
        }
        let admin = match &self.admin {
            Some(admin) => admin,
            None => self.admin.insert(Admin::connect(&self.connection).map_err(of_kafka)?),
        };
        // The answer is not awaited: what is not deleted now is deleted next time.
        admin.delete_records(&before).map_err(of_kafka)?;
        self.purged = replay_from;
        Ok(())
    }
}

impl<C: Commit> Commit for PurgingCommit<C> {
    fn has_open_files(&self) -> bool {
        self.inner.has_open_files()
    }

    fn unwritable(&mut self, table: &str, rows: &RecordBatch) -> Result<Vec<Unwritable>> {
        self.inner.unwritable(table, rows)
    }

    fn take_over(&mut self, splits: &[SplitId]) -> Result<Found> {
        self.inner.take_over(splits)
    }

    fn find(&mut self, joined: &[SplitId]) -> Result<Found> {
        self.inner.find(joined)
    }

    fn claim(&mut self) -> Result<()> {
        self.inner.claim()
    }

    fn is_superseded(&mut self) -> Result<bool> {
        self.inner.is_superseded()
    }

    fn commit(&mut self, transaction: Transaction) -> Result<()> {
        let replay_from = transaction.record.replay_from.clone();
        self.inner.commit(transaction)?;
        let now = clock::running();
        if self.interval <= now.saturating_sub(self.last) {
            self.last = now;
            match self.purge(replay_from) {
                Ok(()) => debug!("purged exchanges"),
                Err(error) => warn!(%error, "cannot purge exchanges; the next commit tries again"),
            }
        }
        Ok(())
    }
}
