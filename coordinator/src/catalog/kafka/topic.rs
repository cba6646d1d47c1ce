//! The catalog's topic: made where it is missing, and checked where it is there.
//!
//! With a second partition, records would have no order; with any clean-up but compaction, pipelines would be deleted by age.

use std::future::Future;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::info;

use super::client::{ANSWER, Context, MESSAGE_BYTES_MAX, failed, make, now, reason};
use super::{KafkaCatalogOptions, SLICE};
use crate::catalog::CatalogError;

const POLICY: &str = "cleanup.policy";
const COMPACT: &str = "compact";

/// Makes the topic, or says what is wrong with it.
pub(super) fn ensure(options: &KafkaCatalogOptions) -> Result<(), CatalogError> {
    let client: BaseConsumer<Context> = make(options, "look at the catalog's topic", &[])?;
    let admin: AdminClient<Context> = make(options, "look at the catalog's topic", &[])?;
    if n_partitions(&client, options)?.is_none() {
        create(&admin, options)?;
    }
    let deadline = now() + ANSWER;
    let n_partitions = loop {
        match n_partitions(&client, options)? {
            Some(n_partitions) => break n_partitions,
            None if deadline <= now() => {
                return Err(CatalogError::Unavailable(format!(
                    "topic `{}` was made, and the broker does not know it yet",
                    options.topic
                )));
            }
            None => drop(client.poll(SLICE)),
        }
    };
    objection(n_partitions, &policy(&admin, options)?).map_or(Ok(()), |why| {
        Err(CatalogError::Corrupt(format!("topic `{}` cannot keep the catalog: {why}", options.topic)))
    })
}

/// What stands in the way of keeping a catalog in such a topic.
fn objection(n_partitions: usize, policy: &str) -> Option<String> {
    if n_partitions != 1 {
        return Some(format!(
            "it has {n_partitions} partitions and must have one; name another topic, which is then made"
        ));
    }
    (policy != COMPACT).then(|| {
        format!("its `{POLICY}` is `{policy}`, so records would be deleted by age; set it to `{COMPACT}`, or name another topic")
    })
}

/// `None`: there is no such topic.
fn n_partitions(client: &BaseConsumer<Context>, options: &KafkaCatalogOptions) -> Result<Option<usize>, CatalogError> {
    let topic = &options.topic;
    let what = format!("look at topic `{topic}`");
    let metadata = client.fetch_metadata(Some(topic), ANSWER).map_err(|error| {
        // The client reports its errors when it is polled.
        drop(client.poll(SLICE));
        with_reason(failed(&what, options, &error), client.client().context())
    })?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    match found.and_then(|found| found.error()).map(RDKafkaErrorCode::from) {
        None => Ok(found.map(|found| found.partitions().len()).filter(|n_partitions| *n_partitions != 0)),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
        Some(code) => Err(failed(&what, options, &KafkaError::MetadataFetch(code))),
    }
}

fn with_reason(error: CatalogError, context: &Context) -> CatalogError {
    match error {
        CatalogError::Unavailable(message) => CatalogError::Unavailable(message + &reason(context)),
        other @ (CatalogError::Fenced(_) | CatalogError::Corrupt(_)) => other,
    }
}

fn create(admin: &AdminClient<Context>, options: &KafkaCatalogOptions) -> Result<(), CatalogError> {
    let topic = &options.topic;
    // -1: as many as the broker gives topics by default.
    let replication = options.replication.map_or(-1, |replication| i32::from(replication.get()));
    let new = NewTopic::new(topic, 1, TopicReplication::Fixed(replication))
        .set(POLICY, COMPACT)
        .set("max.message.bytes", MESSAGE_BYTES_MAX);
    let what = format!("create topic `{topic}`");
    let made =
        answer(admin.create_topics([&new], &admin_options()))?.map_err(|error| failed(&what, options, &error))?;
    for result in made {
        match result {
            Ok(_) => info!(topic, "made the catalog's topic"),
            // Another coordinator was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(failed(&what, options, &KafkaError::AdminOp(code))),
        }
    }
    Ok(())
}

fn policy(admin: &AdminClient<Context>, options: &KafkaCatalogOptions) -> Result<String, CatalogError> {
    let what = format!("look at the settings of topic `{}`", options.topic);
    let topic = ResourceSpecifier::Topic(&options.topic);
    let request = admin.describe_configs([&topic], &admin_options());
    let found = answer(request)?.map_err(|error| failed(&what, options, &error))?;
    let mut policy = String::new();
    for resource in found {
        let resource = resource.map_err(|code| failed(&what, options, &KafkaError::AdminOp(code)))?;
        policy.extend(resource.get(POLICY).and_then(|entry| entry.value.clone()));
    }
    Ok(policy)
}

fn admin_options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER))
}

/// Waits for an answer of the admin client, which has a thread of its own.
fn answer<T>(request: impl Future<Output = T>) -> Result<T, CatalogError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| CatalogError::Unavailable(format!("cannot wait for an answer: {error}")))?;
    Ok(runtime.block_on(request))
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
