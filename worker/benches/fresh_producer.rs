//! What a fresh transactional producer costs: a transaction of one message and one position with the producer of the last one, and with a
//! producer made for it. Davy makes one only after trouble; this says what it would cost to make one for every commit.
//!
//! `scripts/kafka.sh with bench -- cargo bench -p davy-worker --bench fresh_producer`
#![allow(missing_docs, reason = "a program")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a bench reads the clock, and may fail loudly")]
#![allow(clippy::print_stdout, reason = "its result")]

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const PATIENCE: Duration = Duration::from_secs(30);
const TURNS: usize = 200;

fn main() {
    let servers = std::env::var("DAVY_KAFKA").expect("run it by scripts/kafka.sh with");
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &servers);
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let topic = NewTopic::new("fresh", 1, TopicReplication::Fixed(1));
    runtime.block_on(admin.create_topics([&topic], &AdminOptions::new().operation_timeout(Some(PATIENCE)))).unwrap();
    config.set("group.id", "fresh");
    let consumer: BaseConsumer = config.create().unwrap();
    let group = consumer.group_metadata().unwrap();
    config.set("transactional.id", "fresh").set("retry.backoff.ms", "10").set("linger.ms", "0");

    let mut kept: BaseProducer = make(&config);
    transaction(&kept, &group);
    let (mut same, mut fresh) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let begun = Instant::now();
        transaction(&kept, &group);
        same.push(begun.elapsed());
        let begun = Instant::now();
        kept = make(&config);
        transaction(&kept, &group);
        fresh.push(begun.elapsed());
    }
    for (what, times) in [("the same producer", &mut same), ("a fresh producer", &mut fresh)] {
        times.sort_unstable();
        let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e3;
        println!("{what}: p50 {:.1} ms, p99 {:.1} ms", at(50), at(99));
    }
}

fn make(config: &ClientConfig) -> BaseProducer {
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer
}

fn transaction(producer: &BaseProducer, group: &ConsumerGroupMetadata) {
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::<(), str>::to("fresh").partition(0).payload("x")).map_err(|(error, _)| error).unwrap();
    while 0 < producer.in_flight_count() {
        producer.poll(Duration::from_millis(1));
    }
    let mut positions = TopicPartitionList::new();
    positions.add_partition_offset("fresh", 0, Offset::Offset(1)).unwrap();
    producer.send_offsets_to_transaction(&positions, group, PATIENCE).unwrap();
    producer.commit_transaction(PATIENCE).unwrap();
}
