//! A partition's log: data and the markers that end transactions, who may write, and what a reader sees.

use std::collections::{BTreeMap, VecDeque};

use super::{Producer, Refusal};
use davy_engine::log::transactions::Message;

/// What a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    Uncommitted,
    /// What lies before the first open transaction and was not aborted.
    Committed,
}

#[derive(Clone, Debug, Default)]
pub struct Read {
    /// Messages with their offsets.
    pub messages: Vec<(u64, Message)>,
    /// Where reading continues: after the last message, or after everything that was not for readers.
    pub next: u64,
}

#[derive(Clone, Debug)]
enum Entry {
    Data(Option<Producer>, Message),
    Marker,
}

/// The state of a producer in a partition.
#[derive(Clone, Copy, Debug)]
struct Seen {
    epoch: u32,
    last_sequence: Option<u64>,
    /// The first offset of its open transaction.
    open_since: Option<u64>,
}

/// Offsets `[from, to)` of one producer that were aborted.
#[derive(Clone, Copy, Debug)]
struct Aborted {
    producer: u64,
    from: u64,
    to: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Partition {
    first: u64,
    entries: VecDeque<Entry>,
    seen: BTreeMap<u64, Seen>,
    aborted: Vec<Aborted>,
}

impl Partition {
    /// The first offset that is still there.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The offset after the last entry.
    pub(super) fn high_watermark(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The first offset of an open transaction: committed readers see what lies before it.
    pub(super) fn last_stable(&self) -> u64 {
        let open = self.seen.values().filter_map(|seen| seen.open_since).min();
        open.unwrap_or_else(|| self.high_watermark())
    }

    /// Deletes what lies before `offset`.
    pub(super) fn delete_before(&mut self, offset: u64) {
        while self.first < offset.min(self.last_stable()) && self.entries.pop_front().is_some() {
            self.first += 1;
        }
        self.aborted.retain(|aborted| self.first < aborted.to);
    }

    /// Appends outside any transaction.
    pub(super) fn append_plain(&mut self, message: Message) {
        self.entries.push_back(Entry::Data(None, message));
    }

    /// Whether a transaction of this producer is open here.
    pub(super) fn has_open(&self, producer: u64) -> bool {
        self.seen.get(&producer).is_some_and(|seen| seen.open_since.is_some())
    }

    /// Whether a message is new; one that is here already is acknowledged and dropped.
    pub(super) fn is_new(&self, producer: Producer, sequence: u64, checks_epochs: bool) -> Result<bool, Refusal> {
        let Some(seen) = self.seen.get(&producer.id) else { return in_sequence(None, sequence) };
        if checks_epochs && producer.epoch < seen.epoch {
            return Err(Refusal::Fenced);
        }
        if producer.epoch != seen.epoch {
            return in_sequence(None, sequence);
        }
        in_sequence(seen.last_sequence, sequence)
    }

    /// Appends a message of an open transaction, or begins one here.
    pub(super) fn append(&mut self, producer: Producer, sequence: u64, message: Message) {
        let offset = self.high_watermark();
        let open_since = self.seen.get(&producer.id).and_then(|seen| seen.open_since).or(Some(offset));
        let seen = Seen { epoch: producer.epoch, last_sequence: Some(sequence), open_since };
        self.seen.insert(producer.id, seen);
        self.entries.push_back(Entry::Data(Some(producer), message));
    }

    /// Writes the marker that ends a producer's transaction; its epoch holds from now on.
    pub(super) fn end_transaction(&mut self, producer: Producer, commits: bool) {
        let to = self.high_watermark();
        let none = Seen { epoch: producer.epoch, last_sequence: None, open_since: None };
        let seen = self.seen.entry(producer.id).or_insert(none);
        if seen.epoch != producer.epoch {
            (seen.epoch, seen.last_sequence) = (producer.epoch, None);
        }
        if let Some(from) = seen.open_since.take()
            && !commits
        {
            self.aborted.push(Aborted { producer: producer.id, from, to });
        }
        self.entries.push_back(Entry::Marker);
    }

    /// Reads up to `n_max` messages from `from` on.
    pub(super) fn read(&self, from: u64, isolation: Isolation, n_max: usize) -> Read {
        let end = match isolation {
            Isolation::Uncommitted => self.high_watermark(),
            Isolation::Committed => self.last_stable(),
        };
        let mut read = Read { messages: Vec::new(), next: from };
        for offset in from.max(self.first)..end {
            if read.messages.len() == n_max {
                break;
            }
            read.next = offset + 1;
            if let Entry::Data(producer, message) = &self.entries[(offset - self.first) as usize]
                && (isolation == Isolation::Uncommitted || !self.is_aborted(*producer, offset))
            {
                read.messages.push((offset, message.clone()));
            }
        }
        if let Some((last, _)) = read.messages.last() {
            read.next = last + 1;
        }
        read
    }

    fn is_aborted(&self, producer: Option<Producer>, offset: u64) -> bool {
        let Some(producer) = producer else { return false };
        self.aborted.iter().any(|one| one.producer == producer.id && (one.from..one.to).contains(&offset))
    }
}

fn in_sequence(last: Option<u64>, sequence: u64) -> Result<bool, Refusal> {
    let expected = last.map_or(0, |last| last + 1);
    if expected < sequence { Err(Refusal::OutOfSequence) } else { Ok(sequence == expected) }
}
