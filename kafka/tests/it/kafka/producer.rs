//! Producers: who may commit, what a commit makes visible, and where a record goes.

use std::time::Duration;

use davy_kafka::offsets::{CommittedOffset, ConsumerGroup};
use davy_kafka::producer::{
    Compression, IdempotentProducer, Record, Sizes, TransactionalOptions, TransactionalProducer, Unfenced,
};
use davy_kafka::{Error, Isolation, KafkaConnection, TopicPartition};
use davy_testkit::broker::{servers, unique};
use davy_testkit::proxy::{Proxy, Request, RequestFault};

use crate::{Found, PATIENCE, connection, read, record, topic};

fn patience() -> Duration {
    PATIENCE
}

pub(crate) fn unfenced(connection: &KafkaConnection, transactional_id: &str) -> Unfenced {
    let options = TransactionalOptions {
        sizes: Sizes::default(),
        transactional_id: transactional_id.to_owned(),
        transaction_timeout: Duration::from_secs(15),
        compression: Compression::Lz4,
    };
    Unfenced::connect(connection, &options).expect("a client")
}

pub(crate) fn owner(connection: &KafkaConnection, transactional_id: &str) -> TransactionalProducer {
    unfenced(connection, transactional_id).take_over(&patience).expect("taken over")
}

fn texts(topic: &str, isolation: Isolation) -> String {
    read(topic, isolation).into_iter().map(|found| found.value).collect::<Vec<_>>().join(" ")
}

#[test]
fn records_and_offsets_are_visible_after_a_commit_and_never_after_an_abort() {
    let (to, from, group) = (topic("to", 1), topic("from", 1), unique("group"));
    let producer = owner(&connection(), &unique("id"));
    let group = ConsumerGroup::connect(&connection(), &group, Isolation::ReadCommitted).expect("a client");
    let offset = |offset: u64| CommittedOffset {
        partition: TopicPartition::new(from.as_str(), 0),
        offset,
        metadata: format!("metadata of {offset}"),
    };
    let write = |value: &str, position: u64| {
        producer.begin().expect("begun");
        producer.send(&record(&to, value)).expect("queued");
        producer.drain(&patience).expect("written");
        producer.send_offsets(&group.metadata(), &[offset(position)], &patience).expect("sent");
    };
    write("aborted", 7);
    producer.abort();
    write("committed", 8);
    producer.commit(&patience).expect("committed");
    assert_eq!(texts(&to, Isolation::ReadCommitted), "committed");
    assert_eq!(texts(&to, Isolation::ReadUncommitted), "aborted committed");
    let found = group.committed(&[TopicPartition::new(from.as_str(), 0)]).expect("an answer");
    assert_eq!(found, [offset(8)]);
    // One record and one marker before it.
    assert_eq!(producer.written(), Some(2));
}

#[test]
fn only_the_producer_that_took_over_last_can_commit() {
    let (to, id) = (topic("to", 1), unique("id"));
    let older = owner(&connection(), &id);
    older.begin().expect("begun");
    older.send(&record(&to, "older")).expect("queued");
    older.drain(&patience).expect("written");
    let newer = owner(&connection(), &id);
    assert!(matches!(older.commit(&patience), Err(Error::Fenced(_))));
    newer.begin().expect("begun");
    newer.send(&record(&to, "newer")).expect("queued");
    newer.drain(&patience).expect("written");
    newer.commit(&patience).expect("committed");
    assert_eq!(texts(&to, Isolation::ReadCommitted), "newer");
    assert!(matches!(older.begin(), Err(Error::Fenced(_))), "for good");
}

#[test]
fn a_commit_without_an_answer_is_in_doubt_and_the_next_producer_ends_the_doubt() {
    for (fault, expected) in
        [(RequestFault::Lose(Request::EndTxn), ""), (RequestFault::LoseAnswer(Request::EndTxn), "x")]
    {
        let proxy = Proxy::of_kafka(servers());
        let (to, id) = (topic("to", 1), unique("id"));
        let distant = KafkaConnection::plain(&proxy.address()).expect("an address");
        let producer = owner(&distant, &id);
        producer.begin().expect("begun");
        producer.send(&record(&to, "x")).expect("queued");
        producer.drain(&patience).expect("written");
        proxy.set_fault(Some(fault));
        let committed = producer.commit(&|| Duration::ZERO);
        assert!(matches!(committed, Err(Error::InDoubt(_))), "{fault:?}: {committed:?}");
        assert!(producer.had_trouble(), "{fault:?}");
        drop(owner(&connection(), &id));
        assert_eq!(texts(&to, Isolation::ReadCommitted), expected, "{fault:?}");
    }
}

#[test]
fn a_record_that_is_too_large_names_the_setting() {
    let producer = owner(&connection(), &unique("id"));
    let to = topic("to", 1);
    let long = "x".repeat(2_000_000);
    producer.begin().expect("begun");
    let error = producer.send(&record(&to, &long)).expect_err("too large").to_string();
    assert!(error.contains(&format!("write to topic `{to}`")) && error.contains("`max.message.bytes`"), "{error}");
}

/// Kafka's murmur2 (`org.apache.kafka.common.utils.Utils`), which Java's producers choose partitions by.
fn murmur2(data: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ last).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    (hash ^ (hash >> 15)) as i32
}

#[test]
fn a_key_goes_where_a_java_producer_would_send_it() {
    // From Kafka's own tests.
    for (key, hash) in [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("abc", 479_470_107),
    ] {
        assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
    }
    let producer = IdempotentProducer::connect(&connection(), Compression::Lz4, Sizes::default()).expect("a producer");
    let to = topic("keys", 7);
    for number in 0..300 {
        let key = format!("10.0.{}.{number}", number % 3);
        producer.send(&Record { key: Some(key.as_bytes()), ..record(&to, "x") }).expect("queued");
    }
    producer.flush(PATIENCE).expect("written");
    let found = read(&to, Isolation::ReadCommitted);
    assert_eq!(found.len(), 300);
    for Found { partition, key, .. } in found {
        assert_eq!(partition, (murmur2(key.as_bytes()) & 0x7fff_ffff) % 7, "{key}");
    }
}
