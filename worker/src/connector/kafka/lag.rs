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
    /// The offset of the first record, and the one after the last.
    pub(crate) offsets: std::ops::Range<u64>,
    pub(crate) committed: Option<(Position, OffsetMetadata)>,
}

/// Every partition of a topic, and how far `group` has come there; a group of `None` reads nothing.
pub(crate) fn of_topic(
    connection: &KafkaConnection,
    topic: &Arc<str>,
    group: Option<&str>,
) -> Result<Vec<PartitionLag>> {
    of_client(connection, topic, group).map_err(of_kafka)
}

fn of_client(
    connection: &KafkaConnection,
    topic: &Arc<str>,
    group: Option<&str>,
) -> davy_kafka::Result<Vec<PartitionLag>> {
    let client = MetadataClient::connect(connection, Isolation::ReadCommitted)?;
    let n_partitions = client.n_partitions(topic)?;
    let partitions: Vec<_> = (0..n_partitions).map(|number| TopicPartition::new(Arc::clone(topic), number)).collect();
    let mut found = HashMap::new();
    if let Some(group) = group {
        // Open transactions may stay open for long; their positions do not count yet.
        let group = ConsumerGroup::connect(connection, group, Isolation::ReadUncommitted)?;
        for committed in group.committed(&partitions)? {
            let metadata = SplitMetadata::decode(&committed.metadata);
            found.insert(committed.partition, (Position(committed.offset), metadata));
        }
    }
    let row = |partition: &TopicPartition| {
        let offsets = client.offsets(partition)?;
        Ok(PartitionLag { partition: partition.partition, offsets, committed: found.remove(partition) })
    };
    partitions.iter().map(row).collect()
}
