//! Transactions over librdkafka: one producer per task, replaced whenever the protocol asks for a fresh one.
//!
//! Every call blocks, so all of it belongs to the task's own thread. Before a commit the queue is emptied in short polls: `flush`, which
//! a commit calls, waits in slices of 100 ms. A commit that times out is called again; the library continues the same commit.
#![allow(unsafe_code, reason = "metadata of positions: the safe interface panics on what is not UTF-8")]

use std::collections::HashMap;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use davy_engine::log::transactions::{Message, Transactions};
use davy_engine::log::{Position, SplitId};
use davy_engine::{Error, Result};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{self, Context, SOCKET, Watch, ask, asking, asking_at_once, config, failed};
use super::options::{Cluster, Compression};
use super::source::partition_of;
use crate::{clock, probe};

/// How long an open transaction may live on the broker.
const TRANSACTION: &str = "15000";
/// How long a call of the transaction protocol is tried.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one try takes: after each the producer checks whether the task should stop.
const SLICE: Duration = Duration::from_secs(1);
/// How long a task that is stopping retries a call: two such calls fit into the time for a last commit.
const LAST_PATIENCE: Duration = Duration::from_millis(1_800);
/// How often it is looked whether all messages have been written.
const DRAIN: Duration = Duration::from_micros(500);
/// Between two tries of a call that failed at once.
const PAUSE: Duration = Duration::from_millis(10);
/// About how many events a client queues between two commits.
const EVENTS: usize = 64;
/// How long an abort may take; the next producer aborts the transaction anyway.
const ABORT: Duration = Duration::from_secs(2);

/// The remedy when positions stay unreadable: a broker may leave a transaction open for ever, and only an administrator can abort it.
const HANGING: &str =
    "; if that stays so for minutes, look for a transaction that hangs: kafka-transactions.sh find-hanging";

/// Who a task is on the broker.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) transactional_id: String,
    pub(crate) group: String,
    /// Topics of exchanges, whose splits are named otherwise.
    pub(crate) topics: HashMap<Arc<str>, Arc<str>>,
}

/// A task's transactional client.
pub(crate) struct KafkaTransactions {
    cluster: Cluster,
    identity: Identity,
    compression: Compression,
    watch: Watch,
    producer: Option<BaseProducer<Context>>,
    /// The group that positions are committed for. It has no members.
    group: Option<ConsumerGroupMetadata>,
    /// Whether the process wants to stop: then nothing is tried for long.
    is_stopping: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl KafkaTransactions {
    pub(crate) fn new(
        cluster: &Cluster,
        identity: Identity,
        compression: Compression,
        is_stopping: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Self {
        let cluster = cluster.clone();
        Self { cluster, identity, compression, watch: Watch::default(), producer: None, group: None, is_stopping }
    }

    fn failed(&self, what: &str, error: &KafkaError) -> Error {
        failed(what, &self.cluster, error)
    }

    fn producer(&self) -> Result<&BaseProducer<Context>> {
        self.producer.as_ref().ok_or_else(|| Error::internal("a transaction before the task was taken over"))
    }

    /// Tries a call of the protocol until it is done, or cannot be.
    fn insist(&self, what: &str, call: impl Fn() -> Result<(), KafkaError>) -> Result<()> {
        let begun = clock::now();
        loop {
            let error = match call() {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            self.watch.note_trouble();
            let is_again = match &error {
                KafkaError::Transaction(error) => {
                    error.is_retriable() && !error.txn_requires_abort() && !error.is_fatal()
                }
                _ => false,
            };
            let patience = if (self.is_stopping)() { LAST_PATIENCE } else { PATIENCE };
            if !is_again || patience <= clock::since(begun) {
                return Err(self.failed(what, &error));
            }
            clock::rest(PAUSE);
        }
    }

    fn topic<'a>(&'a self, name: &'a Arc<str>) -> &'a str {
        self.identity.topics.get(name).map_or(name, |topic| topic)
    }

    fn list(&self, splits: impl Iterator<Item = (SplitId, Position, String)>) -> Result<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for (split, position, metadata) in splits {
            let (name, number) = partition_of(&split)?;
            let offset = i64::try_from(position.0).map_err(|_| Error::internal("an offset beyond 2^63"))?;
            let mut element = list.add_partition(self.topic(&name), number);
            element.set_offset(Offset::Offset(offset)).map_err(|error| self.failed("name a position", &error))?;
            element.set_metadata(metadata);
        }
        Ok(list)
    }
}

pub(crate) fn producer_config(cluster: &Cluster, compression: Compression) -> ClientConfig {
    let mut config = config(cluster);
    // A commit is one burst: what it holds is sent at once when the queue is emptied, in batches as large as they come.
    let defaults = [
        ("linger.ms", "5"),
        ("batch.size", "1000000"),
        ("queue.buffering.max.messages", "1000000"),
        ("queue.buffering.max.kbytes", "262144"),
    ];
    for (name, value) in defaults {
        if !cluster.properties.contains_key(name) {
            config.set(name, value);
        }
    }
    config.set("enable.idempotence", "true").set("compression.type", compression.name());
    config.set("partitioner", "murmur2_random");
    config
}

/// Hands a message to a producer, waiting while its queue is full.
pub(crate) fn send(producer: &BaseProducer<Context>, message: &Message) -> Result<(), KafkaError> {
    let mut headers = OwnedHeaders::new_with_capacity(message.headers.len());
    for (key, value) in &message.headers {
        headers = headers.insert(Header { key, value: Some(value) });
    }
    let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&message.topic).payload(&message.value);
    if !message.headers.is_empty() {
        record = record.headers(headers);
    }
    if let Some(key) = &message.key {
        record = record.key(key);
    }
    if let Some(partition) = message.partition {
        record = record.partition(partition as i32);
    }
    let begun = clock::now();
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again))
                if clock::since(begun) < PATIENCE =>
            {
                producer.poll(Duration::from_millis(5));
                record = again;
            }
            Err((error, _)) => return Err(error),
        }
    }
}

