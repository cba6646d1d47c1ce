//! Newer producers, topics that others have made or written to, and options that cannot be.

use std::time::{Duration, Instant};

use davy_coordinator::catalog::kafka::{KafkaCatalog, KafkaCatalogOptions};
use davy_coordinator::catalog::{Catalog, CatalogError, Record};
use davy_proto::domain::{Epoch, Term};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::broker::{servers, unique};
use super::{PATIENCE, ceiling, leads, pipeline, put, write};

pub(super) const ANSWER: Duration = Duration::from_secs(30);

/// A coordinator of a cluster whose topic has its name.
pub(super) fn catalog(servers: &str, cluster: &str) -> KafkaCatalog {
    KafkaCatalog::new(options(servers, cluster)).expect("options that are fine")
}

fn options(servers: &str, cluster: &str) -> KafkaCatalogOptions {
    let mut options = KafkaCatalogOptions::new(servers, cluster, "coordinator-1:7700");
    options.topic = topic(cluster);
    options
}

pub(super) fn topic(cluster: &str) -> String {
    format!("{cluster}.catalog")
}

#[test]
fn a_coordinator_shows_the_leaders_address() {
    let cluster = unique("leader");
    let found = leads(&mut catalog(servers(), &cluster));
    assert_eq!((found.term, found.leader.as_deref()), (Term(1), Some("coordinator-1:7700")));
}

#[test]
fn a_newer_producer_fences_whatever_the_group_says() {
    let cluster = unique("fenced");
    let mut first = catalog(servers(), &cluster);
    leads(&mut first);
    let newer = transactional(&cluster);
    assert_eq!(first.still_leads(), Ok(()), "the group knows nothing of it");
    assert!(matches!(first.write(&[ceiling(9)]), Err(CatalogError::Fenced(_))));
    assert!(matches!(first.still_leads(), Err(CatalogError::Fenced(_))));
    drop(newer);
    let found = leads(&mut first);
    assert_eq!((found.term, found.ceiling), (Term(2), Epoch(0)));
}

#[test]
fn a_transaction_that_is_aborted_leaves_nothing() {
    let cluster = unique("aborted");
    let mut first = catalog(servers(), &cluster);
    leads(&mut first);
    write(&mut first, &[ceiling(3)]);
    // The second record is longer than any message may be, so the first must not be there either.
    let long = "x".repeat(9_000_000);
    let error = first.write(&[ceiling(4), put(&pipeline("long", &long))]).expect_err("too long");
    assert!(matches!(&error, CatalogError::Unavailable(why) if why.contains("shorten the script")), "{error}");
    write(&mut first, &[put(&pipeline("short", "SELECT 1"))]);
    drop(first);
    let found = leads(&mut catalog(servers(), &cluster));
    assert_eq!((found.ceiling, found.pipelines), (Epoch(3), vec![pipeline("short", "SELECT 1")]));
}

#[test]
fn a_compacted_topic_reads_the_same() {
    /// So that the cleaner has a reason and an occasion: small segments, and nothing but dirt.
    const EAGER: [(&str, &str); 5] = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("max.compaction.lag.ms", "1"),
        ("segment.ms", "100"),
    ];
    const N_WRITES: u64 = 60;
    let cluster = unique("compacted");
    make_topic(&cluster, 1, &EAGER);
    let mut first = catalog(servers(), &cluster);
    leads(&mut first);
    let forgotten = pipeline("b", "SELECT 2");
    write(&mut first, &[put(&forgotten)]);
    write(&mut first, &[Record::Forgotten { id: forgotten.id().clone() }]);
    for number in 1..=N_WRITES {
        let sql = format!("SELECT {number}");
        write(&mut first, &[put(&pipeline("a", &sql)), ceiling(number)]);
    }
    let begun = Instant::now();
    while N_WRITES <= n_messages(&cluster) {
        assert!(begun.elapsed() < PATIENCE, "the broker does not compact");
        // A segment is closed only when something is written after its time.
        write(&mut first, &[ceiling(N_WRITES)]);
    }
    drop(first);
    let found = leads(&mut catalog(servers(), &cluster));
    assert_eq!(found.pipelines, [pipeline("a", &format!("SELECT {N_WRITES}"))]);
    assert_eq!(found.ceiling, Epoch(N_WRITES));
}

