//! Partitions of topics and their offsets, and the offsets that a consumer group has committed. Reads no records.
#![allow(unsafe_code, reason = "metadata of offsets: the safe interface panics on what is not UTF-8")]

use std::ops::Range;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka_sys as sys;

use crate::client::{self, Context, REQUEST_TIMEOUT, RETRY_PAUSE};
use crate::error::{Error, Result, failed};
use crate::{Isolation, KafkaConnection, TopicPartition, clock};

/// An offset as librdkafka counts it.
pub(crate) fn native(offset: u64) -> i64 {
    i64::try_from(offset).expect("Kafka's offsets are below 2^63")
}

/// Requests metadata and offsets of topics and partitions.
pub struct MetadataClient {
    connection: KafkaConnection,
    pub(crate) consumer: BaseConsumer<Context>,
}

impl MetadataClient {
    pub fn connect(connection: &KafkaConnection, isolation: Isolation) -> Result<Self> {
        let mut config = connection.config();
        config.set("enable.auto.commit", "false").set("isolation.level", isolation.name());
        Self::with(connection, &config)
    }

    pub(crate) fn with(connection: &KafkaConnection, config: &ClientConfig) -> Result<Self> {
        Ok(Self { connection: connection.clone(), consumer: client::consumer(connection, config)? })
    }

    fn call<T>(&self, what: &str, request: impl Fn(Duration) -> Result<T, KafkaError>) -> Result<T> {
        client::call(&self.consumer, &self.connection, what, request)
    }

    pub(crate) fn failed(&self, what: &str, error: &KafkaError) -> Error {
        failed(what, &self.connection, error)
    }

    /// How many partitions a topic has. One that the broker does not know is looked for again for some seconds, since a broker that has
    /// just started may not know it yet.
    pub fn n_partitions(&self, topic: &str) -> Result<i32> {
        let missing = KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition);
        self.look_for(topic)?.ok_or_else(|| self.failed(&look_at(topic), &missing))
    }

    fn look_for(&self, topic: &str) -> Result<Option<i32>> {
        let begun = clock::now();
        loop {
            let found = self.find_topic(topic)?;
            if found.is_some() || REQUEST_TIMEOUT <= clock::since(begun) {
                return Ok(found);
            }
            clock::rest(RETRY_PAUSE);
        }
    }

    /// How many partitions a topic has; `None` if it does not exist.
    pub fn find_topic(&self, topic: &str) -> Result<Option<i32>> {
        let what = look_at(topic);
        let metadata = self.call(&what, |wait| self.consumer.fetch_metadata(Some(topic), wait))?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(None) };
        match found.error().map(RDKafkaErrorCode::from) {
            None => Ok(Some(found.partitions().len() as i32).filter(|n_partitions| *n_partitions != 0)),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
            Some(code) => Err(self.failed(&what, &KafkaError::MetadataFetch(code))),
        }
    }

    /// How many partitions a topic has that was created a moment ago.
    pub fn wait_for_topic(&self, topic: &str) -> Result<i32> {
        let unknown =
            || Error::Unavailable(format!("topic `{topic}` was created, and the broker does not know it yet"));
        self.look_for(topic)?.ok_or_else(unknown)
    }

    /// The offsets of a partition, from its first record to the end that the client's isolation level allows.
    pub fn offsets(&self, partition: &TopicPartition) -> Result<Range<u64>> {
        let what = format!("read the offsets of `{partition}`");
        let TopicPartition { topic, partition } = partition;
        let (low, high) = self.call(&what, |wait| self.consumer.fetch_watermarks(topic, *partition, wait))?;
        Ok(low.unsigned_abs()..high.unsigned_abs())
    }

    /// The first offset whose record has this timestamp or a later one, in milliseconds since 1970; the end if there is none.
    pub fn offset_at(&self, partition: &TopicPartition, timestamp_ms: i64) -> Result<u64> {
        let what = format!("look for a time in `{partition}`");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(timestamp_ms))
            .map_err(|error| self.failed(&what, &error))?;
        let found = self.call(&what, |wait| self.consumer.offsets_for_times(list.clone(), wait))?;
        match found.elements().first().map(|element| element.offset()) {
            Some(Offset::Offset(offset)) => Ok(offset.unsigned_abs()),
            _ => Ok(self.offsets(partition)?.end),
        }
    }
}

fn look_at(topic: &str) -> String {
    format!("look at topic `{topic}`")
}

/// What a group has committed for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    pub partition: TopicPartition,
    pub offset: u64,
    /// Text; what is not UTF-8 cannot be ours, and is replaced.
    pub metadata: String,
}

/// What a transaction needs to commit offsets for a group.
pub struct GroupMetadata(pub(crate) Arc<ConsumerGroupMetadata>);

/// A consumer group without members, for which offsets are committed in transactions.
pub struct ConsumerGroup(MetadataClient);

impl ConsumerGroup {
    /// With [`Isolation::ReadCommitted`], [`ConsumerGroup::committed`] waits for the end of open transactions. A process that was
    /// killed leaves its transaction open until the broker's timeout.
    pub fn connect(connection: &KafkaConnection, group: &str, isolation: Isolation) -> Result<Self> {
        let mut config = connection.config();
        config.set("group.id", group).set("group.protocol", "classic");
        config.set("enable.auto.commit", "false").set("isolation.level", isolation.name());
        Ok(Self(MetadataClient::with(connection, &config)?))
    }

    /// The committed offsets of those partitions that have one.
    pub fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for TopicPartition { topic, partition } in partitions {
            list.add_partition(topic, *partition);
        }
        let what = "read committed positions";
        let found = self.0.call(what, |wait| {
            let found = self.0.consumer.committed_offsets(list.clone(), wait)?;
            found.elements().iter().try_for_each(|element| element.error())?;
            Ok(found)
        })?;
        let mut committed = Vec::new();
        for (element, metadata) in found.elements().iter().zip(metadata_of(&found)) {
            let Offset::Offset(offset) = element.offset() else { continue };
            let partition = TopicPartition::new(element.topic(), element.partition());
            committed.push(CommittedOffset { partition, offset: offset.unsigned_abs(), metadata });
        }
        Ok(committed)
    }

    /// Outlives the client.
    pub fn metadata(&self) -> GroupMetadata {
        GroupMetadata(Arc::new(self.0.consumer.group_metadata().expect("the consumer has a `group.id`")))
    }
}

/// The metadata beside each offset, in order.
fn metadata_of(list: &TopicPartitionList) -> Vec<String> {
    let text = |element: &sys::rd_kafka_topic_partition_t| {
        if element.metadata.is_null() {
            return String::new();
        }
        // SAFETY: the metadata is not null, and of this size.
        let bytes = unsafe { slice::from_raw_parts(element.metadata.cast::<u8>(), element.metadata_size) };
        String::from_utf8_lossy(bytes).into_owned()
    };
    if list.count() == 0 {
        return Vec::new();
    }
    // SAFETY: the list is alive and not empty, and has `cnt` elements.
    unsafe {
        let list = &*list.ptr();
        slice::from_raw_parts(list.elems, list.cnt as usize).iter().map(text).collect()
    }
}
