//! The broker: what each request of the transaction protocol does, and what a reader finds.
//!
//! The decision to end a transaction is one step, the markers in each of its partitions are others: [`Broker::write_marker`] writes one of
//! them, and a test decides when. Like brokers since Kafka 3.6, it checks with the coordinator before a transaction begins in a partition or
//! a group, so that none is left hanging there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::coordinator::{Member, Transactional};
use super::group::Groups;
use super::partition::{Isolation, Partition, Read};
use super::{Producer, Refusal, TopicPartition};
use davy_engine::log::transactions::Message;
use davy_engine::log::{Bounds, Position, SplitId};

/// What a client requests. `task` is its transactional id.
#[derive(Clone, Debug)]
pub enum Request {
    InitProducerId { task: Arc<str> },
    AddPartition { task: Arc<str>, producer: Producer, topic_partition: TopicPartition },
    AddOffsets { task: Arc<str>, producer: Producer, group: Arc<str> },
    Produce { task: Arc<str>, producer: Producer, sequence: u64, topic_partition: TopicPartition, message: Message },
    TxnOffsetCommit { task: Arc<str>, producer: Producer, group: Arc<str>, positions: Vec<(SplitId, Position, String)> },
    EndTxn { task: Arc<str>, producer: Producer, commits: bool },
    OffsetFetch { group: Arc<str>, splits: Vec<SplitId> },
}

/// What a broker answers to a request that it has accepted.
#[derive(Clone, Debug)]
pub enum Response {
    Done,
    Producer(Producer),
    /// Positions and their metadata; splits without are not listed.
    Positions(Vec<(SplitId, Position, String)>),
}

/// How the broker behaves.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Whether older epochs are refused; tests must notice a broker that accepts them.
    pub checks_epochs: bool,
    /// How long a transaction may be open.
    pub transaction_timeout: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self { checks_epochs: true, transaction_timeout: Duration::from_secs(10) }
    }
}

/// A cluster of one.
#[derive(Clone, Debug)]
pub struct Broker {
    rules: Rules,
    now: Duration,
    topics: BTreeMap<Arc<str>, Vec<Partition>>,
    transactional: BTreeMap<Arc<str>, Transactional>,
    groups: Groups,
}

impl Broker {
    pub fn new(rules: Rules) -> Self {
        let (topics, transactional) = (BTreeMap::new(), BTreeMap::new());
        Self { rules, now: Duration::ZERO, topics, transactional, groups: Groups::default() }
    }

    /// Makes a topic, or adds partitions to it.
    pub fn make_topic(&mut self, topic: &str, n_partitions: usize) {
        self.topics.entry(topic.into()).or_default().resize_with(n_partitions, Partition::default);
    }

    /// How many partitions a topic has.
    pub fn n_partitions(&self, topic: &str) -> u32 {
        self.topics.get(topic).map_or(0, |partitions| partitions.len() as u32)
    }

    /// Every partition there is.
    pub fn topic_partitions(&self) -> Vec<TopicPartition> {
        let of = |(topic, partitions): (&Arc<str>, &Vec<Partition>)| {
            let topic = Arc::clone(topic);
            (0..partitions.len() as u32).map(move |partition| TopicPartition { topic: Arc::clone(&topic), partition })
        };
        self.topics.iter().flat_map(of).collect()
    }

    /// Writes a message outside any transaction.
    pub fn append(&mut self, topic_partition: &TopicPartition, value: Vec<u8>) -> Result<(), Refusal> {
        let message = Message { topic: Arc::clone(&topic_partition.topic), value, ..Message::default() };
        self.partition_mut(topic_partition)?.append_plain(message);
        Ok(())
    }

    /// Lets time pass; transactions that have been open for too long are aborted. Returns how many.
    pub fn advance(&mut self, now: Duration) -> usize {
        self.now = now;
        let timeout = self.rules.transaction_timeout;
        self.transactional.values_mut().map(|one| usize::from(one.expire(now, timeout))).sum()
    }

    /// Deletes records before an offset (DeleteRecords).
    pub fn delete_before(&mut self, topic_partition: &TopicPartition, offset: Position) -> Result<(), Refusal> {
        self.partition_mut(topic_partition)?.delete_before(offset.0);
        Ok(())
    }

    /// What of a partition is still there, to its high watermark.
    pub fn bounds(&self, topic_partition: &TopicPartition) -> Result<Bounds, Refusal> {
        let partition = self.partition(topic_partition)?;
        Ok(Bounds { first: Position(partition.first()), end: Position(partition.high_watermark()) })
    }

    /// Up to where committed readers see.
    pub fn last_stable(&self, topic_partition: &TopicPartition) -> Result<Position, Refusal> {
        Ok(Position(self.partition(topic_partition)?.last_stable()))
    }

