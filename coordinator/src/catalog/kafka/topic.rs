//! The catalog's topic: made where it is missing, and checked where it is there.
//!
//! With a second partition, records would have no order; with any clean-up but compaction, pipelines would be deleted by age.

use davy_kafka::Isolation;
use davy_kafka::admin::{Admin, Created, NewTopic};
use davy_kafka::offsets::MetadataClient;
use tracing::info;

use super::{CatalogTopic, MESSAGE_BYTES_MAX};
use crate::catalog::CatalogError;

const POLICY: &str = "cleanup.policy";
const COMPACT: &str = "compact";

/// Makes the topic, or says what is wrong with it.
pub(super) fn ensure(CatalogTopic { options, connection }: &CatalogTopic) -> Result<(), CatalogError> {
    let client = MetadataClient::connect(connection, Isolation::ReadCommitted)?;
    let admin = Admin::connect(connection)?;
    let topic = &options.topic;
    if client.find_topic(topic)?.is_none() {
        let new = NewTopic {
            name: topic,
            n_partitions: 1,
            replication: options.replication,
            config: &[(POLICY, COMPACT), ("max.message.bytes", MESSAGE_BYTES_MAX)],
        };
        if admin.create_topic(&new)? == Created::Here {
            info!(topic, "made the catalog's topic");
        }
    }
    let n_partitions = client.wait_for_topic(topic)?;
    let policy = admin.topic_config(topic, POLICY)?.unwrap_or_default();
    objection(n_partitions, &policy)
        .map_or(Ok(()), |why| Err(CatalogError::Corrupt(format!("topic `{topic}` cannot keep the catalog: {why}"))))
}

/// What stands in the way of keeping a catalog in such a topic.
fn objection(n_partitions: i32, policy: &str) -> Option<String> {
    if n_partitions != 1 {
        return Some(format!(
            "it has {n_partitions} partitions and must have one; name another topic, which is then made"
        ));
    }
    (policy != COMPACT).then(|| {
        format!("its `{POLICY}` is `{policy}`, so records would be deleted by age; set it to `{COMPACT}`, or name another topic")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_compacted_topic_with_one_partition_is_accepted() {
        for (n_partitions, policy, expected) in [
            (1, "compact", None),
            (2, "compact", Some("2 partitions")),
            (1, "delete", Some("`delete`")),
            (1, "compact,delete", Some("by age")),
            (1, "", Some("by age")),
        ] {
            let said = objection(n_partitions, policy);
            assert_eq!(said.is_some(), expected.is_some(), "{n_partitions} {policy}: {said:?}");
            assert!(said.unwrap_or_default().contains(expected.unwrap_or_default()), "{n_partitions} {policy}");
        }
    }
}
