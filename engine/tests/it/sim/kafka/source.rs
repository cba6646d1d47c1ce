//! Readers of the broker's topics: tables of text lines, and exchanges. Both see what is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::network::Network;
use super::partition::{Isolation, Read};
use super::{Choice, Refusal, TopicPartition};
use davy_engine::connector::Share;
use davy_engine::error::{Error, Result};
use davy_engine::log::transactions::Message;
use davy_engine::log::wire::{self, Record, Wire, WireReader};
use davy_engine::log::{Bounds, EmptyMessage, Fetched, Messages, Payload, Polled, Position, Source, SplitId};

/// What both kinds of reader do.
struct Reader {
    network: Arc<Network>,
    positions: BTreeMap<SplitId, (TopicPartition, u64)>,
    held: BTreeSet<SplitId>,
    choice: Choice,
}

impl Reader {
    fn new(network: &Arc<Network>, choice: Choice) -> Self {
        Self { network: Arc::clone(network), positions: BTreeMap::new(), held: BTreeSet::new(), choice }
    }

    fn assign(&mut self, split: &SplitId, from: Position) -> Result<()> {
        self.positions.insert(split.clone(), (parse_topic_partition(split)?, from.0));
        Ok(())
    }

    /// Reads up to `n_max` messages of any split that has something.
    fn read(&mut self, n_max: usize) -> Result<Option<(SplitId, u64, Read)>> {
        let broker = self.network.broker();
        let mut found = Vec::new();
        for (split, (topic_partition, position)) in &self.positions {
            let bounds = broker.bounds(topic_partition).map_err(|refusal| unreadable(split, refusal))?;
            if *position < bounds.first.0 {
                // Only what its task no longer needs is deleted: a newer owner has committed.
                return Err(Error::Fenced(format!("split `{split}`: records below {} are gone", bounds.first.0)));
            }
            let end = broker.last_stable(topic_partition).map_err(|refusal| unreadable(split, refusal))?;
            if !self.held.contains(split) && *position < end.0 {
                found.push(split.clone());
            }
        }
        if found.is_empty() {
            return Ok(None);
        }
        let split = found.swap_remove((self.choice)(found.len()));
        let Some((topic_partition, position)) = self.positions.get_mut(&split) else { return Ok(None) };
        let start = *position;
        let read = broker
            .read(topic_partition, Position(start), Isolation::Committed, n_max)
            .map_err(|refusal| unreadable(&split, refusal))?;
        *position = read.next;
        Ok(Some((split, start, read)))
    }

    fn bounds(&self, split: &SplitId) -> Result<Bounds> {
        self.network.broker().bounds(&parse_topic_partition(split)?).map_err(|refusal| unreadable(split, refusal))
    }
}

fn unreadable(split: &SplitId, refusal: Refusal) -> Error {
    Error::Unavailable(format!("split `{split}`: {refusal:?}"))
}

/// The partition that a split is.
fn parse_topic_partition(split: &SplitId) -> Result<TopicPartition> {
    let parts = split.0.rsplit_once('/');
    let topic_partition =
        parts.and_then(|(topic, number)| Some(TopicPartition { topic: topic.into(), partition: number.parse().ok()? }));
    topic_partition.ok_or_else(|| Error::internal(format!("split `{split}` is no partition")))
}

fn fetched(split: SplitId, start: u64, next: u64, payload: Payload, messages: Option<Messages>) -> Polled {
    let messages = messages.map(Arc::new);
    let (start, next) = (Position(start), Position(next));
    Polled::Data(Fetched { split, start, next, preamble: None, payload, messages, end_of_split: false })
}

/// What a table's reader needs to know.
pub struct TableSourceOptions {
    pub topic: Arc<str>,
    /// A task reads the partitions whose number, modulo the number of tasks, is its index.
    pub share: Share,
    /// How many messages a poll returns at most.
    pub messages_per_poll: usize,
    /// Which split is next, and how much of it.
    pub choice: Choice,
    /// When a message was made, in milliseconds; -1 where it is not known.
    pub timestamp: fn(&[u8]) -> i64,
}

/// Reads a task's partitions of a topic whose messages are lines of text.
pub struct TableSource {
    reader: Reader,
    topic: Arc<str>,
    share: Share,
    messages_per_poll: usize,
    timestamp: fn(&[u8]) -> i64,
    known: BTreeSet<SplitId>,
}

impl TableSource {
    pub fn new(network: &Arc<Network>, options: TableSourceOptions) -> Self {
        let TableSourceOptions { topic, share, messages_per_poll, choice, timestamp } = options;
        Self {
            reader: Reader::new(network, choice),
            topic,
            share,
            messages_per_poll,
            timestamp,
            known: BTreeSet::new(),
        }
    }

