//! Reads partitions in batches: the one place that calls librdkafka's C functions for messages.
//!
//! All partitions of a reader share one queue, out of which up to [`BATCH`] messages are taken per call; one call per message would
//! cost more than decoding it. The queue is bounded by `queued.max.messages.kbytes`. Errors, logs and tokens come by the client's main
//! queue, which is served on the way.
#![allow(unsafe_code, reason = "batch consume exists only in the C library")]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_void};
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka_sys as sys;

use crate::client::Context;
use crate::error::{Error, Result, is_unknown_topic};
use crate::offsets::{MetadataClient, native};
use crate::{Isolation, KafkaConnection, TopicPartition};

/// Messages taken per call, at most: with one row each that is a batch whose fixed costs do not show.
const BATCH: usize = 16_384;
/// Bytes taken per call, about: with many rows in a message a few messages are enough.
const BATCH_BYTES: usize = 4 << 20;
/// Memory for messages that are fetched and not yet taken, in KiB, where the script says nothing.
const QUEUE_KIB: &str = "32768";

/// What a reader gives, one after the other. Borrowed: valid during the call.
pub enum Event<'a> {
    Message(Message<'a>),
    /// The end of a partition, for now: its next position.
    End(&'a str, i32, u64),
}

/// A message as it lies in librdkafka's memory.
pub struct Message<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: u64,
    pub value: Option<&'a [u8]>,
    pub key: Option<&'a [u8]>,
    raw: *mut sys::rd_kafka_message_t,
}

impl Message<'_> {
    /// Milliseconds since 1970; -1 where there is none.
    pub fn timestamp(&self) -> i64 {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: `raw` is alive as long as the message is borrowed.
        unsafe { sys::rd_kafka_message_timestamp(self.raw, &mut kind) }
    }

    /// Calls `take` with each header.
    pub fn headers(&self, mut take: impl FnMut(&str, &[u8])) {
        let mut headers: *mut sys::rd_kafka_headers_t = ptr::null_mut();
        // SAFETY: `raw` is alive; the headers belong to it, and so do the names and values that they give.
        unsafe {
            if sys::rd_kafka_message_headers(self.raw, &mut headers)
                != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
            {
                return;
            }
            for index in 0.. {
                let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
                let code = sys::rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut size);
                if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                    return;
                }
                take(&CStr::from_ptr(name).to_string_lossy(), bytes(value, size).unwrap_or_default());
            }
        }
    }
}

pub struct Reader {
    connection: KafkaConnection,
    // Dropped in this order: queue, topics, client.
    queue: Queue,
    topics: BTreeMap<Arc<str>, Topic>,
    metadata: MetadataClient,
    /// Made when it is first needed.
    uncommitted: Option<MetadataClient>,
    batch: Vec<*mut sys::rd_kafka_message_t>,
    /// Messages to be taken with the next call.
    wanted: usize,
    reading: Vec<TopicPartition>,
}

struct Queue(*mut sys::rd_kafka_queue_t);

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_queue_new`, destroyed once.
        unsafe { sys::rd_kafka_queue_destroy(self.0) }
    }
}

struct Topic(*mut sys::rd_kafka_topic_t);

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_topic_new`, destroyed once.
        unsafe { sys::rd_kafka_topic_destroy(self.0) }
    }
}

// SAFETY: librdkafka's objects may be used from any thread; messages in `batch` are only there during a call.
unsafe impl Send for Reader {}

impl Reader {
    /// Reads nothing until partitions are assigned.
    pub fn connect(connection: &KafkaConnection, isolation: Isolation) -> Result<Self> {
        let mut config = connection.config();
        config.set("enable.auto.commit", "false");
        config.set("enable.partition.eof", "true");
        // A position that is gone is a loss, and a loss is decided on, not skipped.
        config.set("auto.offset.reset", "error");
        config.set("isolation.level", isolation.name());
        connection.set_defaults(
            &mut config,
            &[
                ("queued.max.messages.kbytes", QUEUE_KIB),
                ("fetch.wait.max.ms", "100"),
                ("fetch.error.backoff.ms", "100"),
            ],
        );
        let metadata = MetadataClient::with(connection, &config)?;
        // SAFETY: the client is alive, and outlives its queue.
        let queue = unsafe { sys::rd_kafka_queue_new(metadata.consumer.client().native_ptr()) };
        let batch = vec![ptr::null_mut(); BATCH];
        Ok(Self {
            connection: connection.clone(),
            queue: Queue(queue),
            topics: BTreeMap::new(),
            metadata,
            uncommitted: None,
            batch,
            wanted: 256,
            reading: Vec::new(),
        })
    }

