//! Producers: transactions for the owner of a transactional id, and an idempotent one without transactions.
//!
//! ```text
//! connect() ──▶ Unfenced ── take_over() ──▶ TransactionalProducer: begin, send, drain, send_offsets, commit or abort
//! ```
//!
//! Only [`Unfenced::take_over`] makes a [`TransactionalProducer`]: a client that has not fenced the older producers has no `commit`.
//!
//! Before a commit the queue is emptied in short polls: `flush`, which a commit calls, waits in slices of 100 ms. A call that times out
//! is made again, as long as the caller's patience lasts; the library continues the same request. A commit that has no answer by then
//! is in doubt. librdkafka does not implement KIP-890: a late request of a producer may end its own next transaction, but never one of
//! a fresh producer, so take a fresh one after [trouble](TransactionalProducer::had_trouble).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client::{self, Context};
use crate::connection::SOCKET_TIMEOUT;
use crate::error::{Error, Result, classified, code_of, failed, is_unknown_topic};
use crate::offsets::{CommittedOffset, GroupMetadata, native};
use crate::{KafkaConnection, clock, detached};

/// How long one try of a call takes: after each the producer calls the patience.
const SLICE: Duration = Duration::from_secs(1);
/// Between two tries of a call that failed at once.
const PAUSE: Duration = Duration::from_millis(10);
/// How often the producer looks whether all records are written.
const DRAIN: Duration = Duration::from_micros(500);
/// How long a record may wait for room in the queue.
const QUEUE_FULL: Duration = Duration::from_secs(30);
/// About how many events a client queues between two commits.
const N_EVENTS: usize = 64;
/// A call that sends positions has no answer after this time: it waits for something that does not come. Its requests time out earlier.
const HANGS: Duration = Duration::from_secs(12);
/// How long an abort may take; the next producer aborts the transaction anyway.
const ABORT: Duration = Duration::from_secs(2);

/// How long a call is tried in all; called after each try, so that a caller that stops can shorten it.
pub type Patience<'a> = &'a dyn Fn() -> Duration;

/// A record to be written.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub topic: &'a str,
    /// `None`: by the key, as Java's producers choose it; without a key any.
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    /// `None` deletes the key of a compacted topic.
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(Cow<'static, str>, Vec<u8>)],
    /// Milliseconds since 1970. `None`, a time before 1970 and one that is still to come give the time of writing: brokers refuse the
    /// latter, and with it the whole transaction.
    pub timestamp_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// How much a producer may write at once, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The longest record.
    pub record_max: usize,
    /// Records that are written together, unless one alone is longer. A topic refuses a whole batch that is longer than its limit.
    pub batch_max: usize,
}

impl Default for Sizes {
    /// What every topic takes by default.
    fn default() -> Self {
        Self { record_max: 1_000_000, batch_max: 1_000_000 }
    }
}

/// What a transactional producer is made with.
#[derive(Clone, Debug)]
pub struct TransactionalOptions {
    pub transactional_id: String,
    /// How long the broker lets a transaction be open, where the connection's properties do not say.
    pub transaction_timeout: Duration,
    pub compression: Compression,
    pub sizes: Sizes,
}

/// A producer whose transactional id may still belong to older producers.
pub struct Unfenced {
    inner: Inner,
    transactional_id: String,
}

impl Unfenced {
    /// Makes the client; sends no request of its own.
    pub fn connect(connection: &KafkaConnection, options: &TransactionalOptions) -> Result<Self> {
        let mut config = config(connection, options.compression, options.sizes);
        config.set("transactional.id", &options.transactional_id);
        let default = options.transaction_timeout.as_millis().to_string();
        let timeout = connection.property("transaction.timeout.ms").unwrap_or(&default);
        config.set("transaction.timeout.ms", timeout);
        // The client refuses to wait for a response for longer than a transaction may be open.
        if timeout.parse().is_ok_and(|ms: u128| ms < SOCKET_TIMEOUT.as_millis()) {
            connection.set_defaults(&mut config, &[("socket.timeout.ms", timeout)]);
        }
        // The client reports broken connections in log lines only, and a commit has to know of them.
        config.set("log.connection.close", "true").set_log_level(RDKafkaLogLevel::Info);
        let inner = Inner::connect(connection, &config)?;
        Ok(Self { inner, transactional_id: options.transactional_id.clone() })
    }

