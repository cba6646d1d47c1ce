//! Looks at a topic as it grows: only what is committed, message by message, for people.

use std::sync::Arc;
use std::time::Duration;

use davy_engine::Result;
use davy_proto::domain::TailRow;

use super::options::Cluster;
use super::reader::{Event, Reader};

/// Reads all partitions of a topic.
pub(crate) struct TopicTail {
    reader: Reader,
}

impl TopicTail {
    pub(crate) fn open(cluster: &Cluster, topic: &str, from_beginning: bool) -> Result<Self> {
        let mut reader = Reader::new(cluster, false)?;
        let topic: Arc<str> = topic.into();
        for number in 0..reader.partitions(&topic)? {
            let partition = (Arc::clone(&topic), number);
            let bounds = reader.bounds(&partition)?;
            reader.assign(&partition, if from_beginning { bounds.first.0 } else { bounds.end.0 })?;
        }
        Ok(Self { reader })
    }

    /// What has come, after waiting for some for at most `wait`.
    pub(crate) fn next(&mut self, wait: Duration) -> Result<Vec<TailRow>> {
        let mut rows = Vec::new();
        self.reader.poll(wait, |event| {
            let Event::Message(message) = event else { return };
            rows.push(TailRow {
                topic: message.topic.to_owned(),
                partition: message.partition,
                offset: i64::try_from(message.offset).unwrap_or(i64::MAX),
                written_at_ms: message.timestamp(),
                key: message.key.unwrap_or_default().to_vec(),
                value: message.value.unwrap_or_default().to_vec(),
            });
        })?;
        Ok(rows)
    }
}
