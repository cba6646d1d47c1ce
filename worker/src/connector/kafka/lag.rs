//! How far a group has come in its partitions.

use std::collections::HashMap;
use std::sync::Arc;

use davy_engine::Result;
use davy_engine::log::offset_metadata::{OffsetMetadata, SplitMetadata};
use davy_engine::log::{Bounds, Position};

use super::client::asking;
use super::options::Cluster;
use super::producer::{Identity, committed_so_far};
use super::reader::{bounds, n_partitions};
use super::source::split_of;

/// What is known of one partition.
#[derive(Clone, Debug)]
pub(crate) struct PartitionLag {
    pub(crate) partition: i32,
    pub(crate) bounds: Bounds,
    pub(crate) committed: Option<(Position, OffsetMetadata)>,
}

/// Every partition of a topic, and how far `group` has come there; a group of `None` reads nothing.
pub(crate) fn of_topic(cluster: &Cluster, topic: &Arc<str>, group: Option<&str>) -> Result<Vec<PartitionLag>> {
    let client = asking(cluster, None)?;
    let n = n_partitions(&client, cluster, topic)?;
    let splits: Vec<_> = (0..n).map(|number| split_of(topic, number)).collect();
    let mut found = HashMap::new();
    if let Some(group) = group {
        let identity = Identity { transactional_id: String::new(), group: group.to_owned(), topics: HashMap::new() };
        for (split, position, metadata) in committed_so_far(cluster, &identity, &splits)? {
            found.insert(split, (position, SplitMetadata::decode(&metadata)));
        }
    }
    let mut rows = Vec::new();
    for (partition, split) in splits.iter().enumerate() {
        let partition = partition as i32;
        let bounds = bounds(&client, cluster, &(Arc::clone(topic), partition))?;
        rows.push(PartitionLag { partition, bounds, committed: found.remove(split) });
    }
    Ok(rows)
}
