//! Readers and offsets: where a partition begins and ends, with transactions and without.

use std::time::Duration;

use davy_kafka::admin::Admin;
use davy_kafka::offsets::MetadataClient;
use davy_kafka::producer::{Compression, IdempotentProducer, Record, Sizes};
use davy_kafka::reader::{Event, Reader};
use davy_kafka::{Error, Isolation, TopicPartition};
use davy_testkit::broker::unique;

use super::producer::owner;
use crate::{PATIENCE, connection, record, topic};

#[test]
fn an_open_transaction_ends_a_partition_for_readers_of_committed_records_only() {
    let to = topic("open", 1);
    let plain = IdempotentProducer::connect(&connection(), Compression::Zstd, Sizes::default()).expect("a producer");
    plain.send(&record(&to, "before")).expect("queued");
    plain.flush(PATIENCE).expect("written");
    let producer = owner(&connection(), &unique("id"));
    producer.begin().expect("begun");
    producer.send(&record(&to, "open")).expect("queued");
    producer.drain(&|| PATIENCE).expect("written");
    let partition = TopicPartition::new(to.as_str(), 0);
    let mut reader = Reader::connect(&connection(), Isolation::ReadCommitted).expect("a reader");
    assert_eq!(reader.metadata().offsets(&partition), Ok(0..1));
    assert_eq!(reader.high_watermark(&partition), Ok(2));
}

#[test]
fn a_record_is_read_with_its_headers_and_found_by_its_time() {
    let to = topic("headers", 1);
    let plain = IdempotentProducer::connect(&connection(), Compression::None, Sizes::default()).expect("a producer");
    let headers = [("a".into(), b"1".to_vec()), ("b".into(), b"2".to_vec())];
    plain.send(&Record { headers: &headers, ..record(&to, "x") }).expect("queued");
    plain.flush(PATIENCE).expect("written");
    let mut reader = Reader::connect(&connection(), Isolation::ReadCommitted).expect("a reader");
    let partition = TopicPartition::new(to.as_str(), 0);
    reader.assign(&partition, 0).expect("assigned");
    let mut found = Vec::new();
    while found.is_empty() {
        let polled = reader.poll(Duration::from_millis(100), |event| {
            let Event::Message(message) = event else { return };
            let mut headers = String::new();
            message.headers(|name, value| headers += &format!("{name}={} ", String::from_utf8_lossy(value)));
            found.push((message.timestamp(), headers));
        });
        polled.expect("records");
    }
    let [(timestamp, headers)] = found.as_slice() else { panic!("one record, not {found:?}") };
    assert_eq!(headers, "a=1 b=2 ");
    assert_eq!(reader.metadata().offset_at(&partition, *timestamp), Ok(0));
    assert_eq!(reader.metadata().offset_at(&partition, timestamp + 1), Ok(1), "the end");
}

#[test]
fn a_position_that_was_deleted_is_an_error_and_not_a_jump() {
    let to = crate::deletable_topic("deleted");
    let plain = IdempotentProducer::connect(&connection(), Compression::None, Sizes::default()).expect("a producer");
    for value in ["a", "b", "c"] {
        plain.send(&record(&to, value)).expect("queued");
    }
    plain.flush(PATIENCE).expect("written");
    let partition = TopicPartition::new(to.as_str(), 0);
    Admin::connect(&connection()).expect("a client").delete_records(&[(partition.clone(), 2)]).expect("requested");
    let client = MetadataClient::connect(&connection(), Isolation::ReadCommitted).expect("a client");
    let deadline = std::time::Instant::now() + PATIENCE;
    while client.offsets(&partition) != Ok(2..3) {
        assert!(std::time::Instant::now() < deadline, "{:?}", client.offsets(&partition));
    }
    let mut reader = Reader::connect(&connection(), Isolation::ReadCommitted).expect("a reader");
    reader.assign(&partition, 0).expect("assigned");
    let error = loop {
        assert!(std::time::Instant::now() < deadline, "no error");
        if let Err(error) = reader.poll(Duration::from_millis(100), |event| assert!(matches!(event, Event::End(..)))) {
            break error;
        }
    };
    assert!(matches!(&error, Error::Unavailable(why) if why.contains("is no longer there")), "{error}");
}
