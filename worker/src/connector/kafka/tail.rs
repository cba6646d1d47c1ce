//! Looks at a topic as it grows: only what is committed, message by message, for people.

use std::sync::Arc;
use std::time::Duration;

use davy_engine::Result;
use davy_kafka::reader::{Event, Reader};
use davy_kafka::{Isolation, KafkaConnection, TopicPartition};
use davy_proto::domain::TailRow;

use super::of_kafka;

/// Reads all partitions of a topic.
pub(crate) struct TopicTail {
    reader: Reader,
}

impl TopicTail {
    pub(crate) fn open(connection: &KafkaConnection, topic: &str, from_beginning: bool) -> Result<Self> {
        let mut reader = Reader::connect(connection, Isolation::ReadCommitted).map_err(of_kafka)?;
        let topic: Arc<str> = topic.into();
        for number in 0..reader.metadata().n_partitions(&topic).map_err(of_kafka)? {
            let partition = TopicPartition::new(Arc::clone(&topic), number);
            let offsets = reader.metadata().offsets(&partition).map_err(of_kafka)?;
            let from = if from_beginning { offsets.start } else { offsets.end };
            reader.assign(&partition, from).map_err(of_kafka)?;
        }
        Ok(Self { reader })
    }

    /// What has come, after waiting for some for at most `wait`.
    pub(crate) fn next(&mut self, wait: Duration) -> Result<Vec<TailRow>> {
        let mut rows = Vec::new();
        let polled = self.reader.poll(wait, |event| {
            let Event::Message(message) = event else { return };
            rows.push(TailRow {
                topic: message.topic.to_owned(),
                partition: message.partition,
                offset: i64::try_from(message.offset).unwrap_or(i64::MAX),
                written_at_ms: message.timestamp(),
                key: message.key.unwrap_or_default().to_vec(),
                value: message.value.unwrap_or_default().to_vec(),
            });
        });
        polled.map_err(of_kafka)?;
        Ok(rows)
    }
}
