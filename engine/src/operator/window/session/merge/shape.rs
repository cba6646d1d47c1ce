//! Partial sessions joined to runs, and runs to rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_arrays};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};

use super::super::super::pane::{GroupLayout, GroupStates};
use super::super::runs::{Boundaries, Run, SessionLimits, Sorted, Span, join_spans};
use super::super::{keyless, number_keys, partial_schema};
use super::{ClosedSessions, OPEN, SEALED_AND_CUT};
use crate::error::Result;

/// What all sessions of a query have in common.
pub(super) struct Shape {
    pub(super) layout: Arc<GroupLayout>,
    keyless: Arc<GroupLayout>,
    pub(super) limits: SessionLimits,
    /// `__first, __last, keys…, states…, __rows, __since, __sealed`.
    pub(super) schema: SchemaRef,
}

/// Partial sessions, joined to runs.
pub(super) struct Joined {
    pub(super) batch: RecordBatch,
    pub(super) spans: Vec<Span>,
    pub(super) sorted: Sorted,
}

impl Joined {
    /// What `__sealed` says of a run; all its rows say the same.
    pub(super) fn sealed(&self, run: &Run) -> i64 {
        let column = self.batch.column(self.batch.num_columns() - 1);
        column.as_primitive::<Int64Type>().value(self.sorted.order[run.from] as usize)
    }

    /// The rows of runs, run by run.
    fn members(&self, runs: &[Run]) -> UInt32Array {
        runs.iter().flat_map(|run| self.sorted.order[run.from..run.to].iter().copied()).collect()
    }
}

impl Shape {
    pub(super) fn new(layout: &Arc<GroupLayout>, limits: SessionLimits) -> Result<Self> {
        let mut fields: Vec<_> = partial_schema(layout).fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new("__since", DataType::Int64, false)));
        fields.push(Arc::new(Field::new("__sealed", DataType::Int64, false)));
        let (layout, keyless) = (Arc::clone(layout), keyless(layout)?);
        Ok(Self { layout, keyless, limits, schema: Arc::new(Schema::new(fields)) })
    }

    pub(super) fn join(&self, batches: &[RecordBatch]) -> Result<Joined> {
        let batch = concat_batches(&self.schema, batches)?;
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

    /// All rows of runs, in [`Self::schema`].
    pub(super) fn rows(&self, joined: &Joined, runs: &[Run]) -> Result<RecordBatch> {
        let partials = &joined.batch.columns()[..joined.batch.num_columns() - 2];
        let mut columns = take_arrays(partials, &joined.members(runs), None)?;
        let repeated = |value: fn(&Joined, &Run) -> i64| -> Int64Array {
            runs.iter().flat_map(|run| std::iter::repeat_n(value(joined, run), run.len())).collect()
        };
        columns.push(Arc::new(repeated(|_, run| run.since)));
        columns.push(Arc::new(repeated(Joined::sealed)));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// One row for each run, in [`Self::schema`].
    pub(super) fn merged_rows(&self, joined: &Joined, runs: &[Run], sealed: Int64Array) -> Result<RecordBatch> {
        let times = |time: fn(&Run) -> i64| -> ArrayRef { Arc::new(runs.iter().map(time).collect::<Int64Array>()) };
        let mut columns = vec![times(|run| run.first), times(|run| run.last)];
        columns.extend(self.keys(joined, runs)?);
        columns.extend(self.merged(joined, runs)?.emit_states()?);
        columns.push(times(|run| run.since));
        columns.push(Arc::new(sealed));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// Sessions as they are given out, by their ends; `None` where there are none.
    pub(super) fn closed(&self, joined: &Joined, mut runs: Vec<Run>) -> Result<Option<ClosedSessions>> {
        if runs.is_empty() {
            return Ok(None);
        }
        runs.sort_by_key(|run| (run.end(self.limits), run.first));
        let mut columns = self.keys(joined, &runs)?;
        columns.extend(self.merged(joined, &runs)?.emit_values()?);
        Ok(Some(ClosedSessions {
            starts: runs.iter().map(|run| run.first).collect(),
            ends: runs.iter().map(|run| run.end(self.limits)).collect(),
            are_cut: runs.iter().map(|run| run.is_cut || joined.sealed(run) == SEALED_AND_CUT).collect(),
            columns,
        }))
    }

    /// The states of runs, merged.
    fn merged(&self, joined: &Joined, runs: &[Run]) -> Result<GroupStates> {
        let batch = &joined.batch;
        let states = &batch.columns()[2 + self.layout.keys.len()..batch.num_columns() - 2];
        let states = take_arrays(states, &joined.members(runs), None)?;
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
