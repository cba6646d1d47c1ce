//! Stage 2: partial sessions to sessions.
//!
//! Partial sessions wait in the order in which they come. Whenever they have become twice as many, those of one session are merged into
//! one, so a session that never ends does not grow by its partials.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_arrays};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};

use super::super::pane::{GroupLayout, GroupStates};
use super::runs::{Boundaries, Run, SessionLimits, Sorted, Span, join_spans, within_boundaries};
use super::{keyless, number_keys, partial_schema};
use crate::error::Result;

mod early;

/// Fewer partial sessions than this are not worth merging before they close.
const MERGED_FROM: usize = 8;

pub struct SessionMerge {
    layout: Arc<GroupLayout>,
    keyless: Arc<GroupLayout>,
    limits: SessionLimits,
    /// `__first, __last, keys…, states…, __rows, __since`.
    schema: SchemaRef,
    /// Partial sessions of no closed session, in no order.
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

    /// Takes partial sessions in.
    pub fn merge(&mut self, batch: &RecordBatch) -> Result<()> {
        let ends = batch.column(1).as_primitive::<Int64Type>().values().iter();
        let earliest = ends.map(|last| last.saturating_add(self.limits.gap)).min().unwrap_or(i64::MAX);
        self.next_close = self.next_close.min(earliest);
        let first = batch.column(0).as_primitive::<Int64Type>().values().iter().min().copied();
        self.needed_from = self.needed_from.into_iter().chain(first).min();
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::clone(batch.column(0)));
        self.open.push(RecordBatch::try_new(Arc::clone(&self.schema), columns)?);
        self.n_open += batch.num_rows();
        if 2 * self.n_merged.max(MERGED_FROM) <= self.n_open {
            let joined = self.take_open()?;
            self.keep(&joined, &joined.sorted.runs)?;
        }
        Ok(())
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
            are_cut: runs.iter().map(|run| run.is_cut).collect(),
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
        let keys = number_keys(&self.layout.keys, &batch.columns()[2..2 + n_keys], batch.num_rows())?;
        let times = |column: usize| batch.column(column).as_primitive::<Int64Type>().values();
        let (first, last, since) = (times(0), times(1), times(batch.num_columns() - 1));
        let span = |(row, key)| Span { key, first: first[row], last: last[row], since: since[row] };
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
        let mut columns: Vec<ArrayRef>;
        let since: Int64Array;
        if 2 * self.n_merged.max(MERGED_FROM) <= self.n_open {
            let parts = within_boundaries(&joined.sorted.order, &joined.spans, runs, limits);
            columns = vec![
                Arc::new(parts.iter().map(|run| run.first).collect::<Int64Array>()),
                Arc::new(parts.iter().map(|run| run.last).collect::<Int64Array>()),
            ];
            columns.extend(self.keys(joined, &parts)?);
            columns.extend(self.merged(joined, &parts)?.emit_states()?);
            since = parts.iter().map(|run| run.since).collect();
            (self.n_open, self.n_merged) = (parts.len(), parts.len());
        } else {
            let partials = &joined.batch.columns()[..joined.batch.num_columns() - 1];
            columns = take_arrays(partials, &members(joined, runs), None)?;
            since = runs.iter().flat_map(|run| std::iter::repeat_n(run.since, run.len())).collect();
        }
        columns.push(Arc::new(since));
        self.open.push(RecordBatch::try_new(Arc::clone(&self.schema), columns)?);
        Ok(())
    }

    /// The states of runs, merged.
    fn merged(&self, joined: &Joined, runs: &[Run]) -> Result<GroupStates> {
        let batch = &joined.batch;
        let states = &batch.columns()[2 + self.layout.keys.len()..batch.num_columns() - 1];
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

/// The rows of runs, run by run.
fn members(joined: &Joined, runs: &[Run]) -> UInt32Array {
    runs.iter().flat_map(|run| joined.sorted.order[run.from..run.to].iter().copied()).collect()
}
