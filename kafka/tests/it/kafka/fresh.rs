//! A measurement: what it would cost to make a fresh transactional producer for every commit, as Davy does after trouble only.

use std::time::Instant;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use davy_testkit::broker::{servers, unique};

use crate::{PATIENCE, topic};

const TURNS: usize = 200;

#[test]
#[ignore = "a measurement; `make bench-kafka` runs it"]
fn what_a_fresh_producer_costs() {
    let to = topic("fresh", 1);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers()).set("group.id", unique("fresh"));
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let group = consumer.group_metadata().expect("a group");
    config.set("transactional.id", unique("fresh")).set("retry.backoff.ms", "10").set("linger.ms", "0");
    let mut kept = make(&config);
    transaction(&kept, &group, &to);
    let (mut same, mut fresh) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let begun = Instant::now();
        transaction(&kept, &group, &to);
        same.push(begun.elapsed());
        let begun = Instant::now();
        kept = make(&config);
        transaction(&kept, &group, &to);
        fresh.push(begun.elapsed());
    }
    for (what, times) in [("the same producer", &mut same), ("a fresh producer", &mut fresh)] {
        times.sort_unstable();
        let ms = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e3;
        println!("a transaction with {what}: p50 {:.1} ms, p99 {:.1} ms", ms(50), ms(99));
    }
}

fn make(config: &ClientConfig) -> BaseProducer {
    let producer: BaseProducer = config.create().expect("a producer");
    producer.init_transactions(PATIENCE).expect("taken over");
    producer
}

/// One message, one position.
fn transaction(producer: &BaseProducer, group: &ConsumerGroupMetadata, to: &str) {
    producer.begin_transaction().expect("begun");
    producer.send(BaseRecord::<(), str>::to(to).partition(0).payload("x")).map_err(|(error, _)| error).expect("queued");
    while 0 < producer.in_flight_count() {
        producer.poll(std::time::Duration::ZERO);
    }
    let mut positions = TopicPartitionList::new();
    positions.add_partition_offset(to, 0, Offset::Offset(1)).expect("a position");
    producer.send_offsets_to_transaction(&positions, group, PATIENCE).expect("sent");
    producer.commit_transaction(PATIENCE).expect("committed");
}
