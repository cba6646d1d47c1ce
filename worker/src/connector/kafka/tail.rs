//! Looks at a topic, as it grows or as it is: only what is committed, message by message, for people.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use davy_engine::{Error, Result};
use davy_kafka::reader::{Event, Reader};
use davy_kafka::{Isolation, KafkaConnection, TopicPartition};
use davy_proto::domain::TailRow;

use super::of_kafka;
use crate::clock;

/// How long one poll may wait for messages.
const WAIT: Duration = Duration::from_millis(100);
/// How long nothing may come from a partition that is not read to its end.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// Reads the values of all messages that a topic has now.
pub(crate) fn read_values(connection: &KafkaConnection, topic: &str, mut take: impl FnMut(&[u8])) -> Result<()> {
    let mut reader = Reader::connect(connection, Isolation::ReadCommitted).map_err(of_kafka)?;
    let topic: Arc<str> = topic.into();
    let mut ends = BTreeMap::new();
    for number in 0..reader.metadata().n_partitions(&topic).map_err(of_kafka)? {
        let partition = TopicPartition::new(Arc::clone(&topic), number);
        let offsets = reader.metadata().offsets(&partition).map_err(of_kafka)?;
        if offsets.start < offsets.end {
            reader.assign(&partition, offsets.start).map_err(of_kafka)?;
            ends.insert(number, offsets.end);
        }
    }
    let mut last = clock::running();
    while !ends.is_empty() {
        let mut read = Vec::new();
        let polled = reader.poll(WAIT, |event| match event {
            Event::Message(message) => {
                if let (Some(value), Some(end)) = (message.value, ends.get(&message.partition))
                    && message.offset < *end
                {
                    take(value);
                }
                read.push((message.partition, message.offset + 1));
            }
            Event::End(_, partition, at) => read.push((partition, at)),
        });
        polled.map_err(of_kafka)?;
        if !read.is_empty() {
            last = clock::running();
        } else if PATIENCE <= clock::running().saturating_sub(last) {
            return Err(Error::Unavailable(format!("nothing has come from topic `{topic}` for {PATIENCE:?}")));
        }
        ends.retain(|partition, end| read.iter().all(|(number, at)| number != partition || at < end));
    }
    Ok(())
}
