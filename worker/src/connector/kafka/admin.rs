//! What a pipeline needs of the broker besides reading and writing: topics for its exchanges, and their purge.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use davy_engine::log::{Commit, Found, Position, SplitId, Transaction};
use davy_engine::{Error, Result};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::{debug, warn};

use super::client::{ANSWER, Context, admin, asking, failed};
use super::options::Cluster;
use super::reader::n_partitions;
use super::source::partition_of;
use crate::clock;

/// Waits for an answer of the admin client, which has a thread of its own.
fn wait<T>(answer: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| Error::Unavailable(format!("cannot wait for an answer: {error}")))?;
    Ok(runtime.block_on(answer))
}

/// Makes an exchange's topic where it is missing, and checks it where it is there.
///
/// Nothing may be deleted by age: a window may be open for longer than any retention. What is no longer needed is purged. Says whether
/// it was made here.
pub(crate) fn ensure_exchange(cluster: &Cluster, topic: &str, wanted: u32) -> Result<bool> {
    if is_exchange_there(cluster, topic, wanted)? { Ok(false) } else { create(cluster, topic, wanted) }
}

/// Whether an exchange's topic is there, and as it must be.
pub(crate) fn is_exchange_there(cluster: &Cluster, topic: &str, wanted: u32) -> Result<bool> {
    let client = asking(cluster, None)?;
    let found = match n_partitions(&client, cluster, topic) {
        Ok(found) => found,
        Err(Error::Invalid(_)) => return Ok(false),
        Err(error) => return Err(error),
    };
    if found as u32 == wanted {
        return Ok(true);
    }
    Err(Error::invalid(format!("the exchange `{topic}` has {found} partitions, the pipeline wants {wanted}")).hint(
        "its number is fixed when a pipeline is made: SET exchange_partitions to it, or start fresh under another name",
    ))
}

/// Returns whether this call created the topic; another process may have created it in the same moment.
fn create(cluster: &Cluster, topic: &str, n_partitions: u32) -> Result<bool> {
    // -1: as many replicas as the broker gives topics by default.
    let new = NewTopic::new(topic, n_partitions as i32, TopicReplication::Fixed(-1))
        .set("cleanup.policy", "delete")
        .set("retention.ms", "-1")
        .set("retention.bytes", "-1");
    let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
    let admin = admin(cluster)?;
    let results = wait(admin.create_topics([&new], &options))?;
    let results = results.map_err(|error| failed(&format!("create topic `{topic}`"), cluster, &error))?;
    let mut is_made = false;
    for result in results {
        match result {
            Ok(_) => is_made = true,
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => {
                return Err(failed(&format!("create topic `{topic}`"), cluster, &KafkaError::AdminOp(code)).hint(
                    "the pipeline makes topics that begin with `davy.`; grant CREATE on them, or create it yourself",
                ));
            }
        }
    }
    Ok(is_made)
}

/// A commit that also deletes what no recovery will need any more from the exchanges that its task reads.
pub(crate) struct PurgingCommit<C> {
    inner: C,
    cluster: Cluster,
    /// The topic of each exchange.
    topics: HashMap<Arc<str>, Arc<str>>,
    admin: Option<AdminClient<Context>>,
    purged: BTreeMap<SplitId, Position>,
    interval: Duration,
    last: Duration,
}

impl<C> PurgingCommit<C> {
    /// Deletes at most once in `interval`.
    pub(crate) fn new(inner: C, cluster: &Cluster, topics: HashMap<Arc<str>, Arc<str>>, interval: Duration) -> Self {
        let cluster = cluster.clone();
        Self { inner, cluster, topics, admin: None, purged: BTreeMap::new(), interval, last: clock::running() }
    }

    fn purge(&mut self, replay_from: BTreeMap<SplitId, Position>) -> Result<()> {
        let mut list = TopicPartitionList::new();
        for (split, from) in &replay_from {
            if self.purged.get(split).is_some_and(|purged| from <= purged) {
                continue;
            }
            let (exchange, number) = partition_of(split)?;
            let Some(topic) = self.topics.get(&exchange) else { continue };
            let offset = Offset::Offset(i64::try_from(from.0).unwrap_or(i64::MAX));
            let added = list.add_partition_offset(topic, number, offset);
            added.map_err(|error| failed("purge an exchange", &self.cluster, &error))?;
        }
        if list.count() == 0 {
            return Ok(());
        }
        let admin = match &self.admin {
            Some(admin) => admin,
            None => self.admin.insert(admin(&self.cluster)?),
        };
        // The answer is not awaited: what is not deleted now is deleted next time.
        let answer = admin.delete_records(&list, &AdminOptions::new().request_timeout(Some(ANSWER)));
        drop(answer);
        self.purged = replay_from;
        Ok(())
    }
}

impl<C: Commit> Commit for PurgingCommit<C> {
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
