//! A task's share of a topic: messages to pieces of bytes, one partition at a time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use davy_engine::connector::Share;
use davy_engine::log::{Bounds, EmptyMessage, Fetched, Messages, Payload, Polled, Position, Source, SplitId};
use davy_engine::{Error, Result};
use davy_kafka::reader::{Event, Message, Reader};
use davy_kafka::{KafkaConnection, TopicPartition};

use super::of_kafka;
use super::options::{SourceOptions, Start};
use super::throttle::Throttle;
use crate::clock;

/// How long a poll may wait for messages.
const WAIT: Duration = Duration::from_millis(20);
/// How long no further request is sent to a broker that did not answer.
const SILENCE: Duration = Duration::from_secs(10);
/// How often the source checks whether a topic has more partitions.
const DISCOVERY: Duration = Duration::from_secs(10);

pub(crate) struct KafkaSource {
    reader: Reader,
    topic: Arc<str>,
    options: SourceOptions,
    share: Share,
    throttle: Option<Throttle>,
    /// The number of partitions that the task knows of.
    known: i32,
    looked: Duration,
    /// When a question was not answered.
    unanswered: Option<Duration>,
    wants_keys: bool,
    wants_headers: bool,
    /// By partition: where reading goes on.
    next: BTreeMap<i32, u64>,
    ready: VecDeque<Fetched>,
    pieces: BTreeMap<i32, Piece>,
}

#[derive(Default)]
struct Piece {
    start: u64,
    next: u64,
    bytes: Vec<u8>,
    messages: Messages,
}

impl KafkaSource {
    pub(crate) fn open(
        connection: &KafkaConnection,
        topic: &str,
        options: SourceOptions,
        share: Share,
    ) -> Result<Self> {
        Ok(Self {
            reader: Reader::connect(connection, options.isolation).map_err(of_kafka)?,
            topic: topic.into(),
            throttle: options.messages_per_second.map(Throttle::new),
            options,
            share,
            known: 0,
            looked: clock::running(),
            unanswered: None,
            wants_keys: false,
            wants_headers: false,
            next: BTreeMap::new(),
            ready: VecDeque::new(),
            pieces: BTreeMap::new(),
        })
    }

    fn own(&self, from: i32, to: i32) -> Vec<SplitId> {
        let is_own = |index: usize| index % self.share.count == self.share.index;
        let own = (from..to).filter(|number| self.options.index_among_read(*number).is_some_and(is_own));
        own.map(|number| split_of(&self.topic, number)).collect()
    }

    fn check_partitions(&self) -> Result<()> {
        let Some(missing) =
            self.options.partitions.iter().flat_map(|read| read.iter()).find(|read| self.known <= **read)
        else {
            return Ok(());
        };
        let option = if self.options.ranges.is_some() { "source.ranges" } else { "source.partitions" };
        Err(Error::invalid(format!(
            "topic `{}` has {} partitions, counted from 0, and `{option}` names {missing}",
            self.topic, self.known
        ))
        .hint("name partitions that are there, or add some to the topic"))
    }

    fn fill(&mut self) -> Result<()> {
        let Self { reader, pieces, ready, next, topic, wants_keys, wants_headers, .. } = self;
        let polled = reader.poll(WAIT, |event| match event {
            Event::Message(message) => {
                let piece = pieces.entry(message.partition).or_default();
                piece.add(&message, *wants_keys, *wants_headers);
            }
            Event::End(_, partition, at) => {
                // What was taken before the end goes before it.
                if let Some(piece) = pieces.remove(&partition) {
                    next.insert(partition, piece.next);
                    ready.push_back(piece.fetched(topic, partition));
                }
                let from = next.insert(partition, at).unwrap_or(at);
                if from < at {
                    ready.push_back(moved(topic, partition, from, at));
                }
            }
        });
        polled.map_err(of_kafka)?;
        for (partition, piece) in std::mem::take(pieces) {
            next.insert(partition, piece.next);
            ready.push_back(piece.fetched(topic, partition));
        }
        if let Some(throttle) = &mut self.throttle {
            let n_messages =
                self.ready.iter().flat_map(|fetched| &fetched.messages).map(|messages| messages.ends.len());
            throttle.took(n_messages.sum(), self.next.len(), clock::running());
        }
        Ok(())
    }

    /// Waits a moment where the rate is used up; whether nothing may be read yet.
    fn is_throttled(&self) -> bool {
        let wait = self.throttle.as_ref().map_or(Duration::ZERO, |throttle| throttle.wait(clock::running()));
        if wait.is_zero() {
            return false;
        }
        clock::rest(wait.min(WAIT));
        true
    }
}

impl Piece {
    fn add(&mut self, message: &Message<'_>, wants_key: bool, wants_headers: bool) {
        if self.next == 0 && self.messages.ends.is_empty() && self.messages.empty.is_empty() {
            self.start = message.offset;
        }
        self.next = message.offset + 1;
        let value = message.value.unwrap_or_default();
        if value.trim_ascii().is_empty() {
            self.messages.empty.push(EmptyMessage {
                position: message.offset,
                is_tombstone: message.value.is_none(),
                key: message.key.map(<[u8]>::to_vec),
            });
            return;
        }
        self.bytes.extend_from_slice(value);
        if !value.ends_with(b"\n") {
            self.bytes.push(b'\n');
        }
        self.messages.ends.push(self.bytes.len() as u32);
        self.messages.positions.push(message.offset);
        self.messages.timestamps.push(message.timestamp());
        if wants_key {
            self.messages.keys.push(message.key.map(<[u8]>::to_vec));
        }
        if wants_headers {
            self.messages.headers.push(headers(message));
        }
    }

