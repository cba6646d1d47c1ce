//! The commits of one task, over its client.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::super::offset_metadata::{OffsetMetadata, Parts, SplitMetadata, SplitState};
use super::super::wire::{self, Record, Wire};
use super::super::{Commit, CommitRecord, ExchangeId, Found, FoundSplit, Position, SplitId, Transaction, Unwritable};
use super::sinks::TaskSinks;
use super::{Closing, Destination, Message, Transactions};
use crate::error::{Error, Result};

/// What commits of a task need to know.
pub struct TransactionalOptions {
    /// The task's name, for errors.
    pub name: Arc<str>,
    /// Which of its stage's tasks.
    pub task: u32,
    /// How many tasks its stage has.
    pub n_tasks: u32,
    /// A number that no other process has, and that is greater in processes that start later.
    pub owner: u64,
    /// The topic of each exchange that is written, and how its partials look.
    pub exchanges: HashMap<ExchangeId, (Arc<str>, Wire)>,
    pub sinks: BTreeMap<Arc<str>, Destination>,
    /// The longest value of a record with partials.
    pub record_bytes_max: usize,
}

/// Commits of one task.
pub struct TransactionalCommit<T> {
    client: T,
    options: TransactionalOptions,
    sinks: TaskSinks,
    sequence: u64,
    /// The splits that were requested, and their committed positions as far as this owner knows, both in order.
    splits: Vec<SplitId>,
    last: Vec<(SplitId, Position, String)>,
}

impl<T: Transactions> TransactionalCommit<T> {
    /// Owns nothing until it takes over.
    pub fn new(client: T, mut options: TransactionalOptions) -> Self {
        let sinks = TaskSinks::new(std::mem::take(&mut options.sinks));
        Self { client, options, sinks, sequence: 0, splits: Vec::new(), last: Vec::new() }
    }

    fn found(&mut self, splits: &[SplitId]) -> Result<Found> {
        let committed = self.client.committed(splits)?;
        self.splits.extend_from_slice(splits);
        self.splits.sort_unstable();
        self.last.extend_from_slice(&committed);
        self.last.sort_by(|a, b| a.0.cmp(&b.0));
        let read = |(split, position, text): (SplitId, Position, String)| {
            let metadata = SplitMetadata::decode(&text);
            FoundSplit { split, position, metadata }
        };
        Ok(Found::Splits(committed.into_iter().map(read).collect()))
    }

    /// Replaces a producer that has seen trouble; see the module.
    fn refresh(&mut self) -> Result<()> {
        if !self.client.had_trouble() {
            return Ok(());
        }
        self.client.init()?;
        let mut found = self.client.committed(&self.splits)?;
        found.sort_by(|a, b| a.0.cmp(&b.0));
        if found == self.last {
            return Ok(());
        }
        Err(self.overtaken())
    }

    /// All messages of a transaction; other sinks get their rows.
    fn messages(&mut self, transaction: &mut Transaction) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        let mut records = Vec::new();
        for (exchange, partition, partials) in std::mem::take(&mut transaction.partials) {
            let (topic, wire) = self
                .options
                .exchanges
                .get(&exchange)
                .ok_or_else(|| Error::internal(format!("partials for the unknown exchange `{}`", exchange.0)))?;
            wire.encode(&partials, self.options.record_bytes_max, &mut records)?;
            messages.extend(records.drain(..).map(|record| of_partials(topic, partition, record)));
        }
        let closing = if transaction.last { Closing::Now } else { Closing::WhenFull };
        let written = self.sinks.write(std::mem::take(&mut transaction.rows), closing, &mut messages);
        written.map_err(|error| self.unless_overtaken(error))?;
        Ok(messages)
    }

    /// A refusal, if no other owner has taken the task over meanwhile: that one removes the files that it has replaced.
    fn unless_overtaken(&mut self, error: Error) -> Error {
        if !matches!(error, Error::Invalid(_)) {
            return error;
        }
        match self.client.committed(&self.splits) {
            Ok(mut found) => {
                found.sort_by(|a, b| a.0.cmp(&b.0));
                if found == self.last { error } else { self.overtaken() }
            }
            Err(unknown) => unknown,
        }
    }

    fn overtaken(&self) -> Error {
        Error::Fenced(format!("task `{}`: another owner has committed since", self.options.name))
    }

    fn positions(&self, record: &CommitRecord) -> Vec<(SplitId, Position, String)> {
        let metadata = |split: &SplitId| SplitMetadata {
            fingerprint: record.fingerprint,
            task: self.options.task,
            n_tasks: self.options.n_tasks,
            owner: self.options.owner,
            sequence: self.sequence,
            parts: Parts {
                is_idle: record.idle.contains(split),
                reset: record.resets.get(split).copied(),
                partly_closed: record.partly_closed,
                judged: record.judged.get(split).copied(),
                sinks: self.sinks.states().to_vec(),
                lookups: record.lookups.clone(),
            },
            state: match record.replay_from.get(split) {
                None => SplitState::Source { watermark: record.watermarks.get(split).copied().unwrap_or(i64::MIN) },
                Some(replay_from) => SplitState::Windows {
                    replay_from: *replay_from,
                    closed_through: record.closed_through.unwrap_or(i64::MIN),
                    expected: record.watermarks.get(split).copied().or(record.expected).unwrap_or(i64::MIN),
                },
            },
        };
        record.positions.iter().map(|(split, position)| (split.clone(), *position, metadata(split).encode())).collect()
    }

    fn transact(&mut self, messages: Vec<Message>, record: &CommitRecord) -> Result<()> {
        self.sequence += 1;
        let positions = self.positions(record);
        if let Err(error) = self.burst(messages, &positions) {
            if !matches!(error, Error::Fenced(_)) {
                self.client.abort();
            }
            return Err(error);
        }
        self.last = positions;
        Ok(())
    }

    fn burst(&mut self, messages: Vec<Message>, positions: &[(SplitId, Position, String)]) -> Result<()> {
        self.client.begin()?;
        for message in messages {
            self.client.produce(message)?;
        }
        self.client.send_offsets(positions)?;
        self.client.commit()
    }
}