impl Transactions for KafkaTransactions {
    fn init(&mut self) -> Result<()> {
        self.producer = None;
        let mut config = producer_config(&self.cluster, self.compression);
        config.set("transactional.id", &self.identity.transactional_id);
        let properties = &self.cluster.properties;
        let timeout = properties.get("transaction.timeout.ms").map_or(TRANSACTION, String::as_str);
        config.set("transaction.timeout.ms", timeout);
        // The client refuses to wait for an answer for longer than the transaction lives.
        if !properties.contains_key("socket.timeout.ms")
            && timeout.parse().is_ok_and(|ms: u128| ms < SOCKET.as_millis())
        {
            config.set("socket.timeout.ms", timeout);
        }
        // The client reports broken connections in log lines only, and a commit has to know of them.
        config.set("log.connection.close", "true").set_log_level(RDKafkaLogLevel::Info);
        self.watch = Watch::default();
        let producer = client::producer(&self.cluster, &config, self.watch.clone())?;
        self.insist("take the task over", || producer.init_transactions(SLICE))?;
        self.producer = Some(producer);
        if self.group.is_none() {
            self.group = asking(&self.cluster, Some(&self.identity.group))?.group_metadata();
        }
        // What was slow before the producer was there has left nothing behind.
        self.watch.clear();
        Ok(())
    }

    fn committed(&mut self, splits: &[SplitId]) -> Result<Vec<(SplitId, Position, String)>> {
        committed(&self.cluster, &self.identity, splits).map_err(|error| match error {
            Error::Unavailable(message) => Error::Unavailable(format!("{message}{HANGING}")),
            other => other,
        })
    }

    fn begin(&mut self) -> Result<()> {
        probe::reached("before_begin");
        let begun = self.producer()?.begin_transaction();
        begun.map_err(|error| self.failed("begin a transaction", &error))
    }

    fn produce(&mut self, message: Message) -> Result<()> {
        let sent = send(self.producer()?, &message);
        sent.map_err(|error| self.failed(&format!("write to topic `{}`", message.topic), &error))
    }

