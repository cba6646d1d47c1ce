//! Writes to the topic in transactions: all messages or none, and only until a newer writer takes over.

use std::time::Duration;

use davy_kafka::Error as KafkaError;
use davy_kafka::producer::{Compression, Record, Sizes, TransactionalOptions, TransactionalProducer, Unfenced};

use super::codec::Message;
use super::{CatalogTopic, Halt};

/// How long the broker lets a transaction be open: longer than the attempts to commit it. The next leader aborts it anyway.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);
/// How long taking over, or a commit, is tried. After it a commit is in doubt.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the writer tries to send the messages: until then everything can be taken back.
const SEND: Duration = Duration::from_secs(10);

/// The catalog's transactional client.
pub(super) struct Writer {
    topic: String,
    producer: TransactionalProducer,
}

impl Writer {
    /// Fences all earlier writers, and aborts the transaction that they left open.
    pub(super) fn init(topic: &CatalogTopic, proceed: &dyn Fn() -> Result<(), Halt>) -> Result<Self, Halt> {
        let CatalogTopic { options, connection } = topic;
        let transactional = TransactionalOptions {
            sizes: Sizes::default(),
            transactional_id: options.transactional_id(),
            transaction_timeout: TRANSACTION_TIMEOUT,
            compression: Compression::Zstd,
        };
        let unfenced = Unfenced::connect(connection, &transactional)?;
        let taken = unfenced.take_over(&|| if proceed().is_ok() { PATIENCE } else { Duration::ZERO });
        if taken.is_err() {
            proceed()?;
        }
        Ok(Self { topic: options.topic.clone(), producer: taken? })
    }

    /// Whether anything went wrong since the last write began: then the next one needs a fresh writer.
    pub(super) fn had_trouble(&self) -> bool {
        self.producer.had_trouble()
    }

    /// Writes all of `messages`, which are not empty, and returns the offset of the last one, where the broker has said it.
    pub(super) fn write(&self, messages: &[Message]) -> Result<Option<u64>, KafkaError> {
        let written = self.transaction(messages);
        // A commit in doubt may have succeeded, and a newer writer has aborted what a fenced one left open.
        if matches!(written, Err(KafkaError::Unavailable(_) | KafkaError::Invalid { .. })) {
            self.producer.abort();
        }
        written?;
        Ok(self.producer.written())
    }

    fn transaction(&self, messages: &[Message]) -> Result<(), KafkaError> {
        self.producer.begin()?;
        for Message { key, value } in messages {
            let (key, value) = (Some(key.as_bytes()), value.as_deref());
            let record =
                Record { topic: &self.topic, partition: Some(0), key, value, headers: &[], timestamp_ms: None };
            self.producer.send(&record)?;
        }
        self.producer.drain(&|| SEND)?;
        self.producer.commit(&|| PATIENCE)
    }
}
