//! Topics for commands that write messages and read what comes back, outside of any pipeline.

use std::time::Duration;

use davy_engine::Result;
use davy_kafka::KafkaConnection;
use davy_kafka::producer::{Compression, IdempotentProducer, Record, Sizes};
use davy_proto::domain::TailRow;

use crate::connector::kafka::of_kafka;
use crate::connector::kafka::tail::TopicTail;

/// How long messages may take to be written.
const FLUSH: Duration = Duration::from_secs(30);

/// A Kafka cluster, with properties of librdkafka.
#[derive(Clone, Debug)]
pub struct Cluster(KafkaConnection);

impl Cluster {
    pub fn new(bootstrap_servers: &str, properties: &[(String, String)]) -> Result<Self> {
        let properties = properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        KafkaConnection::from_properties(bootstrap_servers, properties).map(Self).map_err(of_kafka)
    }

    /// What is committed in a topic from now on.
    pub fn tail(&self, topic: &str) -> Result<Tail> {
        TopicTail::open(&self.0, topic, false).map(Tail)
    }

    pub fn writer(&self, topic: &str) -> Result<Writer> {
        let producer = IdempotentProducer::connect(&self.0, Compression::Lz4, Sizes::default()).map_err(of_kafka)?;
        Ok(Writer { producer, topic: topic.to_owned() })
    }
}

pub struct Tail(TopicTail);

impl Tail {
    /// What has come, after waiting for some for at most `wait`.
    pub fn next(&mut self, wait: Duration) -> Result<Vec<TailRow>> {
        self.0.next(wait)
    }
}

pub struct Writer {
    producer: IdempotentProducer,
    topic: String,
}

impl Writer {
    /// Queues a message; `made_ms` is when it was made, milliseconds since 1970.
    pub fn send(&self, value: &[u8], made_ms: i64) -> Result<()> {
        let record = Record {
            topic: &self.topic,
            partition: None,
            key: None,
            value: Some(value),
            headers: &[],
            timestamp_ms: Some(made_ms),
        };
        self.producer.send(&record).map_err(of_kafka)
    }

    /// Waits until all messages are written.
    pub fn flush(&self) -> Result<()> {
        self.producer.flush(FLUSH).map_err(of_kafka)
    }
}