    fn own_splits(&self) -> Vec<SplitId> {
        let n_partitions = self.reader.network.broker().n_partitions(&self.topic);
        let own = (self.share.index..n_partitions as usize).step_by(self.share.count);
        own.map(|partition| SplitId::from(format!("{}/{partition}", self.topic).as_str())).collect()
    }
}

impl Source for TableSource {
    fn splits(&mut self) -> Result<Vec<SplitId>> {
        let splits = self.own_splits();
        self.known.extend(splits.iter().cloned());
        Ok(splits)
    }

    fn joined(&mut self) -> Result<Vec<SplitId>> {
        let mut splits = self.own_splits();
        splits.retain(|split| self.known.insert(split.clone()));
        Ok(splits)
    }

    fn bounds(&mut self, split: &SplitId) -> Result<Option<Bounds>> {
        self.reader.bounds(split).map(Some)
    }

    fn end(&mut self, split: &SplitId) -> Result<Option<Position>> {
        Ok(Some(self.reader.bounds(split)?.end))
    }

    fn hold(&mut self, split: &SplitId, is_held: bool) -> Result<()> {
        if is_held {
            self.reader.held.insert(split.clone());
        } else {
            self.reader.held.remove(split);
        }
        Ok(())
    }

    fn assign(&mut self, split: &SplitId, from: Position) -> Result<()> {
        self.reader.assign(split, from)
    }

    fn poll(&mut self) -> Result<Polled> {
        let n_max = 1 + (self.reader.choice)(self.messages_per_poll);
        let Some((split, start, read)) = self.reader.read(n_max)? else { return Ok(Polled::Pending) };
        if read.messages.is_empty() {
            return Ok(fetched(split, start, read.next, Payload::Nothing, None));
        }
        let start = read.messages[0].0;
        let mut bytes = Vec::new();
        let mut messages = Messages::default();
        for (offset, message) in read.messages {
            if message.value.is_empty() {
                messages.empty.push(EmptyMessage { position: offset, is_tombstone: false, key: None });
                continue;
            }
            bytes.extend_from_slice(&message.value);
            bytes.push(b'\n');
            messages.ends.push(bytes.len() as u32);
            messages.positions.push(offset);
            messages.timestamps.push((self.timestamp)(&message.value));
            messages.keys.push(message.key);
            messages.headers.push(None);
        }
        Ok(fetched(split, start, read.next, Payload::Bytes(bytes), Some(messages)))
    }
}

/// Damages records of an exchange before they are decoded.
pub type Damage = Box<dyn FnMut(&mut Record) + Send>;

/// Reads a task's partitions of exchanges.
pub struct ExchangeSource {
    reader: Reader,
    wires: BTreeMap<Arc<str>, WireReader>,
    splits: Vec<SplitId>,
    damage: Damage,
}

impl ExchangeSource {
    /// Of these topics, each with how its partials look; `splits` are the task's own.
    pub fn new(network: &Arc<Network>, wires: BTreeMap<Arc<str>, Wire>, splits: Vec<SplitId>, choice: Choice) -> Self {
        let wires = wires.into_iter().map(|(topic, wire)| (topic, WireReader::new(wire))).collect();
        Self { reader: Reader::new(network, choice), wires, splits, damage: Box::new(|_| ()) }
    }

    /// The same, with damaged records.
    #[must_use]
    pub fn damaged(self, damage: Damage) -> Self {
        Self { damage, ..self }
    }

    fn decode(&mut self, split: &SplitId, message: Message) -> Result<Payload> {
        let headers = message.headers.into_iter();
        let header = headers.filter(|(name, _)| *name == wire::HEADER).map(|(_, value)| value).next();
        let mut record = Record { header: header.unwrap_or_default(), value: message.value };
        (self.damage)(&mut record);
        let wire = self.wires.get_mut(&message.topic);
        let wire = wire.ok_or_else(|| Error::internal(format!("split `{split}` is of an unknown exchange")))?;
        let payload = wire.decode(split, &record.header, &record.value);
        payload.map_err(|error| error.context(&format!("split `{split}`")))
    }
}

impl Source for ExchangeSource {
    fn splits(&mut self) -> Result<Vec<SplitId>> {
        Ok(self.splits.clone())
    }

    fn bounds(&mut self, split: &SplitId) -> Result<Option<Bounds>> {
        self.reader.bounds(split).map(Some)
    }

    fn assign(&mut self, split: &SplitId, from: Position) -> Result<()> {
        self.wires.values_mut().for_each(|wire| wire.forget(split));
        self.reader.assign(split, from)
    }

    fn poll(&mut self) -> Result<Polled> {
        let Some((split, start, mut read)) = self.reader.read(1)? else { return Ok(Polled::Pending) };
        let Some((offset, message)) = read.messages.pop() else {
            return Ok(fetched(split, start, read.next, Payload::Nothing, None));
        };
        let payload = self.decode(&split, message)?;
        Ok(fetched(split, offset, read.next, payload, None))
    }
}
