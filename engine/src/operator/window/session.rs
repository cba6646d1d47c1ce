//! Session windows: rows of a key that are less than the gap apart.
//!
//! Stage 1 cuts the rows of one flush into partial sessions `(first, last)` per key; stage 2 joins partial sessions that touch
//! and closes a session when the watermark has passed its last row by the gap. A session's window is `[first, last + gap)`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat_batches, take, take_record_batch};
use arrow::datatypes::{DataType, Field, Fields, Int64Type, Schema, SchemaRef};

use super::pane::{GroupLayout, GroupStates};
use crate::error::{Error, Result};

/// First row's time of a partial session.
pub const FIRST: &str = "__first";
/// Last row's time of a partial session.
pub const LAST: &str = "__last";

/// A run of sorted items that make one session.
struct Run {
    /// Positions in the sorted order, half open.
    from: usize,
    to: usize,
    first: i64,
    last: i64,
}

/// Items of keys with a time span each, sorted by (key, first).
struct Sorted {
    order: Vec<u32>,
    runs: Vec<Run>,
}

/// Joins spans of the same key that are less than `gap` apart.
fn join_spans(groups: &[usize], first: &[i64], last: &[i64], gap: i64) -> Sorted {
    let mut order: Vec<u32> = (0..groups.len() as u32).collect();
    order.sort_unstable_by_key(|&index| (groups[index as usize], first[index as usize]));
    let mut runs: Vec<Run> = Vec::new();
    let mut group = usize::MAX;
    for (position, &index) in order.iter().enumerate() {
        let index = index as usize;
        match runs.last_mut() {
            Some(run) if group == groups[index] && first[index] < run.last.saturating_add(gap) => {
                run.last = run.last.max(last[index]);
                run.to = position + 1;
            }
            _ => runs.push(Run { from: position, to: position + 1, first: first[index], last: last[index] }),
        }
        group = groups[index];
    }
    Sorted { order, runs }
}

/// Numbers each row's key; all zero where there are no keys.
fn number_keys(keys: &Fields, columns: &[ArrayRef], n_rows: usize) -> Result<Vec<usize>> {
    if keys.is_empty() {
        return Ok(vec![0; n_rows]);
    }
    let layout = GroupLayout::new(keys.clone(), Arc::new([]))?;
    GroupStates::new(Arc::new(layout))?.number(columns)
}

/// Stage 1: rows to partial sessions.
pub struct SessionPartial {
    keys: Fields,
    gap: i64,
    states: GroupStates,
    schema: SchemaRef,
    buffered: Vec<RecordBatch>,
    buffered_bytes: usize,
}

/// The schema of session partials: `__first, __last, keys…, states…, __rows`.
pub fn partial_schema(layout: &GroupLayout) -> SchemaRef {
    let mut fields =
        vec![Arc::new(Field::new(FIRST, DataType::Int64, false)), Arc::new(Field::new(LAST, DataType::Int64, false))];
    fields.extend(layout.partial_schema.fields().iter().cloned());
    Arc::new(Schema::new(fields))
}

/// The same layout without its keys: sessions number their groups themselves.
fn keyless(layout: &GroupLayout) -> Result<Arc<GroupLayout>> {
    Ok(Arc::new(GroupLayout::new(Fields::empty(), Arc::clone(&layout.calls))?))
}