/// Whether the committed metadata is of an owner that takes precedence over `owner`.
///
/// Two processes that start at once may each take some of the tasks from the other. If both stopped, no owner would be left; so the
/// one that started earlier stops, and the other takes over what it has lost.
fn is_newer(metadata: &OffsetMetadata, owner: u64) -> bool {
    match metadata {
        OffsetMetadata::Valid(metadata) => owner < metadata.owner,
        OffsetMetadata::Erased | OffsetMetadata::Unreadable(_) => true,
    }
}

fn of_partials(topic: &Arc<str>, partition: u32, record: Record) -> Message {
    Message {
        topic: Arc::clone(topic),
        partition: Some(partition),
        key: None,
        headers: vec![(wire::HEADER.into(), record.header)],
        value: record.value,
        timestamp_ms: None,
        is_tombstone: false,
    }
}

impl<T: Transactions> Commit for TransactionalCommit<T> {
    fn take_over(&mut self, splits: &[SplitId]) -> Result<Found> {
        self.client.init()?;
        let found = self.found(splits)?;
        let files = self.last.iter().flat_map(|(_, _, text)| match SplitMetadata::decode(text) {
            OffsetMetadata::Valid(metadata) => metadata.parts.sinks,
            OffsetMetadata::Erased | OffsetMetadata::Unreadable(_) => Vec::new(),
        });
        self.sinks.find(files);
        Ok(found)
    }

    fn find(&mut self, joined: &[SplitId]) -> Result<Found> {
        self.found(joined)
    }

    /// Commits the committed offset metadata again, as its own.
    fn claim(&mut self) -> Result<()> {
        self.sinks.recover().map_err(|error| self.unless_overtaken(error))?;
        let owner = self.options.owner;
        let states = self.sinks.states();
        let own = |(split, position, text): &(SplitId, Position, String)| match SplitMetadata::decode(text) {
            OffsetMetadata::Valid(metadata) => {
                let parts = Parts { sinks: states.to_vec(), ..metadata.parts };
                Some((split.clone(), *position, SplitMetadata { owner, parts, ..metadata }.encode()))
            }
            // Recovery has decided what that means, and the first commit replaces it.
            OffsetMetadata::Erased | OffsetMetadata::Unreadable(_) => None,
        };
        let claimed: Vec<_> = self.last.iter().filter_map(own).collect();
        if claimed.is_empty() {
            // There are no committed files either.
            return Ok(());
        }
        self.burst(Vec::new(), &claimed)?;
        self.last.retain(|(split, ..)| claimed.iter().all(|(other, ..)| other != split));
        self.last.extend(claimed);
        self.last.sort_by(|a, b| a.0.cmp(&b.0));
        self.sinks.publish().map(|_| ())
    }

    fn is_superseded(&mut self) -> Result<bool> {
        let found = self.client.committed(&self.splits)?;
        let changed = found.iter().filter(|entry| !self.last.contains(entry));
        Ok(changed.into_iter().any(|(_, _, text)| is_newer(&SplitMetadata::decode(text), self.options.owner)))
    }

    fn commit(&mut self, mut transaction: Transaction) -> Result<()> {
        self.refresh()?;
        let messages = self.messages(&mut transaction)?;
        self.transact(messages, &transaction.record)?;
        if self.sinks.publish()? && transaction.last {
            // Commits that no file waits for its publication any more: the next run may have other tables.
            self.sinks.write(Vec::new(), Closing::Now, &mut Vec::new())?;
            self.transact(Vec::new(), &transaction.record)?;
        }
        Ok(())
    }

    fn unwritable(&mut self, table: &str, rows: &RecordBatch) -> Result<Vec<Unwritable>> {
        self.sinks.unwritable(table, rows)
    }

    fn deliver(&mut self, table: &str, rows: &RecordBatch) -> Result<Option<Vec<Unwritable>>> {
        self.sinks.deliver(table, rows)
    }

    fn has_open_files(&self) -> bool {
        self.sinks.has_open_files()
    }
}
