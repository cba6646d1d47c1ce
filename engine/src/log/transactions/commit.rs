//! The commits of one task, over its client.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::super::offset_metadata::{OffsetMetadata, Parts, SplitMetadata, SplitState};
use super::super::wire::{self, Record, Wire};
use super::super::{Commit, CommitRecord, ExchangeId, Found, FoundSplit, Position, SplitId, Transaction};
use super::{Destination, Message, Transactions};
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
    sequence: u64,
    /// The splits that were requested, and their committed positions as far as this owner knows, both in order.
    splits: Vec<SplitId>,
    last: Vec<(SplitId, Position, String)>,
}

impl<T: Transactions> TransactionalCommit<T> {
    /// Owns nothing until it takes over.
    pub fn new(client: T, options: TransactionalOptions) -> Self {
        Self { client, options, sequence: 0, splits: Vec::new(), last: Vec::new() }
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
        Err(Error::Fenced(format!("task `{}`: another owner has committed since", self.options.name)))
    }

    /// All messages of a transaction; sinks outside it get their rows.
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
        let mut rows_of: BTreeMap<Arc<str>, Vec<RecordBatch>> = BTreeMap::new();
        for (table, batch) in std::mem::take(&mut transaction.rows) {
            rows_of.entry(table).or_default().push(batch);
        }
        for (table, batches) in rows_of {
            let sink = self.options.sinks.get_mut(&table);
            match sink.ok_or_else(|| Error::internal(format!("rows for the unknown table `{table}`")))? {
                Destination::Inside(encoder) => {
                    batches.iter().try_for_each(|batch| encoder.encode(batch, &mut messages))?;
                }
                Destination::Outside(sink) => sink.write(&batches)?,
            }
        }
        Ok(messages)
    }

    fn positions(&self, record: &CommitRecord) -> Vec<(SplitId, Position, String)> {
        let metadata = |split: &SplitId| SplitMetadata {
            fingerprint: record.fingerprint,
            task: self.options.task,
            n_tasks: self.options.n_tasks,
            owner: self.options.owner,
            sequence: self.sequence,
            parts: Parts { is_idle: record.idle.contains(split), reset: record.resets.get(split).copied() },
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
    }
}

impl<T: Transactions> Commit for TransactionalCommit<T> {
    fn take_over(&mut self, splits: &[SplitId]) -> Result<Found> {
        self.client.init()?;
        self.found(splits)
    }

    fn find(&mut self, joined: &[SplitId]) -> Result<Found> {
        self.found(joined)
    }

    /// Commits the committed offset metadata again, as its own.
    fn claim(&mut self) -> Result<()> {
        let owner = self.options.owner;
        let own = |(split, position, text): &(SplitId, Position, String)| match SplitMetadata::decode(text) {
            OffsetMetadata::Valid(metadata) => {
                Some((split.clone(), *position, SplitMetadata { owner, ..metadata }.encode()))
            }
            // Recovery has decided what that means, and the first commit replaces it.
            OffsetMetadata::Erased | OffsetMetadata::Unreadable(_) => None,
        };
        let claimed: Vec<_> = self.last.iter().filter_map(own).collect();
        if claimed.is_empty() {
            return Ok(());
        }
        self.burst(Vec::new(), &claimed)?;
        self.last.retain(|(split, ..)| claimed.iter().all(|(other, ..)| other != split));
        self.last.extend(claimed);
        self.last.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(())
    }

    fn is_superseded(&mut self) -> Result<bool> {
        let found = self.client.committed(&self.splits)?;
        let changed = found.iter().filter(|entry| !self.last.contains(entry));
        Ok(changed.into_iter().any(|(_, _, text)| is_newer(&SplitMetadata::decode(text), self.options.owner)))
    }

    fn commit(&mut self, mut transaction: Transaction) -> Result<()> {
        self.refresh()?;
        let messages = self.messages(&mut transaction)?;
        self.sequence += 1;
        let positions = self.positions(&transaction.record);
        if let Err(error) = self.burst(messages, &positions) {
            if !matches!(error, Error::Fenced(_)) {
                self.client.abort();
            }
            return Err(error);
        }
        self.last = positions;
        Ok(())
    }
}