impl SessionPartial {
    /// `layout` has the query's keys; input batches have them as their first columns.
    pub fn new(layout: &GroupLayout, gap: i64) -> Result<Self> {
        Ok(Self {
            keys: layout.keys.clone(),
            gap,
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
        let groups = number_keys(&self.keys, &batch.columns()[..self.keys.len()], batch.num_rows())?;
        let sorted = join_spans(&groups, &times, &times, self.gap);
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

/// The event times of a batch, in nanoseconds.
pub fn event_times(batch: &RecordBatch, column: &str) -> Result<Vec<i64>> {
    let array = batch.column_by_name(column).ok_or_else(|| Error::internal(format!("no column `{column}`")))?;
    let times = array
        .as_primitive_opt::<arrow::datatypes::TimestampNanosecondType>()
        .ok_or_else(|| Error::internal(format!("`{column}` is {}", array.data_type())))?;
    Ok(times.values().to_vec())
}

/// Stage 2: partial sessions to sessions.
pub struct SessionMerge {
    layout: Arc<GroupLayout>,
    keyless: Arc<GroupLayout>,
    gap: i64,
    schema: SchemaRef,
    /// Partial sessions of no closed session, in no order.
    open: Vec<RecordBatch>,
    /// The earliest time at which something may close.
    next_close: i64,
    /// The first row of the earliest open session.
    first_open: Option<i64>,
}

/// Closed sessions: window bounds beside `keys…, values…`.
pub struct ClosedSessions {
    pub starts: Vec<i64>,
    pub ends: Vec<i64>,
    /// `keys…, values…`.
    pub columns: Vec<ArrayRef>,
}

impl SessionMerge {
    /// `layout` has the query's keys.
    pub fn new(layout: Arc<GroupLayout>, gap: i64) -> Result<Self> {
        let keyless = keyless(&layout)?;
        let schema = partial_schema(&layout);
        Ok(Self { layout, keyless, gap, schema, open: Vec::new(), next_close: i64::MAX, first_open: None })
    }

    pub fn size(&self) -> usize {
        self.open.iter().map(RecordBatch::get_array_memory_size).sum()
    }

    /// Takes partial sessions in.
    pub fn merge(&mut self, batch: RecordBatch) {
        let ends = batch.column(1).as_primitive::<Int64Type>().values().iter();
        let earliest = ends.map(|last| last.saturating_add(self.gap)).min().unwrap_or(i64::MAX);
        self.next_close = self.next_close.min(earliest);
        let first = batch.column(0).as_primitive::<Int64Type>().values().iter().min().copied();
        self.first_open = self.first_open.into_iter().chain(first).min();
        self.open.push(batch);
    }

    /// The first row's time of the earliest session that is open; nothing before it is needed any more.
    pub fn first_open(&self) -> Option<i64> {
        self.first_open
    }

    /// The sessions whose window ends in `(after, through]`; earlier ones have been given out and are dropped (they come back
    /// when a replay begins in their middle).
    pub fn close_through(&mut self, after: i64, through: i64) -> Result<Option<ClosedSessions>> {
        if through < self.next_close || self.open.is_empty() {
            return Ok(None);
        }
        let batch = concat_batches(&self.schema, &std::mem::take(&mut self.open))?;
        let n_keys = self.layout.keys.len();
        let (keys, states) = batch.columns()[2..].split_at(n_keys);
        let groups = number_keys(&self.layout.keys, keys, batch.num_rows())?;
        let first = batch.column(0).as_primitive::<Int64Type>().values();
        let last = batch.column(1).as_primitive::<Int64Type>().values();
        let sorted = join_spans(&groups, first, last, self.gap);
        let end = |run: &Run| run.last.saturating_add(self.gap);
        let (mut closed, open): (Vec<&Run>, Vec<&Run>) = sorted.runs.iter().partition(|run| end(run) <= through);
        closed.retain(|run| after < end(run));
        closed.sort_by_key(|run| (end(run), run.first));

        self.next_close = open.iter().map(|run| end(run)).min().unwrap_or(i64::MAX);
        self.first_open = open.iter().map(|run| run.first).min();
        let kept: UInt32Array = open.iter().flat_map(|run| sorted.order[run.from..run.to].iter().copied()).collect();
        if !kept.is_empty() {
            self.open.push(take_record_batch(&batch, &kept)?);
        }
        if closed.is_empty() {
            return Ok(None);
        }
        let mut members = Vec::new();
        let mut session_of_member = Vec::new();
        for (session, run) in closed.iter().enumerate() {
            members.extend_from_slice(&sorted.order[run.from..run.to]);
            session_of_member.resize(members.len(), session);
        }
        let members = UInt32Array::from(members);
        let states = states.iter().map(|state| take(state, &members, None)).collect::<Result<Vec<_>, _>>()?;
        let mut merged = GroupStates::new(Arc::clone(&self.keyless))?;
        merged.merge_numbered(&session_of_member, closed.len(), &states)?;
        let firsts: UInt32Array = closed.iter().map(|run| sorted.order[run.from]).collect();
        let mut columns = keys.iter().map(|key| take(key, &firsts, None)).collect::<Result<Vec<_>, _>>()?;
        columns.extend(merged.emit_values()?);
        Ok(Some(ClosedSessions {
            starts: closed.iter().map(|run| run.first).collect(),
            ends: closed.iter().map(|run| end(run)).collect(),
            columns,
        }))
    }
}

/// A batch without columns still has rows.
pub fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>, n_rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}
