//! Rows of a window in the order of their ranks, in memory or spilled, read from the first to the last.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::order::{Chunk, KeyOrder, Sorted};
use super::spill::{Budget, SpilledParts};
use crate::error::{Error, Result};

/// What a group takes while it is merged and goes through the query above the windows, at least. DataFusion accounts a fraction: where a
/// function has an accumulator for each group, its states and results are arrays of one value each before they become one column.
const BYTES_PER_GROUP: usize = 16 << 10;
/// How many times its size in a batch a state takes then.
const COPIES: usize = 8;
/// More rows are not worth it: what is read is smaller than what is made of it.
const ROWS_PER_CHUNK: usize = 1 << 10;
/// Which part of what a task may hold a chunk may have. One chunk of each run is in memory.
const SHARE_OF_CHUNK: usize = 256;

/// How many rows are written together.
pub(super) fn rows_per_chunk(budget: &Budget, batch: &RecordBatch) -> usize {
    let row = batch.get_array_memory_size() / batch.num_rows().max(1);
    let by_bytes = budget.state_bytes / SHARE_OF_CHUNK / row.max(1);
    ROWS_PER_CHUNK.min(by_bytes).min(budget.state_bytes / BYTES_PER_GROUP / 4).max(1)
}

/// Where a chunk begins, and what it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) rank: u64,
    n_rows: usize,
    n_bytes: usize,
}

impl Start {
    fn of(chunk: &Chunk) -> Self {
        let rank = chunk.ranks.first().copied().unwrap_or_default();
        Self { rank, n_rows: chunk.batch.num_rows(), n_bytes: chunk.batch.get_array_memory_size() }
    }

    fn later_by(&self, ranks: u64) -> Self {
        Self { rank: self.rank + ranks, ..*self }
    }

    /// What its rows take when they are given out, if each is a group of its own.
    fn cost(&self) -> usize {
        (self.n_rows * BYTES_PER_GROUP).max(self.n_bytes * COPIES)
    }
}

/// What a step may have, about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) n_rows: usize,
    /// See [`Start::cost`].
    pub(super) n_bytes: usize,
}

/// The rank with which a step ends that begins at `from`, where these chunks are left.
pub(super) fn end_of_step(starts: &[Start], from: u64, limits: Limits) -> u64 {
    let first = starts.first().map_or(from, |start| start.rank);
    let (mut n_rows, mut n_bytes) = (0_usize, 0_usize);
    for start in starts {
        n_rows += start.n_rows;
        n_bytes = n_bytes.saturating_add(start.cost());
        let is_full = limits.n_rows < n_rows || limits.n_bytes < n_bytes;
        if is_full && first < start.rank && from < start.rank {
            return start.rank - 1;
        }
    }
    u64::MAX
}

/// Where the chunks of all runs begin, in order, where those of each run begin a little later than those of the run before. Runs of one
/// size have chunks that begin at about the same ranks; counted there, a step would have one chunk of each run or none.
pub(super) fn starts_of(runs: &[&[Start]]) -> Vec<Start> {
    let n_runs = runs.len().max(1) as u64;
    let mut staggered = Vec::with_capacity(runs.iter().map(|starts| starts.len()).sum());
    for (number, starts) in runs.iter().enumerate() {
        for (index, start) in starts.iter().enumerate() {
            let width = match (starts.get(index + 1), index.checked_sub(1)) {
                (Some(next), _) => next.rank - start.rank,
                (None, Some(before)) => (start.rank - starts[before].rank).min(u64::MAX - start.rank),
                (None, None) => u64::MAX - start.rank,
            };
            staggered.push(start.later_by(width / n_runs * number as u64));
        }
    }
    staggered.sort_unstable_by_key(|start| start.rank);
    staggered
}

/// Rows in the order of their ranks.
pub(super) struct Run {
    starts: Vec<Start>,
    chunks: Chunks,
}

enum Chunks {
    Kept(Vec<Chunk>),
    Spilled(Arc<dyn SpilledParts>),
}

impl Run {
    pub(super) fn kept(sorted: &Sorted, n_rows: usize) -> Result<Self> {
        let chunks = sorted.chunks(n_rows).collect::<Result<Vec<_>>>()?;
        Ok(Self { starts: chunks.iter().map(Start::of).collect(), chunks: Chunks::Kept(chunks) })
    }

    pub(super) fn spilled(sorted: &Sorted, n_rows: usize, budget: &Budget) -> Result<Self> {
        let mut starts = Vec::new();
        let mut chunks = sorted.chunks(n_rows).map(|chunk| {
            let chunk = chunk?;
            starts.push(Start::of(&chunk));
            Ok(chunk.batch)
        });
        let spilled = budget.spill.write(&mut chunks)?;
        drop(chunks);
        Ok(Self { starts, chunks: Chunks::Spilled(spilled) })
    }

    pub(super) fn starts(&self) -> &[Start] {
        &self.starts
    }

    fn read(&self, index: usize, order: &mut KeyOrder) -> Result<Chunk> {
        match &self.chunks {
            Chunks::Kept(chunks) => {
                chunks.get(index).cloned().ok_or_else(|| Error::internal(format!("a run has no chunk {index}")))
            }
            Chunks::Spilled(parts) => {
                let batch = parts.read(index)?;
                Ok(Chunk { ranks: order.ranks(&batch)?.into(), batch })
            }
        }
    }
}

/// Where a run has been read to.
pub(super) struct Cursor {
    run: Arc<Run>,
    next: usize,
    /// The chunk at `next`, if some of it has been read.
    current: Option<Chunk>,
}

impl Cursor {
    pub(super) fn new(run: Arc<Run>) -> Self {
        Self { run, next: 0, current: None }
    }

    pub(super) fn starts(&self) -> &[Start] {
        self.run.starts()
    }

    /// The rows with a rank in `from..=last`. Ranks before `from` cannot be read any more.
    pub(super) fn take(&mut self, from: u64, last: u64, order: &mut KeyOrder) -> Result<Vec<RecordBatch>> {
        let mut taken = Vec::new();
        while self.run.starts.get(self.next + 1).is_some_and(|start| start.rank < from) {
            self.next += 1;
            self.current = None;
        }
        while self.run.starts.get(self.next).is_some_and(|start| start.rank <= last) {
            let chunk = match self.current.take() {
                Some(chunk) => chunk,
                None => self.run.read(self.next, order)?,
            };
            taken.extend(chunk.between(from, last));
            if chunk.ranks.last().is_some_and(|rank| last < *rank) {
                self.current = Some(chunk);
                break;
            }
            self.next += 1;
        }
        Ok(taken)
    }
}
