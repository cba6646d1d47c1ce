//! Stage 2 of a windowed aggregate: partials to closed windows.
//!
//! In: batches of the window's partial schema, in any order. Out: at a close, one row per (window, key) in the
//! aggregate's output schema. State: per pane the merged partials of its keys; for sessions the partial sessions that are open.
//! Partials of windows that have all closed are left out and their rows counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StructArray, TimestampNanosecondArray, UInt32Array,
};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::Int64Type;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

use super::partial::WindowedAggregate;
use super::window::pane::GroupStates;
use super::window::session::{ClosedSessions, SessionMerge, batch_of};
use super::window::spec::{WindowSpec, floor};
use super::window::window_fields;
use crate::error::{Error, Result};
use changes::Changes;
pub use early::Window;

mod changes;
mod early;

/// The state of one pane.
#[derive(Default)]
struct Pane {
    /// Where partials are merged until a window needs the pane.
    live: Option<GroupStates>,
    /// `keys…, states…, __rows`: what windows that closed have already been given, and still open ones need again.
    frozen: Vec<RecordBatch>,
}

enum State {
    /// By pane key (see [`WindowSpec::pane_key`]).
    Panes(BTreeMap<i64, Pane>),
    Sessions(SessionMerge),
}

pub struct WindowMerge {
    aggregate: Arc<WindowedAggregate>,
    state: State,
    /// Every window that ends at or before this has been given out.
    closed_through: i64,
    /// Where early results are given out.
    changes: Option<Changes>,
    memory: MemoryReservation,
}

impl WindowMerge {
    /// An empty operator that will not give out windows ending at or before `closed_through`.
    pub fn new(aggregate: Arc<WindowedAggregate>, closed_through: i64, pool: &Arc<dyn MemoryPool>) -> Result<Self> {
        let state = match aggregate.spec {
            WindowSpec::Hop { .. } => State::Panes(BTreeMap::new()),
            WindowSpec::Session(limits) => State::Sessions(SessionMerge::new(Arc::clone(&aggregate.layout), limits)?),
        };
        let memory = MemoryConsumer::new(format!("window `{}`", aggregate.exchange.0)).register(pool);
        Ok(Self { aggregate, state, closed_through, changes: None, memory })
    }

    pub(super) fn aggregate(&self) -> &WindowedAggregate {
        &self.aggregate
    }

    /// Takes partials in; says how many rows were behind partials that came too late.
    ///
    /// In a replay nothing is late: a partial session may look late by itself and yet be part of one that is still open, and rows of
    /// windows that were closed before were counted there, or as late, when they were first read.
    pub fn merge(&mut self, batch: &RecordBatch, is_replay: bool) -> Result<u64> {
        let spec = self.aggregate.spec;
        let closed_through = match (spec, is_replay) {
            (WindowSpec::Session(_), true) => i64::MIN,
            _ => self.closed_through,
        };
        let times = batch.column(time_column(spec)).as_primitive::<Int64Type>().values();
        let is_late = |time: i64| spec.is_late(time, closed_through);
        let mut late_rows = 0;
        let mut batch = batch.clone();
        if times.iter().any(|&time| is_late(time)) {
            let counts = batch.column(batch.num_columns() - 1).as_primitive::<Int64Type>();
            late_rows =
                times.iter().zip(counts.values()).filter(|(time, _)| is_late(**time)).map(|(_, n)| *n as u64).sum();
            let kept: UInt32Array =
                times.iter().enumerate().filter(|(_, time)| !is_late(**time)).map(|(row, _)| row as u32).collect();
            batch = take_record_batch(&batch, &kept)?;
        }
        if let Some(changes) = &mut self.changes {
            changes.note(&self.aggregate, &batch, self.closed_through)?;
        }
        match &mut self.state {
            State::Panes(panes) => merge_panes(&self.aggregate, panes, &batch)?,
            State::Sessions(sessions) => sessions.merge(&batch)?,
        }
        self.resize_reservation()?;
        Ok(if is_replay { 0 } else { late_rows })
    }