    fn send_offsets(&mut self, positions: &[(SplitId, Position, String)]) -> Result<()> {
        let producer = self.producer()?;
        // All rows before any position: a message that cannot be written is found here, and its error is its own.
        let begun = clock::now();
        while 0 < producer.in_flight_count() && clock::since(begun) < PATIENCE {
            // With a timeout, the last millisecond of it would be spent spinning.
            producer.poll(Duration::ZERO);
            clock::rest(DRAIN);
            if (self.is_stopping)() && SLICE < clock::since(begun) {
                break;
            }
        }
        probe::reached("after_produce");
        if positions.is_empty() {
            return Ok(());
        }
        let list = self.list(positions.iter().cloned())?;
        let group =
            self.group.as_ref().ok_or_else(|| Error::internal("a transaction before the task was taken over"))?;
        self.insist("send positions", || producer.send_offsets_to_transaction(&list, group, SLICE))?;
        probe::reached("after_send_offsets");
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        probe::reached("before_commit");
        let producer = self.producer()?;
        self.insist("commit", || producer.commit_transaction(SLICE))?;
        probe::reached("after_commit");
        Ok(())
    }

    fn abort(&mut self) {
        if let Some(producer) = &self.producer
            && let Err(error) = producer.abort_transaction(ABORT)
        {
            tracing::debug!(%error, "the next producer will abort the transaction");
        }
    }

    fn had_trouble(&self) -> bool {
        // What the client has to tell waits in its queue until someone asks.
        if let Some(producer) = &self.producer {
            (0..EVENTS).for_each(|_| producer.poll(Duration::ZERO));
        }
        self.watch.had_trouble()
    }
}

/// The committed positions of a group, once no transaction on them is open.
pub(crate) fn committed(
    cluster: &Cluster,
    identity: &Identity,
    splits: &[SplitId],
) -> Result<Vec<(SplitId, Position, String)>> {
    positions(&asking(cluster, Some(&identity.group))?, (cluster, identity), splits)
}

/// The positions committed so far, without waiting for open transactions: for callers that do not resume from them. A process that was
/// killed leaves its transaction open until the broker's timeout, and these callers should not wait for that.
pub(crate) fn committed_so_far(
    cluster: &Cluster,
    identity: &Identity,
    splits: &[SplitId],
) -> Result<Vec<(SplitId, Position, String)>> {
    positions(&asking_at_once(cluster, &identity.group)?, (cluster, identity), splits)
}

fn positions(
    consumer: &BaseConsumer<Context>,
    (cluster, identity): (&Cluster, &Identity),
    splits: &[SplitId],
) -> Result<Vec<(SplitId, Position, String)>> {
    if splits.is_empty() {
        return Ok(Vec::new());
    }
    let mut list = TopicPartitionList::with_capacity(splits.len());
    let mut names = HashMap::new();
    for split in splits {
        let (name, number) = partition_of(split)?;
        let topic = identity.topics.get(&name).unwrap_or(&name).to_string();
        list.add_partition(&topic, number);
        names.insert((topic, number), split.clone());
    }
    let what = "read committed positions";
    let found = ask(consumer, cluster, what, |wait| consumer.committed_offsets(list.clone(), wait))?;
    let metadata = metadata_of(&found);
    let mut positions = Vec::new();
    for (element, metadata) in found.elements().iter().zip(metadata) {
        element.error().map_err(|error| failed("read committed positions", cluster, &error))?;
        let Offset::Offset(offset) = element.offset() else { continue };
        let split = names.get(&(element.topic().to_owned(), element.partition()));
        let split = split.ok_or_else(|| Error::internal("the broker returned a position that was not requested"))?;
        positions.push((split.clone(), Position(offset.unsigned_abs()), metadata));
    }
    Ok(positions)
}

/// The metadata beside each position, in order; what is no text cannot be ours, and reads as such.
fn metadata_of(list: &TopicPartitionList) -> Vec<String> {
    // SAFETY: the list is alive, has `cnt` elements, and each element's metadata is null or of its size.
    unsafe {
        let list = &*list.ptr();
        if list.cnt == 0 {
            return Vec::new();
        }
        let text = |element: &rdkafka_sys::rd_kafka_topic_partition_t| {
            if element.metadata.is_null() {
                return String::new();
            }
            let bytes = slice::from_raw_parts(element.metadata.cast::<u8>(), element.metadata_size);
            String::from_utf8_lossy(bytes).into_owned()
        };
        slice::from_raw_parts(list.elems, list.cnt as usize).iter().map(text).collect()
    }
}
