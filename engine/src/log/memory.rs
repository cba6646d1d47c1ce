//! The log in memory: atomic commits, fencing and read positions, for one process and for tests.
//!
//! It promises what Kafka's transactions promise: a commit becomes visible whole or not at all, a task that has been taken over
//! cannot commit, and a reader sees committed records only, in order. Exchange records below what recovery needs are dropped.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;

use super::{
    Commit, CommitRecord, ExchangeId, Fetched, Found, Partials, Payload, Polled, Position, Source, SplitId, Transaction,
};
use crate::error::{Error, Result};

#[derive(Debug, Default)]
struct Partition {
    /// The offset of the first record that is still there.
    base: u64,
    records: VecDeque<Partials>,
}

#[derive(Debug, Default)]
struct State {
    exchanges: BTreeMap<SplitId, Partition>,
    epochs: HashMap<Arc<str>, u64>,
    commits: HashMap<Arc<str>, CommitRecord>,
    rows: BTreeMap<Arc<str>, Vec<RecordBatch>>,
    /// How far each exchange partition has been read, for back-pressure.
    read: BTreeMap<SplitId, u64>,
}

/// A log that is dropped with its last handle.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    state: Arc<Mutex<State>>,
    /// Whether rows of sink tables are kept for tests to read, and partials for tasks that recover. In the worker a process that dies
    /// starts over: its commit writes the rows, and partials are given away as they are read.
    keeps_rows: bool,
}

/// What a writer is ahead of its reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    pub n_records: u64,
    pub n_bytes: usize,
}

/// The split that an exchange's partition is read as.
pub fn exchange_split(exchange: &ExchangeId, partition: u32) -> SplitId {
    SplitId::from(format!("{}/{partition}", exchange.0).as_str())
}

impl MemoryLog {
    /// An empty log for use beneath real sinks.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty log for tests, which keeps what tasks and tests may read again.
    pub fn keeping_rows() -> Self {
        Self { keeps_rows: true, ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock means that a task panicked between two commits; the state itself is only changed whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handle by which `task` commits; it owns nothing until it takes over.
    pub fn commit_for(&self, task: &str) -> MemoryCommit {
        MemoryCommit { log: self.clone(), task: task.into(), epoch: 0 }
    }

    /// Reads one partition of each of `exchanges`.
    pub fn source_of(&self, exchanges: &[ExchangeId], partition: u32) -> MemorySource {
        let splits: Vec<SplitId> = exchanges.iter().map(|exchange| exchange_split(exchange, partition)).collect();
        MemorySource { log: self.clone(), splits, positions: BTreeMap::new(), turn: 0 }
    }

    /// The committed rows of a sink table.
    pub fn rows(&self, table: &str) -> Vec<RecordBatch> {
        self.lock().rows.get(table).cloned().unwrap_or_default()
    }

    /// What of an exchange's partition is unread: writers wait while it is much.
    pub fn unread(&self, exchange: &ExchangeId, partition: u32) -> Unread {
        let split = exchange_split(exchange, partition);
        let state = self.lock();
        let Some(partition) = state.exchanges.get(&split) else { return Unread::default() };
        let n_read = state.read.get(&split).copied().unwrap_or(0).saturating_sub(partition.base);
        let unread = partition.records.iter().skip(n_read as usize);
        let size = |partials: &Partials| partials.batch.as_ref().map_or(0, RecordBatch::get_array_memory_size);
        Unread { n_records: unread.len() as u64, n_bytes: unread.map(size).sum() }
    }

    /// How many records of an exchange are still held.
    pub fn held(&self, exchange: &ExchangeId) -> usize {
        self.lock().exchanges.get(&exchange_split(exchange, 0)).map_or(0, |partition| partition.records.len())
    }

    /// The offset after an exchange's last record.
    pub fn end(&self, split: &SplitId) -> Position {
        let state = self.lock();
        Position(state.exchanges.get(split).map_or(0, |partition| partition.base + partition.records.len() as u64))
    }

    /// The last commit of a task.
    pub fn committed(&self, task: &str) -> Option<CommitRecord> {
        self.lock().commits.get(task).cloned()
    }
}

/// A task's right to commit.
#[derive(Debug)]
pub struct MemoryCommit {
    log: MemoryLog,
    task: Arc<str>,
    epoch: u64,
}

impl MemoryCommit {
    /// Whether a newer owner has taken over.
    pub fn check_owner(&self) -> Result<()> {
        self.check(&self.log.lock())
    }

    fn check(&self, state: &State) -> Result<()> {
        if state.epochs.get(&self.task).copied().unwrap_or(0) == self.epoch {
            return Ok(());
        }
        Err(Error::Fenced(format!("task `{}`: epoch {} has been taken over", self.task, self.epoch)))
    }
}

impl Commit for MemoryCommit {
    fn take_over(&mut self, _splits: &[SplitId]) -> Result<Found> {
        let mut state = self.log.lock();
        let epoch = state.epochs.entry(Arc::clone(&self.task)).or_default();
        *epoch += 1;
        self.epoch = *epoch;
        Ok(Found::Whole(state.commits.get(&self.task).cloned().map(Box::new)))
    }

    fn commit(&mut self, transaction: Transaction) -> Result<()> {
        let mut state = self.log.lock();
        self.check(&state)?;
        for (exchange, partition, partials) in transaction.partials {
            let split = exchange_split(&exchange, partition);
            state.exchanges.entry(split).or_default().records.push_back(partials);
        }
        if self.log.keeps_rows {
            for (table, batch) in transaction.rows {
                state.rows.entry(table).or_default().push(batch);
            }
        }
        for (split, from) in &transaction.record.replay_from {
            if let Some(partition) = state.exchanges.get_mut(split) {
                while partition.base < from.0 && partition.records.pop_front().is_some() {
                    partition.base += 1;
                }
            }
        }
        state.commits.insert(Arc::clone(&self.task), transaction.record);
        Ok(())
    }
}

#[derive(Debug)]
pub struct MemorySource {
    log: MemoryLog,
    splits: Vec<SplitId>,
    positions: BTreeMap<SplitId, u64>,
    turn: usize,
}

impl Source for MemorySource {
    fn splits(&mut self) -> Result<Vec<SplitId>> {
        Ok(self.splits.clone())
    }

    fn assign(&mut self, split: &SplitId, from: Position) -> Result<()> {
        self.positions.insert(split.clone(), from.0);
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled> {
        let mut state = self.log.lock();
        let state = &mut *state;
        let n_splits = self.splits.len();
        for step in 0..n_splits {
            let split = &self.splits[(self.turn + step) % n_splits];
            let (Some(position), Some(partition)) = (self.positions.get_mut(split), state.exchanges.get_mut(split))
            else {
                continue;
            };
            if *position < partition.base {
                // Only a commit drops records, and only those that its task no longer needs: a newer owner has committed.
                return Err(Error::Fenced(format!("split `{split}`: records below {} are gone", partition.base)));
            }
            let Some(record) = partition.records.get_mut((*position - partition.base) as usize) else { continue };
            let partials = record.clone();
            if !self.log.keeps_rows {
                record.batch = None;
            }
            let start = Position(*position);
            *position += 1;
            state.read.insert(split.clone(), *position);
            self.turn = (self.turn + step + 1) % n_splits;
            return Ok(Polled::Data(Fetched {
                split: split.clone(),
                start,
                next: Position(start.0 + 1),
                preamble: None,
                payload: Payload::Partials(partials),
                messages: None,
                end_of_split: false,
            }));
        }
        Ok(Polled::Pending)
    }
}