    /// Requests bounds of partitions, with the isolation level of the reader.
    pub fn metadata(&self) -> &MetadataClient {
        &self.metadata
    }

    /// Why the client cannot connect, as it has last reported.
    pub fn obstacle(&self) -> Option<String> {
        self.client().client().context().obstacle().map(|(_, reason)| reason)
    }

    fn client(&self) -> &BaseConsumer<Context> {
        &self.metadata.consumer
    }

    /// Begins to read a partition there.
    pub fn assign(&mut self, partition: &TopicPartition, from: u64) -> Result<()> {
        let TopicPartition { topic, partition: number } = partition;
        if self.reading.contains(partition) {
            self.stop(partition);
        }
        if !self.topics.contains_key(topic) {
            let name = CString::new(&**topic).map_err(|_| no_topic(topic))?;
            // SAFETY: the client is alive; a null configuration means the client's own.
            let made =
                unsafe { sys::rd_kafka_topic_new(self.client().client().native_ptr(), name.as_ptr(), ptr::null_mut()) };
            if made.is_null() {
                return Err(no_topic(topic));
            }
            self.topics.insert(Arc::clone(topic), Topic(made));
        }
        // SAFETY: topic and queue are alive.
        let code =
            unsafe { sys::rd_kafka_consume_start_queue(self.topics[topic].0, *number, native(from), self.queue.0) };
        if code != 0 {
            return Err(Error::Unavailable(format!("cannot read `{partition}`")));
        }
        self.reading.push(partition.clone());
        Ok(())
    }

    /// Gives a partition up, until it is assigned again.
    ///
    /// The library could pause it, but in its batches it counts the end of a partition as a message: resumed, it would leave out the
    /// first that was written while it was held.
    pub fn stop(&mut self, partition: &TopicPartition) {
        if let Some(topic) = self.topics.get(&partition.topic) {
            // SAFETY: the topic is alive.
            unsafe { sys::rd_kafka_consume_stop(topic.0, partition.partition) };
        }
        self.reading.retain(|other| other != partition);
    }

    /// The partition's end as of the last fetch response; sends no request.
    pub fn last_end(&self, partition: &TopicPartition) -> Option<u64> {
        let name = CString::new(&*partition.topic).ok()?;
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client is alive, and both numbers outlive the call.
        let code = unsafe {
            let client = self.client().client().native_ptr();
            sys::rd_kafka_get_watermark_offsets(client, name.as_ptr(), partition.partition, &mut low, &mut high)
        };
        (code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| u64::try_from(high).ok())?
    }

    /// The high watermark of a partition. Records of open transactions lie before it, and will come.
    pub fn high_watermark(&mut self, partition: &TopicPartition) -> Result<u64> {
        let client = match &self.uncommitted {
            Some(client) => client,
            None => self.uncommitted.insert(MetadataClient::connect(&self.connection, Isolation::ReadUncommitted)?),
        };
        Ok(client.offsets(partition)?.end)
    }

