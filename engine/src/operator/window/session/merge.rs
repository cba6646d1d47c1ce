//! Stage 2: partial sessions to sessions.
//!
//! Partial sessions wait in the order in which they come. Whenever they have become twice as many, those of one session are merged into
//! one, so a session that never ends does not grow by its partials.
//!
//! A partial may begin before the watermark that holds when it comes (its split was idle). Sessions of its key that are over by then are
//! sealed first: they wait to be given out, and nothing joins them any more. The watermark is the one that is recorded in the log before
//! the partial, so a replay seals the same.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat, concat_batches, take_arrays};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};

use super::super::pane::{GroupLayout, GroupStates};
use super::runs::{Boundaries, Run, SessionLimits, Sorted, Span, join_spans, within_boundaries};
use super::{keyless, number_keys, partial_schema};
use crate::error::Result;

mod early;

/// Fewer partial sessions than this are not worth merging before they close.
const MERGED_FROM: usize = 8;

/// What `__sealed` says of a row.
const OPEN: i64 = 0;
/// The row is a session that nothing joins any more.
const SEALED: i64 = 1;
/// The same, of a part of a session that is followed by another part.
const SEALED_AND_CUT: i64 = 2;

pub struct SessionMerge {
    layout: Arc<GroupLayout>,
    keyless: Arc<GroupLayout>,
    limits: SessionLimits,
    /// `__first, __last, keys…, states…, __rows, __since, __sealed`.
    schema: SchemaRef,
    /// Partial sessions of no closed session, and sealed sessions, in no order.
    open: Vec<RecordBatch>,
    n_open: usize,
    /// How many there were when they were last merged.
    n_merged: usize,
    /// The earliest time at which something may close.
    next_close: i64,
    /// The first row that a replay needs.
    needed_from: Option<i64>,
}

