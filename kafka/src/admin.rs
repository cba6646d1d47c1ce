//! Topics and their records: create, describe, delete.

use std::future::Future;
use std::num::NonZeroU16;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client::{self, Context, REQUEST_TIMEOUT};
use crate::error::{Error, Result, failed};
use crate::offsets::native;
use crate::{KafkaConnection, TopicPartition};

/// A topic to be created.
#[derive(Clone, Copy, Debug)]
pub struct NewTopic<'a> {
    pub name: &'a str,
    pub n_partitions: i32,
    /// `None`: as many replicas as the broker gives topics by default.
    pub replication: Option<NonZeroU16>,
    pub config: &'a [(&'a str, &'a str)],
}

/// Who has created a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    Here,
    /// Another client, at the same moment or before.
    Elsewhere,
}

pub struct Admin {
    connection: KafkaConnection,
    client: AdminClient<Context>,
}

impl Admin {
    pub fn connect(connection: &KafkaConnection) -> Result<Self> {
        Ok(Self { connection: connection.clone(), client: client::admin(connection)? })
    }

    pub fn create_topic(&self, topic: &NewTopic<'_>) -> Result<Created> {
        let replication = topic.replication.map_or(-1, |replication| i32::from(replication.get()));
        let mut new =
            rdkafka::admin::NewTopic::new(topic.name, topic.n_partitions, TopicReplication::Fixed(replication));
        for (name, value) in topic.config {
            new = new.set(name, value);
        }
        let what = format!("create topic `{}`", topic.name);
        let results = self.wait(&what, self.client.create_topics([&new], &options()))?;
        match results.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(Created::Elsewhere),
            Some(Err((_, code))) => Err(self.failed(&what, &KafkaError::AdminOp(code))),
            Some(Ok(_)) | None => Ok(Created::Here),
        }
    }

    /// The value of a topic's setting.
    pub fn topic_config(&self, topic: &str, name: &str) -> Result<Option<String>> {
        let what = format!("look at the settings of topic `{topic}`");
        let found = self.wait(&what, self.client.describe_configs([&ResourceSpecifier::Topic(topic)], &options()))?;
        let Some(found) = found.into_iter().next() else { return Ok(None) };
        let found = found.map_err(|code| self.failed(&what, &KafkaError::AdminOp(code)))?;
        Ok(found.get(name).and_then(|entry| entry.value.clone()))
    }

    /// Requests to delete the records before these offsets. The answer is not awaited.
    pub fn delete_records(&self, before: &[(TopicPartition, u64)]) -> Result<()> {
        let mut list = TopicPartitionList::with_capacity(before.len());
        for (TopicPartition { topic, partition }, offset) in before {
            let added = list.add_partition_offset(topic, *partition, Offset::Offset(native(*offset)));
            added.map_err(|error| self.failed("delete records", &error))?;
        }
        drop(self.client.delete_records(&list, &AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT))));
        Ok(())
    }

    /// Waits for an answer; the client has a thread of its own.
    fn wait<T>(&self, what: &str, answer: impl Future<Output = Result<T, KafkaError>>) -> Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| Error::Unavailable(format!("cannot {what}: {error}")))?;
        runtime.block_on(answer).map_err(|error| self.failed(what, &error))
    }

    fn failed(&self, what: &str, error: &KafkaError) -> Error {
        failed(what, &self.connection, error)
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(REQUEST_TIMEOUT)).request_timeout(Some(REQUEST_TIMEOUT))
}
