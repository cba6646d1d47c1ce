//! What each error of a broker means to the caller, with the remedy. The mock cluster fails as a test requests.

use std::time::Duration;

use davy_kafka::offsets::{CommittedOffset, ConsumerGroup, MetadataClient};
use davy_kafka::{Error, Isolation, KafkaConnection, TopicPartition};
use davy_testkit::broker::unique;
use rdkafka::mocking::MockCluster;
use rdkafka_sys::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Code};

use crate::kafka::producer::unfenced;
use crate::record;

const TOPIC: &str = "t";

/// One transaction against a cluster that answers requests of the kind `api` with `code`: its first error.
fn transaction(api: Api, code: Code) -> Error {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic(TOPIC, 1, 1).expect("a topic");
    cluster.request_errors(api, &[code]);
    let connection = KafkaConnection::plain(&cluster.bootstrap_servers()).expect("an address");
    let patience = || Duration::from_secs(60);
    let run = || {
        let producer = unfenced(&connection, &unique("id")).take_over(&patience)?;
        let group = ConsumerGroup::connect(&connection, "g", Isolation::ReadCommitted)?;
        producer.begin()?;
        producer.send(&record(TOPIC, "x"))?;
        producer.drain(&patience)?;
        let offset = CommittedOffset { partition: TopicPartition::new(TOPIC, 0), offset: 1, metadata: String::new() };
        producer.send_offsets(&group.metadata(), &[offset], &patience)?;
        producer.commit(&patience)
    };
    run().expect_err("refused")
}

/// An error's class and remedy.
fn class(error: &Error) -> (&'static str, &str) {
    match error {
        Error::Invalid { remedy, .. } => ("invalid", remedy),
        Error::Unavailable(_) => ("unavailable", ""),
        Error::Fenced(_) => ("fenced", ""),
        Error::InDoubt(_) => ("in doubt", ""),
    }
}

#[test]
fn only_fencing_says_that_there_is_a_newer_owner_and_missing_rights_name_the_acl() {
    use Code::*;
    let cases = [
        (Api::InitProducerId, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, "fenced", ""),
        (
            Api::InitProducerId,
            RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            "invalid",
            "WRITE and DESCRIBE on transactional ids that begin with `davy.`",
        ),
        (Api::InitProducerId, RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, "invalid", "`transaction.timeout.ms`"),
        (Api::AddPartitionsToTxn, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "invalid", "WRITE to write it"),
        (Api::TxnOffsetCommit, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, "invalid", "READ and DESCRIBE on groups"),
        (Api::EndTxn, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, "fenced", ""),
        (Api::EndTxn, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, "fenced", ""),
        (Api::EndTxn, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "invalid", "transactional ids"),
        // Fatal to the client, and no word of a newer owner.
        (Api::EndTxn, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, "in doubt", ""),
        (Api::AddPartitionsToTxn, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, "unavailable", ""),
    ];
    for (api, code, expected, remedy) in cases {
        let error = transaction(api, code);
        let (class, found) = class(&error);
        assert_eq!(class, expected, "{api:?} {code:?}: {error}");
        assert!(found.contains(remedy), "{api:?} {code:?}: {error}");
    }
}

#[test]
fn a_commit_that_times_out_is_in_doubt() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic(TOPIC, 1, 1).expect("a topic");
    let connection = KafkaConnection::plain(&cluster.bootstrap_servers()).expect("an address");
    let patience = || Duration::from_secs(60);
    let producer = unfenced(&connection, &unique("id")).take_over(&patience).expect("taken over");
    producer.begin().expect("begun");
    producer.send(&record(TOPIC, "x")).expect("queued");
    producer.drain(&patience).expect("written");
    cluster.broker_down(1).expect("it stops");
    let error = producer.commit(&|| Duration::ZERO).expect_err("no answer");
    assert_eq!(class(&error).0, "in doubt", "{error}");
    assert!(producer.had_trouble());
}

#[test]
fn a_topic_that_may_not_be_seen_names_the_acl() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic(TOPIC, 1, 1).expect("a topic");
    cluster.topic_error(TOPIC, Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).expect("it fails");
    let connection = KafkaConnection::plain(&cluster.bootstrap_servers()).expect("an address");
    let client = MetadataClient::connect(&connection, Isolation::ReadCommitted).expect("a client");
    let error = client.find_topic(TOPIC).expect_err("refused").to_string();
    assert!(error.contains("grant this user DESCRIBE on the topic"), "{error}");
}

#[test]
fn properties_that_do_not_go_together_are_invalid() {
    let properties = [("receive.message.max.bytes", "1000"), ("fetch.max.bytes", "100000")];
    let connection = KafkaConnection::from_properties("nowhere:1", properties).expect("each may be");
    let made = MetadataClient::connect(&connection, Isolation::ReadCommitted);
    let error = made.map(drop).expect_err("refused");
    assert_eq!(class(&error), ("invalid", "change what the client's properties set, or leave them out"), "{error}");
}
