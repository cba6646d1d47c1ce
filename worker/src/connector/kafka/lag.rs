//! How far a group has come in its partitions.

use std::collections::HashMap;
use std::sync::Arc;

use davy_engine::Result;
use davy_engine::log::Position;
use davy_engine::log::offset_metadata::{OffsetMetadata, SplitMetadata};
use davy_kafka::offsets::{ConsumerGroup, MetadataClient};
use davy_kafka::{Isolation, KafkaConnection, TopicPartition};

use super::of_kafka;

/// What is known of one partition.
#[derive(Clone, Debug)]
pub(crate) struct PartitionLag {
    pub(crate) partition: i32,
    /// The offset of the first record, and the one after the last that is not part of an open transaction.
    pub(crate) offsets: std::ops::Range<u64>,
    /// The offset after the last record.
    pub(crate) high_watermark: u64,
    pub(crate) committed: Option<(Position, OffsetMetadata)>,
}

/// Every partition of a topic, and how far `group` has come there; a group of `None` reads nothing.
pub(crate) fn of_topic(
    connection: &KafkaConnection,
    topic: &Arc<str>,
    group: Option<&str>,
) -> Result<Vec<PartitionLag>> {
    let client = MetadataClient::connect(connection, Isolation::ReadCommitted).map_err(of_kafka)?;
    let uncommitted = MetadataClient::connect(connection, Isolation::ReadUncommitted).map_err(of_kafka)?;
    let partitions: Vec<_> = (0..client.n_partitions(topic).map_err(of_kafka)?)
        .map(|number| TopicPartition::new(Arc::clone(topic), number))
        .collect();
    // Open transactions may stay open for long; their positions do not count yet.
    let committed = group.map_or(Ok(Vec::new()), |group| {
        ConsumerGroup::connect(connection, group, Isolation::ReadUncommitted)?.committed(&partitions)
    });
    let found = committed.map_err(of_kafka)?.into_iter().map(|committed| {
        (committed.partition, (Position(committed.offset), SplitMetadata::decode(&committed.metadata)))
    });
    let mut found: HashMap<TopicPartition, _> = found.collect();
    let row = |partition: &TopicPartition| {
        let offsets = client.offsets(partition).map_err(of_kafka)?;
        let high_watermark = uncommitted.offsets(partition).map_err(of_kafka)?.end;
        let committed = found.remove(partition);
        Ok(PartitionLag { partition: partition.partition, offsets, high_watermark, committed })
    };
    partitions.iter().map(row).collect()
}
