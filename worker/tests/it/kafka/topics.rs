//! Topics as tests see them: made, written and read with clients that know nothing of Davy.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::broker::servers;
pub(crate) use davy_testkit::broker::unique;

/// How long anything may take that must happen: as long as a busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) fn admin() -> AdminClient<DefaultClientContext> {
    admin_of(servers())
}

fn admin_of(servers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", servers).create().expect("an admin client")
}

/// Waits for an answer of the admin client.
pub(crate) fn answer<T>(request: impl Future<Output = Result<T, KafkaError>>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(request).expect("an answer")
}

pub(crate) fn admin_options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE))
}

/// A new topic with a name of its own.
pub(crate) fn topic(what: &str, n_partitions: i32) -> String {
    topic_with(what, n_partitions, &[])
}

pub(crate) fn topic_with(what: &str, n_partitions: i32, config: &[(&str, &str)]) -> String {
    let name = unique(what);
    make(&name, n_partitions, config);
    name
}

/// Makes a topic of this name.
pub(crate) fn make(name: &str, n_partitions: i32, config: &[(&str, &str)]) {
    make_on(servers(), name, n_partitions, config);
}

fn make_on(servers: &str, name: &str, n_partitions: i32, config: &[(&str, &str)]) {
    let mut new = NewTopic::new(name, n_partitions, TopicReplication::Fixed(1));
    for (name, value) in config {
        new = new.set(name, value);
    }
    for made in answer(admin_of(servers).create_topics([&new], &admin_options())) {
        made.expect("a new topic");
    }
}

/// Makes a plain topic, unless one of this name is still there.
pub(crate) fn try_make(name: &str, n_partitions: i32) -> bool {
    let new = NewTopic::new(name, n_partitions, TopicReplication::Fixed(1));
    answer(admin().create_topics([&new], &admin_options())).into_iter().all(|made| made.is_ok())
}

/// A topic of any broker.
pub(crate) struct Elsewhere {
    servers: String,
    pub(crate) name: String,
}

/// A new topic of another broker than the common one.
pub(crate) fn on(servers: &str, what: &str, n_partitions: i32) -> Elsewhere {
    let name = unique(what);
    make_on(servers, &name, n_partitions, &[]);
    Elsewhere { servers: servers.to_owned(), name }
}

impl Elsewhere {
    pub(crate) fn put(&self, messages: &[(i32, &str)]) {
        let messages: Vec<Put<'_>> = messages.iter().map(|&(partition, text)| value(partition, text)).collect();
        Writer::new(&[("bootstrap.servers", &self.servers)]).put(&self.name, &messages);
    }

    /// Everything that is committed.
    pub(crate) fn all(&self) -> Vec<Got> {
        to_the_end(Reader::on(&self.servers, &self.name))
    }
}

/// A message to be written; `Put::default()` is one without anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Put<'a> {
    pub(crate) partition: i32,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) timestamp: Option<i64>,
}

/// A message with this value, for this partition.
pub(crate) fn value<'a>(partition: i32, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Put<'a> {
    Put { partition, value: Some(value.as_ref()), ..Put::default() }
}

/// The first offset that is there.
pub(crate) fn first(topic: &str, partition: i32) -> i64 {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", servers()).create().expect("a consumer");
    client.fetch_watermarks(topic, partition, PATIENCE).expect("an answer").0
}