    fn resize_reservation(&mut self) -> Result<()> {
        let size = match &self.state {
            State::Panes(panes) => panes.values().map(pane_size).sum(),
            State::Sessions(sessions) => sessions.size(),
        };
        Ok(self.memory.try_resize(size + self.changes.as_ref().map_or(0, Changes::size))?)
    }

    /// The ends of windows that hold rows and end in `(closed, through]`, ascending. Sessions have none here: they close
    /// whenever others do, and at `through`.
    pub fn ends_through(&self, through: i64) -> BTreeSet<i64> {
        let State::Panes(panes) = &self.state else { return BTreeSet::new() };
        let mut ends = BTreeSet::new();
        for &pane in panes.keys() {
            if through < pane {
                break;
            }
            ends.extend(
                self.aggregate.spec.window_ends(pane).filter(|end| self.closed_through < *end && *end <= through),
            );
        }
        ends
    }

    /// Gives out the windows ending in `(closed, through]`. For panes that is at most the one that ends at `through`: callers
    /// stop at each of [`Self::ends_through`].
    pub fn close_through(&mut self, through: i64) -> Result<Option<RecordBatch>> {
        let WindowSpec::Hop { slide, width } = self.aggregate.spec else { return self.close_sessions(through) };
        let State::Panes(panes) = &mut self.state else { return Err(Error::internal("sessions with panes")) };
        let start = through.saturating_sub(width);
        let is_window = floor(start, slide) == start;
        let closed = if is_window { close_window(&self.aggregate, panes, start, through)? } else { None };
        self.closed_through = through;
        let is_done = |pane: i64| self.aggregate.spec.last_end(pane) <= through;
        while panes.first_key_value().is_some_and(|(pane, _)| is_done(*pane)) {
            panes.pop_first();
        }
        self.resize_reservation()?;
        Ok(closed)
    }

    /// Notes that no window ending at or before `through` will be given out any more.
    pub fn advance(&mut self, through: i64) {
        self.closed_through = self.closed_through.max(through);
    }

    fn close_sessions(&mut self, through: i64) -> Result<Option<RecordBatch>> {
        let State::Sessions(sessions) = &mut self.state else { return Err(Error::internal("panes with sessions")) };
        let closed = sessions.close_through(self.closed_through, through)?;
        self.advance(through);
        self.resize_reservation()?;
        closed.map(|closed| session_rows(&self.aggregate, closed)).transpose()
    }

    /// What to remember of a batch of partials, as the argument of [`Self::needs`].
    pub fn stamp(&self, batch: &RecordBatch) -> i64 {
        let spec = self.aggregate.spec;
        let times = batch.column(time_column(spec)).as_primitive::<Int64Type>().values();
        let latest = times.iter().max().copied().unwrap_or(i64::MIN);
        match spec {
            WindowSpec::Hop { .. } => spec.last_end(latest),
            WindowSpec::Session(_) => latest,
        }
    }

    /// Whether a batch with this stamp may still be part of an open window.
    pub fn needs(&self, stamp: i64) -> bool {
        match &self.state {
            State::Panes(_) => self.closed_through < stamp,
            State::Sessions(sessions) => sessions.needed_from().is_some_and(|first| first <= stamp),
        }
    }
}

/// Which column of a partial batch is the time that lateness goes by.
fn time_column(spec: WindowSpec) -> usize {
    match spec {
        WindowSpec::Hop { .. } => 0,
        WindowSpec::Session(_) => 1,
    }
}

fn pane_size(pane: &Pane) -> usize {
    let frozen: usize = pane.frozen.iter().map(RecordBatch::get_array_memory_size).sum();
    frozen + pane.live.as_ref().map_or(0, GroupStates::size)
}

/// Merges a batch whose first column is the pane; rows of one pane are usually adjacent.
fn merge_panes(aggregate: &WindowedAggregate, panes: &mut BTreeMap<i64, Pane>, batch: &RecordBatch) -> Result<()> {
    let starts = batch.column(0).as_primitive::<Int64Type>().values();
    let mut rows_of: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for (row, &pane) in starts.iter().enumerate() {
        rows_of.entry(pane).or_default().push(row as u32);
    }
    let n_panes = rows_of.len();
    for (start, rows) in rows_of {
        let own = if n_panes == 1 { batch.clone() } else { take_record_batch(batch, &UInt32Array::from(rows))? };
        let pane = panes.entry(start).or_default();
        let live = match &mut pane.live {
            Some(live) => live,
            empty => empty.insert(GroupStates::new(Arc::clone(&aggregate.layout))?),
        };
        let (keys, states) = own.columns()[1..].split_at(aggregate.layout.keys.len());
        live.merge(keys, states)?;
    }
    Ok(())
}

