//! Stage 2: partial sessions to sessions.
//!
//! Partial sessions wait in the order in which they come. Whenever they have become twice as many, those of one session are merged into
//! one, so a session that never ends does not grow by its partials. What is beyond the budget goes to the disk (see [`spilled`]).
//!
//! A partial may begin before the watermark that holds when it comes (its split was idle). Sessions of its key that are over by then are
//! sealed first: they wait to be given out, and nothing joins them any more. The watermark is the one that is recorded in the log before
//! the partial, so a replay seals the same.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat, concat_batches, take_record_batch};
use arrow::datatypes::Int64Type;

use super::number_keys;
use super::runs::{Run, SessionLimits, within_boundaries};
use crate::error::Result;
use crate::operator::merge::Window;
use crate::operator::order::KeyOrder;
use crate::operator::partial::WindowedAggregate;
use crate::operator::run::{Run as SpilledRun, rows_per_chunk};
use crate::operator::spill::Budget;
use crate::operator::window::spec::floor;
use shape::{Joined, Shape};
use spilled::SpilledRuns;

pub(in crate::operator) use spilled::SpilledSessions;

mod early;
mod shape;
mod spilled;

/// Fewer partial sessions than this are not worth merging before they close.
const MERGED_FROM: usize = 8;
/// How often in the time of a gap spilled sessions are closed: all of them are read and written each time.
const CLOSED_PER_GAP: i64 = 8;

/// What `__sealed` says of a row.
const OPEN: i64 = 0;
/// The row is a session that nothing joins any more.
const SEALED: i64 = 1;
/// The same, of a part of a session that is followed by another part.
const SEALED_AND_CUT: i64 = 2;

pub struct SessionMerge {
    aggregate: Arc<WindowedAggregate>,
    shape: Arc<Shape>,
    budget: Budget,
    order: KeyOrder,
    /// Partial sessions of no closed session, and sealed sessions, in no order.
    open: Vec<RecordBatch>,
    n_open: usize,
    /// How many there were when they were last merged.
    n_merged: usize,
    edges: Edges,
    /// The same, beyond the budget.
    on_disk: SpilledRuns,
}

/// Bounds of what partial sessions make. The sessions may lie within.
#[derive(Clone, Copy, Debug)]
struct Edges {
    /// The earliest time at which something may close.
    next_close: i64,
    /// The first row that a replay needs.
    needed_from: Option<i64>,
}

impl Default for Edges {
    fn default() -> Self {
        Self { next_close: i64::MAX, needed_from: None }
    }
}

impl Edges {
    fn of<'a>(runs: impl IntoIterator<Item = &'a Run>, limits: SessionLimits) -> Self {
        let edge = |run: &Run| Self { next_close: run.end(limits), needed_from: Some(run.needed_from(limits)) };
        runs.into_iter().map(edge).fold(Self::default(), Self::with)
    }

    fn with(self, other: Self) -> Self {
        Self {
            next_close: self.next_close.min(other.next_close),
            needed_from: self.needed_from.into_iter().chain(other.needed_from).min(),
        }
    }
}

/// Closed sessions: window bounds beside `keys…, values…`.
pub struct ClosedSessions {
    pub starts: Vec<i64>,
    pub ends: Vec<i64>,
    /// Which were cut, so that another part follows.
    pub are_cut: Vec<bool>,
    /// `keys…, values…`.
    pub columns: Vec<ArrayRef>,
}

/// Sessions that are given out.
pub(in crate::operator) enum Sessions {
    InMemory(ClosedSessions),
    Spilled(SpilledSessions),
}

impl SessionMerge {
    pub fn new(aggregate: Arc<WindowedAggregate>, limits: SessionLimits, budget: Budget) -> Result<Self> {
        let shape = Arc::new(Shape::new(&aggregate.layout, limits)?);
        Ok(Self::with_shape(aggregate, shape, budget))
    }

    fn with_shape(aggregate: Arc<WindowedAggregate>, shape: Arc<Shape>, budget: Budget) -> Self {
        Self {
            order: KeyOrder::of_sessions(&aggregate),
            aggregate,
            shape,
            budget,
            open: Vec::new(),
            n_open: 0,
            n_merged: 0,
            edges: Edges::default(),
            on_disk: SpilledRuns::default(),
        }
    }

    /// The same without sessions.
    fn fresh(&self) -> Self {
        Self::with_shape(Arc::clone(&self.aggregate), Arc::clone(&self.shape), self.budget.clone())
    }

    /// What is in memory.
    pub fn size(&self) -> usize {
        self.open_size() + self.on_disk.memory_size()
    }