/// Writes messages, and waits until they are there.
pub(crate) fn put(topic: &str, messages: &[Put<'_>]) {
    let writer = Writer::new(&[]);
    writer.put(topic, messages);
    writer.0.flush(PATIENCE).expect("written");
}

pub(crate) struct Writer(pub(crate) BaseProducer);

impl Writer {
    pub(crate) fn new(config: &[(&str, &str)]) -> Self {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", servers()).set("message.max.bytes", "20000000").set("linger.ms", "0");
        for (name, value) in config {
            client.set(*name, *value);
        }
        Self(client.create().expect("a producer"))
    }

    /// One with an open transaction.
    pub(crate) fn transactional() -> Self {
        let writer = Self::new(&[("transactional.id", &unique("writer"))]);
        writer.0.init_transactions(PATIENCE).expect("a transactional producer");
        writer.0.begin_transaction().expect("a transaction");
        writer
    }

    pub(crate) fn put(&self, topic: &str, messages: &[Put<'_>]) {
        for message in messages {
            let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(message.partition);
            record.key = message.key;
            record.payload = message.value;
            record.timestamp = message.timestamp;
            let headers = message.headers.iter();
            let headers =
                headers.fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(*value) }));
            record.headers = (!message.headers.is_empty()).then_some(headers);
            self.0.send(record).map_err(|(error, _)| error).expect("queued");
        }
        self.0.flush(PATIENCE).expect("written");
    }
}

/// A message that was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Got {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<String>,
    pub(crate) value: Vec<u8>,
    pub(crate) is_tombstone: bool,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) timestamp: i64,
}

impl Got {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.value).into_owned()
    }

    /// Empty if the message has no such header.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }
}

/// Reads a topic from its beginning, again on each call.
pub(crate) struct Reader {
    consumer: BaseConsumer,
    ends: Vec<bool>,
    pub(crate) got: Vec<Got>,
}

impl Reader {
    /// Reads what is committed.
    pub(crate) fn new(topic: &str) -> Self {
        Self::on(servers(), topic)
    }

    fn on(servers: &str, topic: &str) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("group.id", "unused")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "50")
            .set("isolation.level", "read_committed")
            .create()
            .expect("a consumer");
        let n_partitions = n_partitions(&consumer, topic);
        let mut all = TopicPartitionList::new();
        for partition in 0..n_partitions {
            all.add_partition_offset(topic, partition as i32, Offset::Beginning).expect("a partition");
        }
        consumer.assign(&all).expect("assigned");
        Self { consumer, ends: vec![false; n_partitions], got: Vec::new() }
    }

    /// Takes what has come; waits a moment for it.
    pub(crate) fn poll(&mut self) {
        match self.consumer.poll(Duration::from_millis(20)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(partition))) => self.ends[partition as usize] = true,
            Some(Err(error)) => panic!("cannot read: {error}"),
            Some(Ok(message)) => {
                self.ends[message.partition() as usize] = false;
                let headers = message.headers().map(|headers| {
                    headers.iter().map(|header| {
                        (header.key.to_owned(), String::from_utf8_lossy(header.value.unwrap_or_default()).into_owned())
                    })
                });
                self.got.push(Got {
                    partition: message.partition(),
                    offset: message.offset(),
                    key: message.key().map(|key| String::from_utf8_lossy(key).into_owned()),
                    value: message.payload().unwrap_or_default().to_vec(),
                    is_tombstone: message.payload().is_none(),
                    headers: headers.map(Iterator::collect).unwrap_or_default(),
                    timestamp: message.timestamp().to_millis().unwrap_or(-1),
                });
            }
        }
    }
}

fn n_partitions(consumer: &BaseConsumer, topic: &str) -> usize {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // A topic that was made a moment ago may not be known everywhere yet.
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("metadata");
        let n = metadata.topics()[0].partitions().len();
        if 0 < n {
            return n;
        }
        assert!(Instant::now() < deadline, "there is no topic `{topic}`");
    }
}

/// Everything that is committed in a topic now, in the order of partitions and offsets.
pub(crate) fn all(topic: &str) -> Vec<Got> {
    to_the_end(Reader::new(topic))
}

fn to_the_end(mut reader: Reader) -> Vec<Got> {
    let deadline = Instant::now() + PATIENCE;
    while !reader.ends.iter().all(|ended| *ended) {
        assert!(Instant::now() < deadline, "reading does not come to an end");
        reader.poll();
    }
    reader.got.sort();
    reader.got
}

/// The values of messages as text, sorted.
pub(crate) fn texts(messages: &[Got]) -> Vec<String> {
    let mut texts: Vec<String> = messages.iter().map(Got::text).collect();
    texts.sort();
    texts
}
