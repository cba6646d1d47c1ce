//! A transactional client like librdkafka's: it retries a request a few times, then fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::broker::{Request, Response};
use super::network::{Network, Sent};
use super::{Producer, Refusal, TopicPartition};
use davy_engine::error::{Error, Result};
use davy_engine::log::transactions::{Message, Transactions};
use davy_engine::log::{Position, SplitId};

/// How often a request is sent before the call fails.
const ATTEMPTS: usize = 3;

/// The client of one owner of a task.
pub struct SimClient {
    network: Arc<Network>,
    /// Which owner it belongs to, for the fault injector.
    owner: u64,
    task: Arc<str>,
    group: Arc<str>,
    producer: Option<Producer>,
    sequences: BTreeMap<TopicPartition, u64>,
    /// What takes part in the open transaction.
    partitions: BTreeSet<TopicPartition>,
    is_open: bool,
    n_produced: u32,
    had_trouble: bool,
    is_dead: bool,
}

impl SimClient {
    /// For the task with this transactional id, reading as `group`.
    pub fn new(network: &Arc<Network>, owner: u64, task: &Arc<str>, group: &Arc<str>) -> Self {
        Self {
            network: Arc::clone(network),
            owner,
            task: Arc::clone(task),
            group: Arc::clone(group),
            producer: None,
            sequences: BTreeMap::new(),
            partitions: BTreeSet::new(),
            is_open: false,
            n_produced: 0,
            had_trouble: false,
            is_dead: false,
        }
    }

    /// Sends a request until it is answered, a few times.
    fn call(&mut self, request: &Request) -> Result<Response> {
        for _ in 0..ATTEMPTS {
            if self.is_dead {
                break;
            }
            match self.network.send(self.owner, request) {
                Sent::Answer(Ok(response)) => return Ok(response),
                // It retries after a while, and by then the markers are written.
                Sent::Answer(Err(Refusal::Concurrent | Refusal::Unstable)) => self.network.write_markers(),
                Sent::Answer(Err(refusal)) => return Err(self.refused(refusal)),
                Sent::Nothing => self.had_trouble = true,
                Sent::Crashed => self.is_dead = true,
            }
        }
        Err(Error::Unavailable(format!("task `{}`: the broker does not answer", self.task)))
    }

    fn refused(&self, refusal: Refusal) -> Error {
        let message = format!("task `{}`: the broker refuses: {refusal:?}", self.task);
        match refusal {
            Refusal::Fenced => Error::Fenced(message),
            // The first is fatal to the client, but no newer owner: the task starts again from its last commit.
            Refusal::InvalidState | Refusal::OutOfSequence | Refusal::Concurrent | Refusal::Unstable => {
                Error::Unavailable(message)
            }
            Refusal::Unknown => Error::invalid(message),
        }
    }

    fn producer(&self) -> Result<Producer> {
        self.producer.ok_or_else(|| Error::internal(format!("task `{}`: `init` comes first", self.task)))
    }

    fn end(&mut self, commits: bool) -> Result<()> {
        let (task, producer) = (Arc::clone(&self.task), self.producer()?);
        self.call(&Request::EndTxn { task, producer, commits })?;
        self.is_open = false;
        Ok(())
    }

    /// A message's own partition, else one after the other.
    fn choose_partition(&mut self, message: &Message) -> TopicPartition {
        let n_partitions = self.network.broker().n_partitions(&message.topic).max(1);
        self.n_produced = self.n_produced.wrapping_add(1);
        let partition = message.partition.unwrap_or(self.n_produced % n_partitions);
        TopicPartition { topic: Arc::clone(&message.topic), partition }
    }
}

impl Transactions for SimClient {
    fn init(&mut self) -> Result<()> {
        let response = self.call(&Request::InitProducerId { task: Arc::clone(&self.task) })?;
        let Response::Producer(producer) = response else { return Err(Error::internal("another answer")) };
        self.producer = Some(producer);
        self.sequences.clear();
        self.is_open = false;
        self.had_trouble = false;
        Ok(())
    }

    fn committed(&mut self, splits: &[SplitId]) -> Result<Vec<(SplitId, Position, String)>> {
        let request = Request::OffsetFetch { group: Arc::clone(&self.group), splits: splits.to_vec() };
        match self.call(&request)? {
            Response::Positions(positions) => Ok(positions),
            Response::Done | Response::Producer(_) => Err(Error::internal("another answer")),
        }
    }

    fn begin(&mut self) -> Result<()> {
        self.partitions.clear();
        self.is_open = true;
        Ok(())
    }

    fn produce(&mut self, message: Message) -> Result<()> {
        let (task, producer, topic_partition) =
            (Arc::clone(&self.task), self.producer()?, self.choose_partition(&message));
        if self.partitions.insert(topic_partition.clone()) {
            self.call(&Request::AddPartition {
                task: Arc::clone(&task),
                producer,
                topic_partition: topic_partition.clone(),
            })?;
        }
        let next = self.sequences.entry(topic_partition.clone()).or_default();
        let sequence = *next;
        *next += 1;
        self.call(&Request::Produce { task, producer, sequence, topic_partition, message })?;
        Ok(())
    }

    fn send_offsets(&mut self, positions: &[(SplitId, Position, String)]) -> Result<()> {
        if positions.is_empty() {
            return Ok(());
        }
        let (task, producer, group) = (Arc::clone(&self.task), self.producer()?, Arc::clone(&self.group));
        self.call(&Request::AddOffsets { task: Arc::clone(&task), producer, group: Arc::clone(&group) })?;
        self.call(&Request::TxnOffsetCommit { task, producer, group, positions: positions.to_vec() })?;
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.end(true)
    }

    fn abort(&mut self) {
        if self.is_open && self.end(false).is_err() {
            // The caller is gone: the next owner's `init` aborts the transaction, or the broker's timeout does.
            self.had_trouble = true;
        }
    }

    fn had_trouble(&self) -> bool {
        self.had_trouble
    }
}