    /// Fences every older producer of the transactional id, and aborts the transaction that it left open.
    pub fn take_over(self, patience: Patience<'_>) -> Result<TransactionalProducer> {
        let what = format!("take over the transactional id `{}`", self.transactional_id);
        let taken_over = self.inner.insist(patience, |producer| producer.init_transactions(SLICE));
        taken_over.map_err(|error| self.inner.failed(&what, &error))?;
        // What was slow before has left nothing behind.
        self.inner.context().clear();
        Ok(TransactionalProducer(self.inner))
    }
}

/// The producer of a transactional id, until a newer one takes over.
pub struct TransactionalProducer(Inner);

impl TransactionalProducer {
    /// Begins a transaction. Trouble before it does not count any more.
    pub fn begin(&self) -> Result<()> {
        self.0.take_events();
        self.0.context().clear();
        let begun = self.0.producer.begin_transaction();
        begun.map_err(|error| self.0.failed("begin a transaction", &error))
    }

    /// Queues a record.
    pub fn send(&self, record: &Record<'_>) -> Result<()> {
        self.0.send(record)
    }

    /// Waits until all records are written. One that cannot be written is found here.
    pub fn drain(&self, patience: Patience<'_>) -> Result<()> {
        let begun = clock::now();
        let context = self.0.context();
        while 0 < self.0.producer.in_flight_count() && !context.has_transaction_failed() {
            if patience() <= clock::since(begun) {
                let late = KafkaError::MessageProduction(RDKafkaErrorCode::OperationTimedOut);
                return Err(self.0.failed("write all records of a transaction", &late));
            }
            // With a timeout, a poll spends the last millisecond of it spinning.
            self.0.producer.poll(Duration::ZERO);
            clock::rest(DRAIN);
        }
        // After the transaction has failed, the next call returns the cause.
        if context.has_transaction_failed() { Ok(()) } else { self.0.check_delivered() }
    }

    /// Commits offsets for a group with the transaction; the group may not have members.
    pub fn send_offsets(
        &self,
        group: &GroupMetadata,
        offsets: &[CommittedOffset],
        patience: Patience<'_>,
    ) -> Result<()> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for CommittedOffset { partition, offset, metadata } in offsets {
            let mut element = list.add_partition(&partition.topic, partition.partition);
            let set = element.set_offset(Offset::Offset(native(*offset)));
            set.map_err(|error| self.0.failed(&format!("commit an offset of `{partition}`"), &error))?;
            element.set_metadata(metadata.as_str());
        }
        let sent = self.0.insist(patience, |producer| {
            let (producer, list, group) = (Arc::clone(producer), list.clone(), Arc::clone(&group.0));
            let call = move || producer.send_offsets_to_transaction(&list, &group, SLICE);
            let sent = detached::call(|| patience().clamp(SLICE, HANGS), call).unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot start a thread that sends positions");
                None
            });
            sent.unwrap_or(Err(KafkaError::MessageProduction(RDKafkaErrorCode::OperationTimedOut)))
        });
        sent.map_err(|error| self.0.failed("send positions", &error))
    }

    /// Commits. Of its errors, only [`Error::InDoubt`] leaves open whether the transaction is committed: after all but the refusals of
    /// the broker and the errors for which the client demands an abort.
    pub fn commit(&self, patience: Patience<'_>) -> Result<()> {
        let committed = self.0.insist(patience, |producer| producer.commit_transaction(SLICE));
        committed.map_err(|error| {
            let requires_abort = matches!(&error, KafkaError::Transaction(error) if error.txn_requires_abort());
            match self.0.failed("commit", &error) {
                Error::Unavailable(message) if !requires_abort => Error::InDoubt(message),
                not_committed => not_committed,
            }
        })
    }

    /// Aborts, as far as that is possible now; the next producer aborts what is left.
    pub fn abort(&self) {
        self.0.context().note_trouble();
        if let Err(error) = self.0.producer.abort_transaction(ABORT) {
            tracing::debug!(%error, "the next producer will abort the transaction");
        }
    }

    /// Whether a request was late or a connection broke since the last transaction began.
    pub fn had_trouble(&self) -> bool {
        self.0.take_events();
        self.0.context().had_trouble()
    }

    /// The offset of the last record that was written in this transaction.
    pub fn written(&self) -> Option<u64> {
        self.0.context().written()
    }
}

/// Writes without transactions: each record at least once.
pub struct IdempotentProducer(Inner);

impl IdempotentProducer {
    pub fn connect(connection: &KafkaConnection, compression: Compression, sizes: Sizes) -> Result<Self> {
        Ok(Self(Inner::connect(connection, &config(connection, compression, sizes))?))
    }