#[test]
fn topics_that_cannot_keep_a_catalog_are_refused() {
    for (n_partitions, policy, expected) in [
        (2, "compact", "it has 2 partitions and must have one"),
        (1, "delete", "its `cleanup.policy` is `delete`"),
        (1, "compact,delete", "its `cleanup.policy` is `compact,delete`"),
    ] {
        let cluster = unique("unfit");
        make_topic(&cluster, n_partitions, &[("cleanup.policy", policy)]);
        let error = catalog(servers(), &cluster).lead(&|| false).expect_err(expected);
        assert!(matches!(&error, CatalogError::Corrupt(why) if why.contains(expected)), "{error}");
    }
}

#[test]
fn records_of_others_stop_the_start_and_are_named() {
    for (key, value, expected) in [
        ("epochs", r#"{"version":2,"cluster":"{c}","ceilings":[1]}"#, "format 2, and this build knows 1 only"),
        ("epochs", r#"{"version":1,"cluster":"other","record":{}}"#, "belongs to cluster `other`"),
        ("epochs", "{", "cannot be read"),
        (
            "epochs",
            r#"{"version":1,"cluster":"{c}","record":{"kind":"epochs","ceiling":1}}"#,
            "the ceiling of epochs would fall from 5 to 1",
        ),
    ] {
        let cluster = unique("others");
        let mut first = catalog(servers(), &cluster);
        leads(&mut first);
        write(&mut first, &[ceiling(5)]);
        drop(first);
        let producer: BaseProducer = client().create().expect("a producer");
        let (topic, value) = (topic(&cluster), value.replace("{c}", &cluster));
        producer.send(BaseRecord::to(&topic).key(key).payload(&value)).map_err(|(error, _)| error).expect("queued");
        producer.flush(ANSWER).expect("written");
        let error = catalog(servers(), &cluster).lead(&|| false).expect_err(expected);
        assert!(matches!(&error, CatalogError::Corrupt(why) if why.contains(expected)), "{error}");
        assert!(error.to_string().contains(&format!("topic `{topic}`, offset ")), "{error}");
    }
}

#[test]
fn impossible_options_are_refused_without_a_broker_and_secrets_are_not_shown() {
    for (name, value, expected) in [
        ("group.id", "mine", "property `group.id` of the Kafka client may not be set"),
        ("sasl.sausage", "hunter2", "property `sasl.sausage` of the Kafka client is refused"),
    ] {
        let mut options = options("nowhere:1", "a");
        options.properties.insert(name.to_owned(), value.to_owned());
        assert!(!format!("{options:?}").contains("hunter2"));
        let error = KafkaCatalog::new(options).map(drop).expect_err(expected).to_string();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
    }
    let error = KafkaCatalog::new(options("nowhere:1", "a b")).map(drop).expect_err("a space").to_string();
    assert!(error.contains("`a b` cannot be a cluster's name"), "{error}");
}

fn client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers());
    config
}

/// A producer that fences the cluster's leader.
pub(super) fn transactional(cluster: &str) -> BaseProducer {
    let made = client().set("transactional.id", format!("davy.{cluster}.catalog")).create();
    let producer: BaseProducer = made.expect("a producer");
    producer.init_transactions(ANSWER).expect("taken over");
    producer
}

fn make_topic(cluster: &str, n_partitions: i32, config: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> = client().create().expect("an admin client");
    let topic = topic(cluster);
    let mut new = NewTopic::new(&topic, n_partitions, TopicReplication::Fixed(1));
    for (name, value) in config {
        new = new.set(name, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(ANSWER));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let made = runtime.block_on(admin.create_topics([&new], &options)).expect("an answer");
    assert!(made.iter().all(Result::is_ok), "{made:?}");
}

/// How many records with the key `epochs` there are.
fn n_messages(cluster: &str) -> u64 {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::error::KafkaError;
    use rdkafka::message::Message;
    use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

    let made = client().set("group.id", unique("counts")).set("enable.partition.eof", "true").create();
    let consumer: BaseConsumer = made.expect("a consumer");
    let mut partition = TopicPartitionList::new();
    partition.add_partition_offset(&topic(cluster), 0, Offset::Beginning).expect("an offset");
    consumer.assign(&partition).expect("assigned");
    let mut n_found = 0;
    loop {
        match consumer.poll(ANSWER) {
            Some(Ok(message)) => n_found += u64::from(message.key() == Some(b"epochs")),
            Some(Err(KafkaError::PartitionEOF(_))) => return n_found,
            Some(Err(error)) => panic!("{error}"),
            None => panic!("the end does not come"),
        }
    }
}