    fn open_size(&self) -> usize {
        self.open.iter().map(RecordBatch::get_array_memory_size).sum()
    }

    pub(in crate::operator) fn is_spilled(&self) -> bool {
        !self.on_disk.is_empty()
    }

    /// How far sessions close when the watermark is here. Spilled ones wait, so that what reads and writes all of them does so a few
    /// times while a session is open.
    pub(in crate::operator) fn goal(&self, watermark: i64) -> i64 {
        if !self.is_spilled() || watermark == i64::MAX {
            return watermark;
        }
        floor(watermark, (self.shape.limits.gap / CLOSED_PER_GAP).max(1))
    }

    /// Takes partial sessions in, none of which ends before `watermark`.
    pub fn merge(&mut self, batch: &RecordBatch, watermark: i64) -> Result<()> {
        self.recall(batch, watermark)?;
        self.seal(batch, watermark)?;
        let limits = self.shape.limits;
        let (firsts, lasts) =
            (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_primitive::<Int64Type>());
        self.edges = self.edges.with(Edges {
            next_close: lasts.values().iter().map(|last| last.saturating_add(limits.gap)).min().unwrap_or(i64::MAX),
            needed_from: firsts.values().iter().min().copied(),
        });
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::clone(batch.column(0)));
        columns.push(Arc::new(Int64Array::from_value(OPEN, batch.num_rows())));
        self.push(RecordBatch::try_new(Arc::clone(&self.shape.schema), columns)?);
        if 2 * self.n_merged.max(MERGED_FROM) <= self.n_open {
            let joined = self.take_open()?;
            self.keep(&joined, &joined.sorted.runs)?;
        }
        self.spill()
    }

    fn push(&mut self, batch: RecordBatch) {
        self.n_open += batch.num_rows();
        self.open.push(batch);
    }

    /// Seals the sessions that are over at `watermark`, of the keys of partials that begin before it. They are all in memory.
    fn seal(&mut self, batch: &RecordBatch, watermark: i64) -> Result<()> {
        let firsts = batch.column(0).as_primitive::<Int64Type>().values();
        if self.open.is_empty() || firsts.iter().all(|first| watermark <= *first) {
            return Ok(());
        }
        let limits = self.shape.limits;
        let joined = self.take_open()?;
        let keys = self.number_together(&joined.batch, batch)?;
        let (of_open, of_batch) = keys.split_at(joined.batch.num_rows());
        let begin_before = of_batch.iter().zip(firsts).filter(|(_, first)| **first < watermark);
        let touched: HashSet<usize> = begin_before.map(|(key, _)| *key).collect();
        let is_over = |run: &&Run| {
            let row = joined.sorted.order[run.from] as usize;
            run.end(limits) <= watermark && joined.sealed(run) == OPEN && touched.contains(&of_open[row])
        };
        let (over, open): (Vec<Run>, Vec<Run>) = joined.sorted.runs.iter().partition(is_over);
        self.keep(&joined, &open)?;
        if over.is_empty() {
            return Ok(());
        }
        let sealed = over.iter().map(|run| if run.is_cut { SEALED_AND_CUT } else { SEALED });
        let rows = self.shape.merged_rows(&joined, &over, sealed.collect())?;
        self.push(rows);
        self.edges = self.edges.with(Edges::of(&over, limits));
        Ok(())
    }

    /// Brings back from the disk what may be sealed.
    fn recall(&mut self, batch: &RecordBatch, watermark: i64) -> Result<()> {
        if !self.is_spilled() {
            return Ok(());
        }
        let firsts = batch.column(0).as_primitive::<Int64Type>().values().iter();
        let begin_before = firsts.enumerate().filter(|(_, first)| **first < watermark);
        let begin_before: UInt32Array = begin_before.map(|(row, _)| row as u32).collect();
        if begin_before.is_empty() {
            return Ok(());
        }
        let ranks: BTreeSet<u64> = self.order.ranks(&take_record_batch(batch, &begin_before)?)?.into_iter().collect();
        for rows in self.on_disk.recall(&ranks, &mut self.order)? {
            self.push(rows);
        }
        self.edges = self.edges.with(self.on_disk.edges);
        Ok(())
    }

    /// Numbers the keys of open partials and of a batch that comes, alike.
    fn number_together(&self, open: &RecordBatch, batch: &RecordBatch) -> Result<Vec<usize>> {
        let keys = &self.shape.layout.keys;
        let of_keys = 2..2 + keys.len();
        let columns: Result<Vec<ArrayRef>, _> = open.columns()[of_keys.clone()]
            .iter()
            .zip(&batch.columns()[of_keys])
            .map(|(one, other)| concat(&[one.as_ref(), other.as_ref()]))
            .collect();
        number_keys(keys, &columns?, open.num_rows() + batch.num_rows())
    }

    /// The first row that a replay needs; nothing before it is needed any more.
    pub fn needed_from(&self) -> Option<i64> {
        self.edges.with(self.on_disk.edges).needed_from
    }

    /// The sessions whose window ends in `(after, through]`; earlier ones have been given out and are dropped (they come back
    /// when a replay begins in their middle).
    pub(in crate::operator) fn close_through(&mut self, after: i64, through: i64) -> Result<Option<Sessions>> {
        if through < self.edges.with(self.on_disk.edges).next_close {
            return Ok(None);
        }
        if self.is_spilled() {
            return self.close_spilled(after, through).map(|sessions| Some(Sessions::Spilled(sessions)));
        }
        let limits = self.shape.limits;
        let joined = self.take_open()?;
        let (mut closed, open): (Vec<Run>, Vec<Run>) =
            joined.sorted.runs.iter().partition(|run| run.end(limits) <= through);
        closed.retain(|run| after < run.end(limits));
        self.keep(&joined, &open)?;
        Ok(self.shape.closed(&joined, closed)?.map(Sessions::InMemory))
    }

    /// The sessions with these windows, whichever their keys, of those that end after `after`.
    pub(in crate::operator) fn peek(&mut self, after: i64, windows: &BTreeSet<Window>) -> Result<Option<Sessions>> {
        if self.is_spilled() {
            return self.open_spilled(windows.clone()).map(|sessions| Some(Sessions::Spilled(sessions)));
        }
        let open = self.shape.open(self.shape.join(&self.open)?, after);
        Ok(open.rows(windows)?.map(Sessions::InMemory))
    }

    /// The windows of the sessions that partial sessions (`__first, __last, keys…`) have become part of, of those that end after `after`.
    pub(in crate::operator) fn windows_of(&mut self, after: i64, partials: &[RecordBatch]) -> Result<BTreeSet<Window>> {
        if self.is_spilled() {
            return self.windows_of_spilled(after, partials);
        }
        self.shape.open(self.shape.join(&self.open)?, after).windows_of(partials)
    }

    /// Nothing is open then, in memory.
    fn take_open(&mut self) -> Result<Joined> {
        self.n_open = 0;
        self.edges = Edges::default();
        self.shape.join(&std::mem::take(&mut self.open))
    }

    /// Keeps these runs open; merges the partials of each when there are many.
    fn keep(&mut self, joined: &Joined, runs: &[Run]) -> Result<()> {
        let n_rows: usize = runs.iter().map(Run::len).sum();
        if n_rows == 0 {
            self.n_merged = 0;
            return Ok(());
        }
        if 2 * self.n_merged.max(MERGED_FROM) <= n_rows {
            return self.keep_merged(joined, runs);
        }
        self.edges = self.edges.with(Edges::of(runs, self.shape.limits));
        let rows = self.shape.rows(joined, runs)?;
        self.push(rows);
        Ok(())
    }

    /// Keeps these runs open too, as one row for each of their parts.
    fn keep_merged(&mut self, joined: &Joined, runs: &[Run]) -> Result<()> {
        if runs.is_empty() {
            return Ok(());
        }
        let limits = self.shape.limits;
        let parts = within_boundaries(&joined.sorted.order, &joined.spans, runs, limits);
        let sealed = parts.iter().map(|part| joined.sealed(part)).collect();
        let rows = self.shape.merged_rows(joined, &parts, sealed)?;
        self.push(rows);
        self.n_merged = self.n_open;
        self.edges = self.edges.with(Edges::of(runs, limits));
        Ok(())
    }

    /// Spills what is in memory where it is more than the budget has, and more than half of that when merged. Without keys there is little.
    fn spill(&mut self) -> Result<()> {
        let limit = self.budget.state_bytes;
        if self.open_size() <= limit || self.shape.layout.keys.is_empty() {
            return Ok(());
        }
        let joined = self.take_open()?;
        self.keep_merged(&joined, &joined.sorted.runs)?;
        if self.open_size() <= limit / 2 {
            return Ok(());
        }
        let batch = concat_batches(&self.shape.schema, &std::mem::take(&mut self.open))?;
        let n_rows = rows_per_chunk(&self.budget, &batch);
        let run = SpilledRun::spilled(&self.order.sort(batch)?, n_rows, &self.budget)?;
        self.on_disk.add(run, std::mem::take(&mut self.edges));
        (self.n_open, self.n_merged) = (0, 0);
        Ok(())
    }
}