    /// Queues a record.
    pub fn send(&self, record: &Record<'_>) -> Result<()> {
        self.0.send(record)
    }

    /// Waits until all records since the last flush are written.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        let flushed = self.0.producer.flush(timeout).map_err(|error| self.0.failed("write all records", &error));
        let written = flushed.and_then(|()| self.0.check_delivered());
        self.0.context().clear();
        written
    }
}

/// The configuration of all producers.
fn config(connection: &KafkaConnection, compression: Compression, sizes: Sizes) -> ClientConfig {
    let mut config = connection.config();
    // A commit is one burst: what it holds is sent at once when the queue is emptied, in batches as large as they come.
    connection.set_defaults(
        &mut config,
        &[
            ("linger.ms", "5"),
            ("batch.size", &sizes.batch_max.to_string()),
            ("message.max.bytes", &sizes.record_max.to_string()),
            ("queue.buffering.max.messages", "1000000"),
            ("queue.buffering.max.kbytes", "262144"),
        ],
    );
    config.set("enable.idempotence", "true").set("compression.type", compression.name());
    config.set("partitioner", "murmur2_random");
    config
}

/// What all producers do.
struct Inner {
    connection: KafkaConnection,
    producer: Arc<BaseProducer<Context>>,
}

impl Inner {
    fn connect(connection: &KafkaConnection, config: &ClientConfig) -> Result<Self> {
        Ok(Self { connection: connection.clone(), producer: Arc::new(client::producer(connection, config)?) })
    }

    fn context(&self) -> &Context {
        self.producer.context()
    }

    /// Takes what the client has to report, which waits in its queue until it is polled.
    fn take_events(&self) {
        (0..N_EVENTS).for_each(|_| self.producer.poll(Duration::ZERO));
    }

    /// Tries a call of the transaction protocol until it succeeds, or cannot.
    fn insist(
        &self,
        patience: Patience<'_>,
        call: impl Fn(&Arc<BaseProducer<Context>>) -> Result<(), KafkaError>,
    ) -> Result<(), KafkaError> {
        let begun = clock::now();
        loop {
            let Err(error) = call(&self.producer) else { return Ok(()) };
            self.context().note_trouble();
            let is_retriable = match &error {
                KafkaError::Transaction(error) => {
                    error.is_retriable() && !error.txn_requires_abort() && !error.is_fatal()
                }
                _ => false,
            };
            if !is_retriable || patience() <= clock::since(begun) {
                return Err(error);
            }
            self.producer.poll(PAUSE);
        }
    }

    /// Queues a record, and waits while the queue is full.
    fn send(&self, given: &Record<'_>) -> Result<()> {
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(given.topic);
        record.partition = given.partition;
        record.key = given.key;
        record.payload = given.value;
        // Zero is librdkafka's word for the time of writing, too.
        record.timestamp =
            given.timestamp_ms.filter(|ms| 0 < *ms && Duration::from_millis(ms.unsigned_abs()) <= clock::since_1970());
        if !given.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(given.headers.len());
            let insert = |all: OwnedHeaders, (key, value): &(Cow<'static, str>, Vec<u8>)| {
                all.insert(Header { key, value: Some(value) })
            };
            record.headers = Some(given.headers.iter().fold(headers, insert));
        }
        let begun = clock::now();
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again))
                    if clock::since(begun) < QUEUE_FULL =>
                {
                    self.producer.poll(PAUSE);
                    record = again;
                }
                Err((error, _)) => return Err(self.failed(&write_to(given.topic), &error)),
            }
        }
    }

    fn check_delivered(&self) -> Result<()> {
        let Some((topic, error)) = self.context().undelivered() else { return Ok(()) };
        if code_of(&error).is_some_and(is_unknown_topic) {
            // Started again, the task looks for the topic for some seconds, and then says that it is missing.
            return Err(Error::Unavailable(format!("the broker does not know topic `{topic}`")));
        }
        Err(self.failed(&write_to(&topic), &error))
    }

    fn failed(&self, what: &str, error: &KafkaError) -> Error {
        self.context().note_trouble();
        // After a fatal error, only the client itself says which one it was.
        let failure = match self.producer.client().fatal_error() {
            Some((code, why)) => {
                let servers = self.connection.bootstrap_servers();
                classified(code, format!("cannot {what} (Kafka at `{servers}`): {why}"))
            }
            None => failed(what, &self.connection, error),
        };
        self.context().explained(failure)
    }
}

fn write_to(topic: &str) -> String {
    format!("write to topic `{topic}`")
}