/// All that was open, joined to runs.
struct Joined {
    batch: RecordBatch,
    spans: Vec<Span>,
    sorted: Sorted,
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

impl SessionMerge {
    /// `layout` has the query's keys.
    pub fn new(layout: Arc<GroupLayout>, limits: SessionLimits) -> Result<Self> {
        let keyless = keyless(&layout)?;
        let mut fields: Vec<_> = partial_schema(&layout).fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new("__since", DataType::Int64, false)));
        fields.push(Arc::new(Field::new("__sealed", DataType::Int64, false)));
        Ok(Self {
            layout,
            keyless,
            limits,
            schema: Arc::new(Schema::new(fields)),
            open: Vec::new(),
            n_open: 0,
            n_merged: 0,
            next_close: i64::MAX,
            needed_from: None,
        })
    }

    pub fn size(&self) -> usize {
        self.open.iter().map(RecordBatch::get_array_memory_size).sum()
    }

    /// Takes partial sessions in, none of which ends before `watermark`.
    pub fn merge(&mut self, batch: &RecordBatch, watermark: i64) -> Result<()> {
        self.seal(batch, watermark)?;
        let ends = batch.column(1).as_primitive::<Int64Type>().values().iter();
        let earliest = ends.map(|last| last.saturating_add(self.limits.gap)).min().unwrap_or(i64::MAX);
        self.next_close = self.next_close.min(earliest);
        let first = batch.column(0).as_primitive::<Int64Type>().values().iter().min().copied();
        self.needed_from = self.needed_from.into_iter().chain(first).min();
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::clone(batch.column(0)));
        columns.push(Arc::new(Int64Array::from_value(OPEN, batch.num_rows())));
        self.open.push(RecordBatch::try_new(Arc::clone(&self.schema), columns)?);
        self.n_open += batch.num_rows();
        if 2 * self.n_merged.max(MERGED_FROM) <= self.n_open {
            let joined = self.take_open()?;
            self.keep(&joined, &joined.sorted.runs)?;
        }
        Ok(())
    }

    /// Seals the sessions that are over at `watermark`, of the keys of partials that begin before it.
    fn seal(&mut self, batch: &RecordBatch, watermark: i64) -> Result<()> {
        let firsts = batch.column(0).as_primitive::<Int64Type>().values();
        if self.open.is_empty() || firsts.iter().all(|first| watermark <= *first) {
            return Ok(());
        }
        let limits = self.limits;
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
        let sealed: Int64Array = sealed.collect();
        let columns = self.merged_columns(&joined, &over, sealed)?;
        self.open.push(RecordBatch::try_new(Arc::clone(&self.schema), columns)?);
        self.n_open += over.len();
        self.next_close = over.iter().map(|run| run.end(limits)).fold(self.next_close, i64::min);
        self.needed_from = over.iter().map(|run| run.needed_from(limits)).chain(self.needed_from).min();
        Ok(())
    }

    /// Numbers the keys of open partials and of a batch that comes, alike.
    fn number_together(&self, open: &RecordBatch, batch: &RecordBatch) -> Result<Vec<usize>> {
        let of_keys = 2..2 + self.layout.keys.len();
        let columns: Result<Vec<ArrayRef>, _> = open.columns()[of_keys.clone()]
            .iter()
            .zip(&batch.columns()[of_keys])
            .map(|(one, other)| concat(&[one.as_ref(), other.as_ref()]))
            .collect();
        number_keys(&self.layout.keys, &columns?, open.num_rows() + batch.num_rows())
    }

    /// The first row that a replay needs; nothing before it is needed any more.
    pub fn needed_from(&self) -> Option<i64> {
        self.needed_from
    }

    /// The sessions whose window ends in `(after, through]`; earlier ones have been given out and are dropped (they come back
    /// when a replay begins in their middle).
    pub fn close_through(&mut self, after: i64, through: i64) -> Result<Option<ClosedSessions>> {
        if through < self.next_close || self.open.is_empty() {
            return Ok(None);
        }
        let limits = self.limits;
        let joined = self.take_open()?;
        let (mut closed, open): (Vec<Run>, Vec<Run>) =
            joined.sorted.runs.iter().partition(|run| run.end(limits) <= through);
        closed.retain(|run| after < run.end(limits));
        closed.sort_by_key(|run| (run.end(limits), run.first));
        self.keep(&joined, &open)?;
        if closed.is_empty() {
            return Ok(None);
        }
        self.rows_of(&joined, &closed).map(Some)
    }

    fn rows_of(&self, joined: &Joined, runs: &[Run]) -> Result<ClosedSessions> {
        let mut columns = self.keys(joined, runs)?;
        columns.extend(self.merged(joined, runs)?.emit_values()?);
        Ok(ClosedSessions {
            starts: runs.iter().map(|run| run.first).collect(),
            ends: runs.iter().map(|run| run.end(self.limits)).collect(),
            are_cut: runs.iter().map(|run| run.is_cut || joined.sealed(run) == SEALED_AND_CUT).collect(),
            columns,
        })
    }

    fn take_open(&mut self) -> Result<Joined> {
        let joined = self.join_open();
        self.open.clear();
        joined
    }

    fn join_open(&self) -> Result<Joined> {
        let batch = concat_batches(&self.schema, &self.open)?;
        let n_keys = self.layout.keys.len();
        let n_rows = batch.num_rows();
        let keys = number_keys(&self.layout.keys, &batch.columns()[2..2 + n_keys], n_rows)?;
        let times = |column: usize| batch.column(column).as_primitive::<Int64Type>().values();
        let (first, last, since) = (times(0), times(1), times(batch.num_columns() - 2));
        let sealed = times(batch.num_columns() - 1);
        // Under a key of its own, a sealed session joins nothing.
        let own_key = |row: usize, key: usize| if sealed[row] == OPEN { key } else { n_rows + row };
        let span = |(row, key)| Span { key: own_key(row, key), first: first[row], last: last[row], since: since[row] };
        let spans: Vec<Span> = keys.into_iter().enumerate().map(span).collect();
        let sorted = join_spans(&spans, self.limits, Boundaries::OfLongSessions);
        Ok(Joined { batch, spans, sorted })
    }

    /// Keeps these runs open; merges the partials of each when there are many.
    fn keep(&mut self, joined: &Joined, runs: &[Run]) -> Result<()> {
        let limits = self.limits;
        self.next_close = runs.iter().map(|run| run.end(limits)).min().unwrap_or(i64::MAX);
        self.needed_from = runs.iter().map(|run| run.needed_from(limits)).min();
        self.n_open = runs.iter().map(Run::len).sum();
        if self.n_open == 0 {
            self.n_merged = 0;
            return Ok(());
        }
        let columns = if 2 * self.n_merged.max(MERGED_FROM) <= self.n_open {
            let parts = within_boundaries(&joined.sorted.order, &joined.spans, runs, limits);
            (self.n_open, self.n_merged) = (parts.len(), parts.len());
            let sealed = parts.iter().map(|part| joined.sealed(part)).collect();
            self.merged_columns(joined, &parts, sealed)?
        } else {
            let partials = &joined.batch.columns()[..joined.batch.num_columns() - 2];
            let mut columns = take_arrays(partials, &members(joined, runs), None)?;
            let repeated = |value: fn(&Joined, &Run) -> i64| -> Int64Array {
                runs.iter().flat_map(|run| std::iter::repeat_n(value(joined, run), run.len())).collect()
            };
            columns.push(Arc::new(repeated(|_, run| run.since)));
            columns.push(Arc::new(repeated(Joined::sealed)));
            columns
        };
        self.open.push(RecordBatch::try_new(Arc::clone(&self.schema), columns)?);
        Ok(())
    }

    /// One row for each run, in the schema of what is open.
    fn merged_columns(&self, joined: &Joined, runs: &[Run], sealed: Int64Array) -> Result<Vec<ArrayRef>> {
        let times = |time: fn(&Run) -> i64| -> ArrayRef { Arc::new(runs.iter().map(time).collect::<Int64Array>()) };
        let mut columns = vec![times(|run| run.first), times(|run| run.last)];
        columns.extend(self.keys(joined, runs)?);
        columns.extend(self.merged(joined, runs)?.emit_states()?);
        columns.push(times(|run| run.since));
        columns.push(Arc::new(sealed));
        Ok(columns)
    }

    /// The states of runs, merged.
    fn merged(&self, joined: &Joined, runs: &[Run]) -> Result<GroupStates> {
        let batch = &joined.batch;
        let states = &batch.columns()[2 + self.layout.keys.len()..batch.num_columns() - 2];
        let states = take_arrays(states, &members(joined, runs), None)?;
        let numbered = runs.iter().enumerate();
        let run_of_member: Vec<usize> =
            numbered.flat_map(|(number, run)| std::iter::repeat_n(number, run.len())).collect();
        let mut merged = GroupStates::new(Arc::clone(&self.keyless))?;
        merged.merge_numbered(&run_of_member, runs.len(), &states)?;
        Ok(merged)
    }

    /// The keys of runs.
    fn keys(&self, joined: &Joined, runs: &[Run]) -> Result<Vec<ArrayRef>> {
        let firsts: UInt32Array = runs.iter().map(|run| joined.sorted.order[run.from]).collect();
        let keys = &joined.batch.columns()[2..2 + self.layout.keys.len()];
        Ok(take_arrays(keys, &firsts, None)?)
    }
}

impl Joined {
    /// What `__sealed` says of a run; all its rows say the same.
    fn sealed(&self, run: &Run) -> i64 {
        let column = self.batch.column(self.batch.num_columns() - 1);
        column.as_primitive::<Int64Type>().value(self.sorted.order[run.from] as usize)
    }
}

/// The rows of runs, run by run.
fn members(joined: &Joined, runs: &[Run]) -> UInt32Array {
    runs.iter().flat_map(|run| joined.sorted.order[run.from..run.to].iter().copied()).collect()
}