    /// Waits up to `wait` for messages, and gives them to `take`; says how many events there were.
    pub fn poll(&mut self, wait: Duration, mut take: impl FnMut(Event<'_>)) -> Result<usize> {
        // The main queue has no messages: this serves errors, logs and tokens.
        if let Some(Err(error)) = self.client().poll(Duration::ZERO)
            && let KafkaError::MessageConsumptionFatal(_) = error
        {
            return Err(self.metadata.failed("read", &error));
        }
        let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive, and `batch` has room for `BATCH` messages, the most that are requested.
        let n =
            unsafe { sys::rd_kafka_consume_batch_queue(self.queue.0, wait_ms, self.batch.as_mut_ptr(), self.wanted) };
        let n = usize::try_from(n).unwrap_or(0);
        let mut problem = None;
        let mut n_bytes = 0;
        for &raw in &self.batch[..n] {
            // SAFETY: the library gave `n` messages that are ours until they are destroyed, which is done once each, here.
            unsafe {
                n_bytes += (*raw).len;
                if let Err(error) = event(&*raw, raw).map(|event| event.into_iter().for_each(&mut take)) {
                    problem.get_or_insert(error);
                }
                sys::rd_kafka_message_destroy(raw);
            }
        }
        if let Some(size) = n_bytes.checked_div(n) {
            self.wanted = (BATCH_BYTES / size.max(1)).clamp(16, BATCH);
        }
        match problem {
            None => Ok(n),
            Some((topic, partition, code)) => Err(self.refused(&topic, partition, code)),
        }
    }

    fn refused(&self, topic: &str, partition: i32, code: RDKafkaErrorCode) -> Error {
        if matches!(code, RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) {
            // Started again, the task finds out what is missing, and says so.
            return Error::Unavailable(format!("the position in `{topic}/{partition}` is no longer there"));
        }
        if is_unknown_topic(code) {
            // Started again, the task looks for the topic for some seconds, and then says that it is missing.
            return Error::Unavailable(format!("the broker does not know `{topic}/{partition}`"));
        }
        self.metadata.failed(&format!("read `{topic}/{partition}`"), &KafkaError::MessageConsumption(code))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for partition in std::mem::take(&mut self.reading) {
            self.stop(&partition);
        }
    }
}

fn no_topic(name: &str) -> Error {
    Error::invalid(format!("`{name}` is no topic's name"), "a name has no NUL, and at most 249 characters")
}

/// What the library's message is; errors of a partition that pass by themselves are nothing.
///
/// # Safety
/// `message` is `raw`, and alive; what is borrowed from it must not outlive it.
unsafe fn event<'a>(
    message: &'a sys::rd_kafka_message_t,
    raw: *mut sys::rd_kafka_message_t,
) -> Result<Option<Event<'a>>, (String, i32, RDKafkaErrorCode)> {
    use sys::rd_kafka_resp_err_t as Code;
    let topic = if message.rkt.is_null() {
        ""
    } else {
        // SAFETY: the topic is there, and its name is valid as long as it.
        unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(message.rkt)) }.to_str().unwrap_or_default()
    };
    let partition = message.partition;
    match message.err {
        Code::RD_KAFKA_RESP_ERR_NO_ERROR => {
            // SAFETY: pointer and length belong together and to the message.
            let (value, key) = unsafe { (bytes(message.payload, message.len), bytes(message.key, message.key_len)) };
            let offset = message.offset.unsigned_abs();
            Ok(Some(Event::Message(Message { topic, partition, offset, value, key, raw })))
        }
        Code::RD_KAFKA_RESP_ERR__PARTITION_EOF => Ok(Some(Event::End(topic, partition, message.offset.unsigned_abs()))),
        other => {
            let code = RDKafkaErrorCode::from(other);
            if passes(code) { Ok(None) } else { Err((topic.to_owned(), partition, code)) }
        }
    }
}

/// Errors that the library retries by itself.
fn passes(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::NetworkException
            | RDKafkaErrorCode::FencedLeaderEpoch
            | RDKafkaErrorCode::UnknownLeaderEpoch
            | RDKafkaErrorCode::ReplicaNotAvailable
            | RDKafkaErrorCode::KafkaStorageError
            | RDKafkaErrorCode::Resolve
    )
}

/// # Safety
/// `pointer` is null, or there are `length` bytes there for as long as the result is used.
unsafe fn bytes<'a>(pointer: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: as above.
    (!pointer.is_null()).then(|| unsafe { slice::from_raw_parts(pointer.cast(), length) })
}