    pub fn read(
        &self,
        topic_partition: &TopicPartition,
        from: Position,
        isolation: Isolation,
        n_max: usize,
    ) -> Result<Read, Refusal> {
        Ok(self.partition(topic_partition)?.read(from.0, isolation, n_max))
    }

    /// The committed position of a split with its metadata.
    pub fn committed(&self, group: &Arc<str>, split: &SplitId) -> Option<(Position, String)> {
        self.groups.committed(group, split).cloned()
    }

    /// Deletes a group's position of a split, as after `offsets.retention.minutes`.
    pub fn expire(&mut self, group: &Arc<str>, split: &SplitId) {
        self.groups.expire(group, split);
    }

    /// Writes one of the markers that transactions wait for; returns whether there was any.
    pub fn write_marker(&mut self) -> bool {
        let next = |one: &mut Transactional| one.next_marker().map(|(member, commits)| (one.producer, member, commits));
        let Some((producer, member, commits)) = self.transactional.values_mut().find_map(next) else { return false };
        match member {
            Member::Group(group) => self.groups.end(producer.id, &group, commits),
            Member::Partition(topic_partition) => {
                if let Ok(partition) = self.partition_mut(&topic_partition) {
                    partition.end_transaction(producer, commits);
                }
            }
        }
        true
    }

    /// Handles a request.
    pub fn handle(&mut self, request: &Request) -> Result<Response, Refusal> {
        match request {
            Request::InitProducerId { task } => {
                let next_id = self.transactional.len() as u64;
                let one = self.transactional.entry(Arc::clone(task)).or_insert_with(|| Transactional::new(next_id));
                return one.init().map(Response::Producer);
            }
            Request::AddPartition { task, producer, topic_partition } => {
                self.add(task, *producer, Member::Partition(topic_partition.clone()))?;
            }
            Request::AddOffsets { task, producer, group } => {
                self.add(task, *producer, Member::Group(Arc::clone(group)))?;
            }
            Request::Produce { task, producer, sequence, topic_partition, message } => {
                let partition = self.partition(topic_partition)?;
                if partition.is_new(*producer, *sequence, self.rules.checks_epochs)? {
                    self.check_open(task, *producer, topic_partition)?;
                    self.partition_mut(topic_partition)?.append(*producer, *sequence, message.clone());
                }
            }
            Request::TxnOffsetCommit { task, producer, group, positions } => {
                let member = Member::Group(Arc::clone(group));
                if !self.owned(task, *producer)?.has(&member) {
                    return Err(Refusal::InvalidState);
                }
                self.groups.wait(producer.id, group, positions);
            }
            Request::EndTxn { task, producer, commits } => self.owned(task, *producer)?.end(*commits)?,
            Request::OffsetFetch { group, splits } => return self.fetch(group, splits).map(Response::Positions),
        }
        Ok(Response::Done)
    }

    fn add(&mut self, task: &Arc<str>, producer: Producer, member: Member) -> Result<(), Refusal> {
        let now = self.now;
        self.owned(task, producer)?.add(member, now)
    }

    /// Refuses messages outside of a transaction.
    fn check_open(
        &mut self,
        task: &Arc<str>,
        producer: Producer,
        topic_partition: &TopicPartition,
    ) -> Result<(), Refusal> {
        let is_open = self.partition(topic_partition)?.has_open(producer.id)
            || self.owned(task, producer)?.has(&Member::Partition(topic_partition.clone()));
        if is_open { Ok(()) } else { Err(Refusal::InvalidState) }
    }

    fn fetch(&self, group: &Arc<str>, splits: &[SplitId]) -> Result<Vec<(SplitId, Position, String)>, Refusal> {
        if !self.groups.is_stable(group, splits) {
            return Err(Refusal::Unstable);
        }
        let committed = |split: &SplitId| {
            self.groups.committed(group, split).map(|(position, text)| (split.clone(), *position, text.clone()))
        };
        Ok(splits.iter().filter_map(committed).collect())
    }

    /// The coordinator's state of a task, if this producer is the newest.
    fn owned(&mut self, task: &Arc<str>, producer: Producer) -> Result<&mut Transactional, Refusal> {
        let checks_epochs = self.rules.checks_epochs;
        let one = self.transactional.get_mut(task).ok_or(Refusal::Unknown)?;
        if checks_epochs && one.producer != producer { Err(Refusal::Fenced) } else { Ok(one) }
    }

    fn partition(&self, topic_partition: &TopicPartition) -> Result<&Partition, Refusal> {
        let partitions = self.topics.get(&topic_partition.topic).ok_or(Refusal::Unknown)?;
        partitions.get(topic_partition.partition as usize).ok_or(Refusal::Unknown)
    }

    fn partition_mut(&mut self, topic_partition: &TopicPartition) -> Result<&mut Partition, Refusal> {
        let partitions = self.topics.get_mut(&topic_partition.topic).ok_or(Refusal::Unknown)?;
        partitions.get_mut(topic_partition.partition as usize).ok_or(Refusal::Unknown)
    }
}
