//! Readers of committed messages: one that looks all the time while faults happen, and one that reads everything afterwards.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::Offset;

use super::broker::{Broker, client};
use davy_testkit::wait::{now, until, within};

const ANSWER: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);
/// Long enough for a restarted broker to end open transactions.
const CALM: Duration = Duration::from_secs(20);

/// Offset and digest of each message, by topic and partition, in the order in which they came.
pub(crate) type Seen = BTreeMap<(String, i32), Vec<(i64, u64)>>;

fn digest(message: &BorrowedMessage<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(message.payload().unwrap_or_default());
    for header in message.headers().into_iter().flat_map(Headers::iter) {
        hasher.write(header.value.unwrap_or_default());
    }
    hasher.finish()
}

/// A header's value as text.
pub(crate) fn header(message: &BorrowedMessage<'_>, name: &str) -> Option<String> {
    let headers = message.headers()?;
    let found = headers.iter().find(|header| header.key == name)?;
    Some(String::from_utf8_lossy(found.value?).into_owned())
}

fn consumer(config: &ClientConfig, isolation: &str) -> BaseConsumer {
    let mut config = config.clone();
    config.set("group.id", "reader").set("enable.auto.commit", "false").set("isolation.level", isolation);
    config.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "50").create().expect("a consumer")
}

fn from_the_beginning(reader: &BaseConsumer, topics: &[(&str, i32)]) {
    let mut list = TopicPartitionList::new();
    for (topic, n) in topics {
        for partition in 0..*n {
            list.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
        }
    }
    reader.assign(&list).expect("assigned");
}

/// Calls `take` with each committed message of a topic, partition by partition in the order of offsets.
pub(crate) fn read_all(broker: &Broker, topic: &str, n: i32, mut take: impl FnMut(&BorrowedMessage<'_>)) {
    let reader = consumer(&broker.client(), "read_committed");
    from_the_beginning(&reader, &[(topic, n)]);
    let mut open = n;
    let mut last = now();
    while 0 < open {
        let polled = reader.poll(POLL);
        if matches!(polled, Some(Ok(_) | Err(KafkaError::PartitionEOF(_)))) {
            last = now();
        }
        match polled {
            Some(Ok(message)) => take(&message),
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(_)) | None => assert!(now() - last < CALM, "topic `{topic}` cannot be read to its end"),
        }
    }
}

/// Offset and digest of everything that is committed.
pub(crate) fn contents(broker: &Broker, topics: &[(&str, i32)]) -> Seen {
    let mut seen = Seen::new();
    for (topic, n) in topics {
        read_all(broker, topic, *n, |message| note(&mut seen, message));
    }
    seen
}

fn note(seen: &mut Seen, message: &BorrowedMessage<'_>) {
    let partition = (message.topic().to_owned(), message.partition());
    seen.entry(partition).or_default().push((message.offset(), digest(message)));
}

/// Partitions that a transaction holds open: readers of committed messages do not get to their end.
pub(crate) fn held_open(broker: &Broker) -> Vec<String> {
    let (committed, all) =
        (consumer(&broker.client(), "read_committed"), consumer(&broker.client(), "read_uncommitted"));
    let metadata = all.fetch_metadata(None, ANSWER).expect("metadata");
    let mut open = Vec::new();
    for topic in metadata.topics().iter().filter(|topic| !topic.name().starts_with("__")) {
        for partition in topic.partitions() {
            let end = |reader: &BaseConsumer| reader.fetch_watermarks(topic.name(), partition.id(), ANSWER);
            let (stable, high) = (end(&committed).expect("an end").1, end(&all).expect("an end").1);
            if stable != high {
                open.push(format!("{}/{}: {stable} of {high}", topic.name(), partition.id()));
            }
        }
    }
    open
}

/// Names of all topics.
pub(crate) fn topics(broker: &Broker) -> Vec<String> {
    let reader = consumer(&broker.client(), "read_uncommitted");
    let metadata = reader.fetch_metadata(None, ANSWER).expect("metadata");
    let mut names: Vec<String> = metadata.topics().iter().map(|topic| topic.name().to_owned()).collect();
    names.sort_unstable();
    names
}

/// Where each partition ends, for readers of everything.
pub(crate) fn ends(broker: &Broker, topics: &[(&str, i32)]) -> Vec<i64> {
    let reader = consumer(&broker.client(), "read_uncommitted");
    let end = |topic: &str, partition| reader.fetch_watermarks(topic, partition, ANSWER).expect("an end").1;
    topics.iter().flat_map(|(topic, n)| (0..*n).map(|partition| end(topic, partition))).collect()
}

/// A reader in the background.
pub(crate) struct Watcher {
    is_over: Arc<AtomicBool>,
    n_seen: Arc<AtomicU64>,
    thread: Option<JoinHandle<Seen>>,
}

impl Watcher {
    pub(crate) fn start(servers: &str, topics: &[(&'static str, i32)]) -> Self {
        let (is_over, n_seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (over, counted) = (Arc::clone(&is_over), Arc::clone(&n_seen));
        let (config, topics) = (client(servers), topics.to_vec());
        let watch = move || {
            let reader = consumer(&config, "read_committed");
            from_the_beginning(&reader, &topics);
            let mut seen = Seen::new();
            while !over.load(Ordering::Relaxed) {
                if let Some(Ok(message)) = reader.poll(POLL) {
                    note(&mut seen, &message);
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
            seen
        };
        let thread = Builder::new().name("watcher".into()).spawn(watch).expect("a thread");
        Self { is_over, n_seen, thread: Some(thread) }
    }

    /// How many messages it has seen.
    pub(crate) fn n_seen(&self) -> u64 {
        self.n_seen.load(Ordering::Relaxed)
    }

    /// Waits until more is committed.
    pub(crate) fn await_progress(&self, limit: Duration) {
        let before = self.n_seen();
        until("rows are committed", limit, || (before < self.n_seen()).then_some(()));
    }

    /// What it has seen, once that is as much as there is, or when it has got no further for long.
    pub(crate) fn finish(&mut self, n_messages: u64) -> Seen {
        within(CALM, || (n_messages <= self.n_seen()).then_some(()));
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().expect("finished once").join().expect("the watcher did not panic")
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// How what was seen meanwhile differs from what is there in the end: no message may be withdrawn, and none come twice.
pub(crate) fn differences(seen: &Seen, contents: &Seen) -> Vec<String> {
    let nothing = Vec::new();
    let partitions = seen.keys().chain(contents.keys()).collect::<std::collections::BTreeSet<_>>();
    let mut complaints = Vec::new();
    for partition in partitions {
        let (then, now) = (seen.get(partition).unwrap_or(&nothing), contents.get(partition).unwrap_or(&nothing));
        if let Some(index) = (0..then.len().max(now.len())).find(|&index| then.get(index) != now.get(index)) {
            complaints.push(format!("{partition:?}: seen {:?}, there is {:?}", then.get(index), now.get(index)));
        }
    }
    complaints
}