/// The rows of the window `[start, end)`, from the panes in it.
fn close_window(
    aggregate: &WindowedAggregate,
    panes: &mut BTreeMap<i64, Pane>,
    start: i64,
    end: i64,
) -> Result<Option<RecordBatch>> {
    let is_last_use = |pane: i64| aggregate.spec.last_end(pane) <= end;
    let inside: Vec<i64> =
        panes.range(start..end).map(|(pane, _)| *pane).filter(|pane| aggregate.spec.is_for(*pane, end)).collect();
    let mut merged: Option<GroupStates> = None;
    for pane_start in inside {
        let Some(pane) = panes.get_mut(&pane_start) else { continue };
        // The largest state that no later window needs becomes the base of the merge instead of being copied.
        if is_last_use(pane_start) && merged.is_none() && pane.frozen.is_empty() {
            merged = pane.live.take();
            continue;
        }
        if let Some(mut live) = pane.live.take().filter(|live| !live.is_empty()) {
            let columns = live.emit_states()?;
            pane.frozen.push(RecordBatch::try_new(Arc::clone(&aggregate.layout.partial_schema), columns)?);
        }
        if 1 < pane.frozen.len() {
            let whole = concat_batches(&aggregate.layout.partial_schema, &pane.frozen)?;
            pane.frozen = vec![whole];
        }
        for batch in &pane.frozen {
            let base = match &mut merged {
                Some(base) => base,
                empty => empty.insert(GroupStates::new(Arc::clone(&aggregate.layout))?),
            };
            let (keys, states) = batch.columns().split_at(aggregate.layout.keys.len());
            base.merge(keys, states)?;
        }
    }
    let Some(merged) = merged.filter(|merged| !merged.is_empty()) else { return Ok(None) };
    rows_of(aggregate, merged, start, end).map(Some)
}

/// The rows of the window `[start, end)`, from its merged state.
fn rows_of(aggregate: &WindowedAggregate, mut merged: GroupStates, start: i64, end: i64) -> Result<RecordBatch> {
    let n_rows = merged.len();
    let windows = window_array(aggregate.spec, vec![start; n_rows], vec![end; n_rows], None);
    output(aggregate, windows, merged.emit_values()?)
}

fn session_rows(aggregate: &WindowedAggregate, sessions: ClosedSessions) -> Result<RecordBatch> {
    let are_cut = Some(BooleanArray::from(sessions.are_cut));
    let windows = window_array(aggregate.spec, sessions.starts, sessions.ends, are_cut);
    output(aggregate, windows, sessions.columns)
}

/// Only sessions may be cut.
fn window_array(spec: WindowSpec, starts: Vec<i64>, ends: Vec<i64>, are_cut: Option<BooleanArray>) -> ArrayRef {
    let mut columns: Vec<ArrayRef> =
        vec![Arc::new(TimestampNanosecondArray::from(starts)), Arc::new(TimestampNanosecondArray::from(ends))];
    columns.extend(are_cut.map(|are_cut| Arc::new(are_cut) as ArrayRef));
    Arc::new(StructArray::new(window_fields(spec), columns, None))
}

/// Puts the window where the aggregate has it.
fn output(aggregate: &WindowedAggregate, windows: ArrayRef, mut columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    let n_rows = windows.len();
    columns.insert(aggregate.window_index, windows);
    batch_of(&aggregate.output_schema, columns, n_rows)
}

/// How many source rows are behind a batch of partials.
pub fn rows_behind(batch: &RecordBatch) -> u64 {
    let counts: &Int64Array = batch.column(batch.num_columns() - 1).as_primitive::<Int64Type>();
    counts.values().iter().map(|n| *n as u64).sum()
}
