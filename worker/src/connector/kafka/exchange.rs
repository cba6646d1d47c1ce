//! A task's partitions of exchanges: records of partials, decoded.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use davy_engine::log::wire::{HEADER, Wire, WireReader};
use davy_engine::log::{Bounds, ExchangeId, Fetched, Polled, Position, Source, SplitId};
use davy_engine::{Error, Result};
use davy_kafka::reader::{Event, Message, Reader};
use davy_kafka::{Isolation, KafkaConnection, TopicPartition};

use super::of_kafka;
use super::source::{bounds, moved, partition_of, split_of};

/// How long a poll may wait for records.
const WAIT: Duration = Duration::from_millis(20);

/// An exchange to be read.
pub(crate) struct ExchangeTopic {
    pub(crate) exchange: ExchangeId,
    pub(crate) topic: Arc<str>,
    pub(crate) wire: Wire,
}

/// The exchanges by their topics.
type Exchanges = HashMap<Arc<str>, (ExchangeId, WireReader)>;

/// Reads exchanges. Splits are named by the exchange, `<exchange>/<partition>`.
pub(crate) struct ExchangeSource {
    reader: Reader,
    exchanges: Exchanges,
    topics: HashMap<ExchangeId, Arc<str>>,
    /// The partitions that are this task's.
    partitions: Vec<i32>,
    next: BTreeMap<SplitId, u64>,
    ready: VecDeque<Fetched>,
}

impl ExchangeSource {
    pub(crate) fn open(
        connection: &KafkaConnection,
        exchanges: Vec<ExchangeTopic>,
        partitions: Vec<i32>,
    ) -> Result<Self> {
        let topics = exchanges.iter().map(|one| (one.exchange.clone(), Arc::clone(&one.topic))).collect();
        let exchanges =
            exchanges.into_iter().map(|one| (one.topic, (one.exchange, WireReader::new(one.wire)))).collect();
        let reader = Reader::connect(connection, Isolation::ReadCommitted).map_err(of_kafka)?;
        Ok(Self { reader, exchanges, topics, partitions, next: BTreeMap::new(), ready: VecDeque::new() })
    }

    fn partition(&self, split: &SplitId) -> Result<TopicPartition> {
        let TopicPartition { topic: exchange, partition } = partition_of(split)?;
        let topic = self.topics.get(&ExchangeId(exchange));
        let topic = topic.ok_or_else(|| Error::internal(format!("split `{split}` is of no exchange")))?;
        Ok(TopicPartition::new(Arc::clone(topic), partition))
    }

    fn fill(&mut self) -> Result<()> {
        let Self { reader, exchanges, ready, next, .. } = self;
        let mut problem = None;
        let polled = reader.poll(WAIT, |event| {
            let made = match event {
                Event::Message(message) => record(exchanges, &message).map(Some),
                Event::End(topic, partition, at) => Ok(exchanges.get(topic).and_then(|(exchange, _)| {
                    let split = split_of(&exchange.0, partition);
                    let from = next.get(&split).copied().unwrap_or(at);
                    (from < at).then(|| moved(&exchange.0, partition, from, at))
                })),
            };
            match made {
                Ok(Some(fetched)) => {
                    next.insert(fetched.split.clone(), fetched.next.0);
                    ready.push_back(fetched);
                }
                Ok(None) => {}
                Err(error) => {
                    problem.get_or_insert(error);
                }
            }
        });
        polled.map_err(of_kafka)?;
        problem.map_or(Ok(()), Err)
    }
}

fn record(exchanges: &mut Exchanges, message: &Message<'_>) -> Result<Fetched> {
    let unknown = || Error::internal(format!("a record of topic `{}`, which is no exchange", message.topic));
    let (exchange, wire) = exchanges.get_mut(message.topic).ok_or_else(unknown)?;
    let mut header = Vec::new();
    message.headers(|name, value| {
        if name == HEADER {
            header = value.to_vec();
        }
    });
    let place =
        |error: Error| error.context(&format!("topic `{}/{}` at {}", message.topic, message.partition, message.offset));
    let split = split_of(&exchange.0, message.partition);
    let payload = wire.decode(&split, &header, message.value.unwrap_or_default()).map_err(place)?;
    Ok(Fetched {
        split,
        start: Position(message.offset),
        next: Position(message.offset + 1),
        preamble: None,
        payload,
        messages: None,
        end_of_split: false,
    })
}

impl Source for ExchangeSource {
    fn splits(&mut self) -> Result<Vec<SplitId>> {
        let of = |exchange: &ExchangeId| self.partitions.iter().map(|number| split_of(&exchange.0, *number)).collect();
        let mut splits: Vec<SplitId> =
            self.topics.keys().flat_map(|exchange| -> Vec<SplitId> { of(exchange) }).collect();
        splits.sort_unstable();
        Ok(splits)
    }

    fn bounds(&mut self, split: &SplitId) -> Result<Option<Bounds>> {
        bounds(&self.reader, &self.partition(split)?).map(Some)
    }

    fn lag(&self) -> u64 {
        let of = |(split, next): (&SplitId, &u64)| {
            let end = self.partition(split).ok().and_then(|partition| self.reader.last_end(&partition));
            end.map_or(0, |end| end.saturating_sub(*next))
        };
        self.next.iter().map(of).sum()
    }

    fn assign(&mut self, split: &SplitId, from: Position) -> Result<()> {
        let partition = self.partition(split)?;
        // Where nothing was committed yet, a purge cannot have been either.
        self.reader.assign(&partition, from.0).map_err(of_kafka)?;
        self.next.insert(split.clone(), from.0);
        self.ready.retain(|fetched| fetched.split != *split);
        self.exchanges.values_mut().for_each(|(_, wire)| wire.forget(split));
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled> {
        if self.ready.is_empty() {
            self.fill()?;
        }
        Ok(self.ready.pop_front().map_or(Polled::Pending, Polled::Data))
    }
}
