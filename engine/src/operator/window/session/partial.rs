//! Stage 1: rows to partial sessions, cut at every boundary.

use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::{Fields, SchemaRef};
use std::sync::Arc;

use super::super::pane::{GroupLayout, GroupStates};
use super::runs::{Boundaries, SessionLimits, Span, join_spans};
use super::{event_times, keyless, number_keys, partial_schema};
use crate::error::Result;

/// Keeps rows until the flush.
pub struct SessionPartial {
    keys: Fields,
    limits: SessionLimits,
    states: GroupStates,
    schema: SchemaRef,
    buffered: Vec<RecordBatch>,
    buffered_bytes: usize,
}

impl SessionPartial {
    /// `layout` has the query's keys; input batches have them as their first columns.
    pub fn new(layout: &GroupLayout, limits: SessionLimits) -> Result<Self> {
        Ok(Self {
            keys: layout.keys.clone(),
            limits,
            states: GroupStates::new(keyless(layout)?)?,
            schema: partial_schema(layout),
            buffered: Vec::new(),
            buffered_bytes: 0,
        })
    }

    /// Keeps rows until the flush: sessions are cut once, over all of them.
    pub fn process(&mut self, batch: RecordBatch) {
        self.buffered_bytes += batch.get_array_memory_size();
        self.buffered.push(batch);
    }

    pub fn size(&self) -> usize {
        self.buffered_bytes
    }

    /// Cuts the kept rows into partial sessions.
    pub fn flush(&mut self, time_column: &str) -> Result<Option<RecordBatch>> {
        let Some(schema) = self.buffered.first().map(RecordBatch::schema) else { return Ok(None) };
        let batch = concat_batches(&schema, &std::mem::take(&mut self.buffered))?;
        self.buffered_bytes = 0;
        let times = event_times(&batch, time_column)?;
        let keys = number_keys(&self.keys, &batch.columns()[..self.keys.len()], batch.num_rows())?;
        let row = |(time, key): (&i64, &usize)| Span { key: *key, first: *time, last: *time, since: *time };
        let spans: Vec<Span> = times.iter().zip(&keys).map(row).collect();
        let sorted = join_spans(&spans, self.limits, Boundaries::All);
        let mut session_of_row = vec![0; batch.num_rows()];
        for (session, run) in sorted.runs.iter().enumerate() {
            for &row in &sorted.order[run.from..run.to] {
                session_of_row[row as usize] = session;
            }
        }
        self.states.update_numbered(&session_of_row, sorted.runs.len(), &batch)?;
        let firsts: UInt32Array = sorted.runs.iter().map(|run| sorted.order[run.from]).collect();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(sorted.runs.iter().map(|run| run.first).collect::<Int64Array>()),
            Arc::new(sorted.runs.iter().map(|run| run.last).collect::<Int64Array>()),
        ];
        for key in &batch.columns()[..self.keys.len()] {
            columns.push(take(key, &firsts, None)?);
        }
        columns.extend(self.states.emit_states()?);
        Ok(Some(RecordBatch::try_new(Arc::clone(&self.schema), columns)?))
    }
}