    fn fetched(self, topic: &str, partition: i32) -> Fetched {
        Fetched {
            split: split_of(topic, partition),
            start: Position(self.start),
            next: Position(self.next),
            preamble: None,
            payload: Payload::Bytes(self.bytes),
            messages: Some(Arc::new(self.messages)),
            end_of_split: false,
        }
    }
}

/// Headers as a JSON object of texts; of several with one name the last.
fn headers(message: &Message<'_>) -> Option<String> {
    let mut object = serde_json::Map::new();
    message.headers(|name, value| {
        object.insert(name.to_owned(), String::from_utf8_lossy(value).into_owned().into());
    });
    (!object.is_empty()).then(|| serde_json::Value::Object(object).to_string())
}

/// A range of offsets that holds only transaction markers.
pub(crate) fn moved(topic: &str, partition: i32, from: u64, to: u64) -> Fetched {
    Fetched {
        split: split_of(topic, partition),
        start: Position(from),
        next: Position(to),
        preamble: None,
        payload: Payload::Nothing,
        messages: None,
        end_of_split: false,
    }
}

/// A partition's name as a split.
pub(crate) fn split_of(topic: &str, partition: i32) -> SplitId {
    SplitId::from(format!("{topic}/{partition}").as_str())
}

/// A split's topic (or exchange) and partition.
pub(crate) fn partition_of(split: &SplitId) -> Result<TopicPartition> {
    let parse = |(topic, number): (&str, &str)| Some(TopicPartition::new(topic, number.parse().ok()?));
    let parsed = split.0.rsplit_once('/').and_then(parse);
    parsed.ok_or_else(|| Error::internal(format!("split `{split}` is no partition")))
}

/// What of a partition is there.
pub(crate) fn bounds(reader: &Reader, partition: &TopicPartition) -> Result<Bounds> {
    let offsets = reader.metadata().offsets(partition).map_err(of_kafka)?;
    Ok(Bounds { first: Position(offsets.start), end: Position(offsets.end) })
}

impl Source for KafkaSource {
    fn splits(&mut self) -> Result<Vec<SplitId>> {
        self.known = self.reader.metadata().n_partitions(&self.topic).map_err(of_kafka)?;
        self.check_partitions()?;
        Ok(self.own(0, self.known))
    }

    fn joined(&mut self) -> Result<Vec<SplitId>> {
        let now = clock::running();
        if now.saturating_sub(self.looked) < DISCOVERY {
            return Ok(Vec::new());
        }
        self.looked = now;
        let before = self.known;
        // The next discovery tries again.
        match self.reader.metadata().n_partitions(&self.topic).map_err(of_kafka) {
            Ok(now) => self.known = now.max(before),
            Err(Error::Unavailable(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(self.own(before, self.known))
    }

    fn accepts_loss(&self) -> bool {
        self.options.accepts_loss
    }

    fn start(&mut self, split: &SplitId, has_joined: bool) -> Result<Position> {
        let partition = partition_of(split)?;
        match self.options.start {
            Start::Latest if !has_joined => Ok(bounds(&self.reader, &partition)?.end),
            Start::Timestamp(ms) if !has_joined => {
                self.reader.metadata().offset_at(&partition, ms).map(Position).map_err(of_kafka)
            }
            _ => Ok(bounds(&self.reader, &partition)?.first),
        }
    }

    fn bounds(&mut self, split: &SplitId) -> Result<Option<Bounds>> {
        bounds(&self.reader, &partition_of(split)?).map(Some)
    }

    fn want(&mut self, keys: bool, headers: bool) {
        (self.wants_keys, self.wants_headers) = (keys, headers);
    }

    fn end(&mut self, split: &SplitId) -> Result<Option<Position>> {
        // Without an answer the split does not count as idle. After one request without an answer no request is sent for the next
        // partition: a commit must not wait for one timeout per partition.
        let now = clock::running();
        if self.unanswered.is_some_and(|then| now.saturating_sub(then) < SILENCE) {
            return Ok(None);
        }
        let Ok(end) = self.reader.high_watermark(&partition_of(split)?) else {
            self.unanswered = Some(clock::running());
            return Ok(None);
        };
        Ok(Some(Position(end)))
    }

    fn lag(&self) -> u64 {
        let of = |(number, next): (&i32, &u64)| {
            let end = self.reader.last_end(&TopicPartition::new(Arc::clone(&self.topic), *number));
            end.map_or(0, |end| end.saturating_sub(*next))
        };
        self.next.iter().map(of).sum()
    }

    fn hold(&mut self, split: &SplitId, is_held: bool) -> Result<()> {
        let partition = partition_of(split)?;
        if is_held {
            self.reader.stop(&partition);
            return Ok(());
        }
        let from = self.next.get(&partition.partition);
        let from = *from.ok_or_else(|| Error::internal(format!("split `{split}` was held before it was assigned")))?;
        self.reader.assign(&partition, from).map_err(of_kafka)
    }

    fn assign(&mut self, split: &SplitId, from: Position) -> Result<()> {
        let partition = partition_of(split)?;
        self.reader.assign(&partition, from.0).map_err(of_kafka)?;
        self.next.insert(partition.partition, from.0);
        self.ready.retain(|fetched| fetched.split != *split);
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled> {
        if self.ready.is_empty() && !self.is_throttled() {
            self.fill()?;
        }
        Ok(self.ready.pop_front().map_or(Polled::Pending, Polled::Data))
    }
}
