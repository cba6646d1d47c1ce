//! The Kafka client against a real broker, and against librdkafka's mock cluster where a broker has to fail on request.
#![allow(clippy::disallowed_methods, reason = "real brokers are waited for with a deadline")]

mod errors;
mod kafka;

use std::time::{Duration, Instant};

use davy_kafka::admin::{Admin, Created, NewTopic};
use davy_kafka::offsets::MetadataClient;
use davy_kafka::producer::Record;
use davy_kafka::reader::{Event, Reader};
use davy_kafka::{Isolation, KafkaConnection, TopicPartition};
use davy_testkit::broker::{servers, unique};

/// How long anything may take that must happen: as long as a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// To the broker that all tests share.
fn connection() -> KafkaConnection {
    KafkaConnection::plain(servers()).expect("an address")
}

/// A new topic with a name of its own.
fn topic(what: &str, n_partitions: i32) -> String {
    let name = unique(what);
    create(&connection(), &name, n_partitions);
    name
}

/// A new topic whose records may be deleted, which compaction excludes.
fn deletable_topic(what: &str) -> String {
    let name = unique(what);
    let new = NewTopic { name: &name, n_partitions: 1, replication: None, config: &[("cleanup.policy", "delete")] };
    let created = Admin::connect(&connection()).and_then(|admin| admin.create_topic(&new));
    assert_eq!(created, Ok(Created::Here));
    name
}

fn create(connection: &KafkaConnection, name: &str, n_partitions: i32) {
    let new = NewTopic { name, n_partitions, replication: None, config: &[("cleanup.policy", "compact")] };
    let admin = Admin::connect(connection).expect("a client");
    assert_eq!(admin.create_topic(&new), Ok(Created::Here));
    assert_eq!(admin.create_topic(&new), Ok(Created::Elsewhere));
    let client = MetadataClient::connect(connection, Isolation::ReadCommitted).expect("a client");
    assert_eq!(client.wait_for_topic(name), Ok(n_partitions));
    assert_eq!(admin.topic_config(name, "cleanup.policy"), Ok(Some("compact".to_owned())));
}

/// With a value, and a key as a compacted topic demands it.
fn record<'a>(topic: &'a str, value: &'a str) -> Record<'a> {
    Record { topic, partition: None, key: Some(b"k"), value: Some(value.as_bytes()), headers: &[], timestamp_ms: None }
}

/// A record that was read.
struct Found {
    partition: i32,
    key: String,
    value: String,
}

/// Everything from the beginning of a topic to its end.
fn read(topic: &str, isolation: Isolation) -> Vec<Found> {
    read_on(&connection(), topic, isolation)
}

fn read_on(connection: &KafkaConnection, topic: &str, isolation: Isolation) -> Vec<Found> {
    let mut reader = Reader::connect(connection, isolation).expect("a client");
    let n_partitions = reader.metadata().n_partitions(topic).expect("a topic");
    for number in 0..n_partitions {
        reader.assign(&TopicPartition::new(topic, number), 0).expect("assigned");
    }
    let (mut found, mut n_ended) = (Vec::new(), 0);
    let deadline = Instant::now() + PATIENCE;
    while n_ended < n_partitions {
        assert!(Instant::now() < deadline, "reading does not come to an end");
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let polled = reader.poll(Duration::from_millis(100), |event| match event {
            Event::Message(message) => {
                found.push(Found { partition: message.partition, key: text(message.key), value: text(message.value) });
            }
            Event::End(..) => n_ended += 1,
        });
        polled.expect("records");
    }
    found
}
