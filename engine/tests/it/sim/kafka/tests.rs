//! What the simulated broker does, as Kafka's source says that brokers do.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use davy_engine::log::transactions::Message;
use davy_engine::log::{Position, SplitId};

/// One task that writes to one partition and reads from another.
struct Bench {
    broker: Broker,
    producer: Producer,
}

fn task() -> Arc<str> {
    "task".into()
}

fn group() -> Arc<str> {
    "group".into()
}

fn topic_partition() -> TopicPartition {
    TopicPartition { topic: "out".into(), partition: 0 }
}

fn input() -> SplitId {
    SplitId::from("in/0")
}

impl Bench {
    fn new() -> Self {
        let mut broker = Broker::new(Rules::default());
        broker.make_topic("out", 1);
        let mut bench = Self { broker, producer: Producer { id: 0, epoch: 0 } };
        bench.init();
        bench
    }

    /// As a client does: it retries until the last transaction has ended.
    fn init(&mut self) {
        loop {
            match self.broker.handle(&Request::InitProducerId { task: task() }) {
                Ok(Response::Producer(producer)) => return self.producer = producer,
                Err(Refusal::Concurrent) => self.write_markers(),
                other => panic!("{other:?}"),
            }
        }
    }

    fn write_markers(&mut self) {
        while self.broker.write_marker() {}
    }

    fn send(&mut self, request: &Request) -> Result<(), Refusal> {
        self.broker.handle(request).map(|_| ())
    }

    fn add(&mut self) -> Result<(), Refusal> {
        self.send(&Request::AddPartition { task: task(), producer: self.producer, topic_partition: topic_partition() })
    }

    fn row(&self, sequence: u64, text: &str) -> Request {
        let message = Message { topic: topic_partition().topic, value: text.into(), ..Message::default() };
        Request::Produce {
            task: task(),
            producer: self.producer,
            sequence,
            topic_partition: topic_partition(),
            message,
        }
    }

    fn offsets(&self, position: u64) -> Request {
        let positions = vec![(input(), Position(position), String::new())];
        Request::TxnOffsetCommit { task: task(), producer: self.producer, group: group(), positions }
    }

    fn add_offsets(&mut self) -> Result<(), Refusal> {
        self.send(&Request::AddOffsets { task: task(), producer: self.producer, group: group() })
    }

    fn end(&self, commits: bool) -> Request {
        Request::EndTxn { task: task(), producer: self.producer, commits }
    }

    /// A whole transaction with a row and a position.
    fn transaction(&mut self, sequence: u64, text: &str, commits: bool) {
        self.add().expect("added");
        self.send(&self.row(sequence, text)).expect("written");
        self.add_offsets().expect("added");
        self.send(&self.offsets(sequence)).expect("noted");
        self.send(&self.end(commits)).expect("ended");
        self.write_markers();
    }

    fn read(&self, isolation: Isolation) -> Vec<String> {
        let read = self.broker.read(&topic_partition(), Position(0), isolation, 100).expect("the topic is there");
        let text = |(_, message): (u64, Message)| String::from_utf8(message.value).expect("text");
        read.messages.into_iter().map(text).collect()
    }

    fn position(&self) -> Option<u64> {
        self.broker.committed(&group(), &input()).map(|(position, _)| position.0)
    }
}

#[test]
fn committed_readers_see_neither_what_is_open_nor_what_was_aborted() {
    let mut bench = Bench::new();
    bench.transaction(0, "a", true);
    bench.transaction(1, "b", false);
    bench.add().expect("added");
    bench.send(&bench.row(2, "c")).expect("written");
    assert_eq!(bench.read(Isolation::Committed), ["a"]);
    assert_eq!(bench.read(Isolation::Uncommitted), ["a", "b", "c"]);
    assert_eq!(
        bench.broker.last_stable(&topic_partition()),
        Ok(Position(4)),
        "two rows and two markers lie before the open one"
    );
    assert_eq!(bench.position(), Some(0));
    bench.send(&bench.end(true)).expect("decided");
    assert_eq!(bench.read(Isolation::Committed), ["a"], "decided, but without markers yet");
    bench.write_markers();
    assert_eq!(bench.read(Isolation::Committed), ["a", "c"]);
}

#[test]
fn a_new_owner_aborts_what_is_open_and_fences_the_old_one() {
    let mut bench = Bench::new();
    bench.add().expect("added");
    bench.send(&bench.row(0, "a")).expect("written");
    let old = [bench.row(1, "b"), bench.offsets(7), bench.end(true)];
    bench.init();
    for request in old {
        assert_eq!(bench.send(&request), Err(Refusal::Fenced), "{request:?}");
    }
    bench.transaction(0, "c", true);
    assert_eq!(bench.read(Isolation::Committed), ["c"]);
}

#[test]
fn a_new_owner_completes_what_was_decided() {
    let mut bench = Bench::new();
    bench.add().expect("added");
    bench.send(&bench.row(0, "a")).expect("written");
    bench.send(&bench.end(true)).expect("decided");
    bench.init();
    assert_eq!(bench.read(Isolation::Committed), ["a"]);
}

#[test]
fn late_requests_of_the_same_epoch_act_on_the_next_transaction() {
    let mut bench = Bench::new();
    bench.transaction(0, "a", true);
    let (late_end, late_offsets) = (bench.end(true), bench.offsets(3));
    assert_eq!(bench.send(&late_offsets), Err(Refusal::InvalidState), "nothing is open");
    assert_eq!(bench.send(&late_end), Ok(()), "it has been done");
    bench.add().expect("added");
    bench.send(&bench.row(1, "b")).expect("written");
    bench.add_offsets().expect("added");
    bench.send(&bench.offsets(9)).expect("noted");
    assert_eq!(bench.send(&late_offsets), Ok(()));
    assert_eq!(bench.send(&late_end), Ok(()));
    bench.write_markers();
    assert_eq!(bench.read(Isolation::Committed), ["a", "b"], "another transaction's commit");
    assert_eq!(bench.position(), Some(3), "another transaction's position");
    assert_eq!(bench.send(&bench.end(false)), Err(Refusal::InvalidState), "it can no longer be aborted");
}

#[test]
fn a_row_that_comes_twice_is_written_once_and_one_that_is_missing_is_noticed() {
    let mut bench = Bench::new();
    bench.transaction(0, "a", true);
    bench.add().expect("added");
    assert_eq!(bench.send(&bench.row(0, "a")), Ok(()));
    assert_eq!(bench.send(&bench.row(2, "c")), Err(Refusal::OutOfSequence));
    assert_eq!(bench.send(&bench.row(1, "b")), Ok(()));
    assert_eq!(bench.send(&bench.row(1, "b")), Ok(()));
    assert_eq!(bench.read(Isolation::Uncommitted), ["a", "b"]);
}

#[test]
fn a_row_outside_a_transaction_is_refused() {
    let mut bench = Bench::new();
    assert_eq!(bench.send(&bench.row(0, "a")), Err(Refusal::InvalidState));
}

#[test]
fn a_transaction_that_is_open_for_too_long_is_aborted_and_its_owner_fenced() {
    let mut bench = Bench::new();
    bench.add().expect("added");
    bench.send(&bench.row(0, "a")).expect("written");
    assert_eq!(bench.broker.advance(Duration::from_secs(9)), 0);
    assert_eq!(bench.broker.advance(Duration::from_secs(10)), 1);
    bench.write_markers();
    assert_eq!(bench.send(&bench.end(true)), Err(Refusal::Fenced));
    assert_eq!(bench.read(Isolation::Committed), Vec::<String>::new());
    assert_eq!(bench.broker.last_stable(&topic_partition()), Ok(Position(2)));
}

#[test]
fn positions_are_unstable_while_a_transaction_may_change_them() {
    let mut bench = Bench::new();
    bench.add_offsets().expect("added");
    bench.send(&bench.offsets(5)).expect("noted");
    let fetch = Request::OffsetFetch { group: group(), splits: vec![input()] };
    assert_eq!(bench.send(&fetch), Err(Refusal::Unstable));
    bench.send(&bench.end(true)).expect("decided");
    assert_eq!(bench.send(&fetch), Err(Refusal::Unstable), "decided, but without markers yet");
    bench.write_markers();
    assert_eq!(bench.send(&fetch), Ok(()));
    assert_eq!(bench.position(), Some(5));
}

#[test]
fn deleting_moves_the_beginning_but_not_past_what_is_open() {
    let mut bench = Bench::new();
    bench.transaction(0, "a", true);
    bench.transaction(1, "b", true);
    bench.broker.delete_before(&topic_partition(), Position(2)).expect("there");
    assert_eq!(bench.broker.bounds(&topic_partition()).map(|bounds| (bounds.first.0, bounds.end.0)), Ok((2, 4)));
    assert_eq!(bench.read(Isolation::Committed), ["b"]);
    bench.add().expect("added");
    bench.send(&bench.row(2, "c")).expect("written");
    bench.broker.delete_before(&topic_partition(), Position(99)).expect("there");
    assert_eq!(bench.broker.bounds(&topic_partition()).map(|bounds| bounds.first.0), Ok(4));
}
