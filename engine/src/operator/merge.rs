//! Stage 2 of a windowed aggregate: partials to closed windows.
//!
//! In: batches of the window's partial schema, in any order. Out: at a close, one row per (window, key) in the
//! aggregate's output schema. State: per pane the merged partials of its keys; for sessions the partial sessions that are open.
//! Partials of windows that have all closed are left out and their rows counted.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StructArray, TimestampNanosecondArray, UInt32Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::Int64Type;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};

use super::keys::{Dropped, KeyGuard};
use super::panes::{ClosedRows, Panes, SpilledRows};
use super::partial::WindowedAggregate;
use super::spill::Budget;
use super::window::session::{ClosedSessions, SessionMerge, Sessions, batch_of};
use super::window::spec::{WindowSpec, floor};
use super::window::window_fields;
use crate::error::{Error, Result};
use crate::log::SplitId;
use changes::Changes;
pub use early::Window;

mod changes;
mod early;

enum State {
    Panes(Panes),
    Sessions(SessionMerge),
}

pub struct WindowMerge {
    aggregate: Arc<WindowedAggregate>,
    state: State,
    /// Every window that ends at or before this has been given out.
    closed_through: i64,
    /// Where early results are given out.
    changes: Option<Changes>,
    /// Where there is a limit on keys.
    guard: Option<KeyGuard>,
    memory: MemoryReservation,
}

/// What did not become part of a window.
#[derive(Debug, Default)]
pub struct LeftOut {
    /// Source rows behind partials that were late.
    pub late_rows: u64,
    /// Partials of keys beyond the limit …
    pub dropped: Dropped,
    /// … and the source rows behind them.
    pub dropped_rows: u64,
}

impl WindowMerge {
    /// An empty operator that will not give out windows ending at or before `closed_through`. Their keys are spread over `n_splits`.
    pub fn new(aggregate: Arc<WindowedAggregate>, closed_through: i64, n_splits: u32, budget: &Budget) -> Result<Self> {
        let state = match aggregate.spec {
            WindowSpec::Hop { .. } => State::Panes(Panes::new(Arc::clone(&aggregate), budget.clone())),
            WindowSpec::Session(limits) => {
                State::Sessions(SessionMerge::new(Arc::clone(&aggregate), limits, budget.clone())?)
            }
        };
        let memory = MemoryConsumer::new(format!("window `{}`", aggregate.exchange.0)).register(budget.pool());
        let guard = KeyGuard::new(&aggregate, closed_through, n_splits);
        Ok(Self { aggregate, state, closed_through, changes: None, guard, memory })
    }

    pub(super) fn aggregate(&self) -> &WindowedAggregate {
        &self.aggregate
    }

    pub fn spec(&self) -> WindowSpec {
        self.aggregate.spec
    }

    /// The rows of a split that are within the limit on keys, and what is known of the others; `None` where all are. Partials of these
    /// rows are merged without their split.
    pub fn admit_rows(&mut self, batch: &RecordBatch, split: &SplitId) -> Result<Option<(RecordBatch, Dropped)>> {
        let admitted = self.guard.as_mut().map(|guard| guard.admit_rows(batch, split));
        Ok(admitted.transpose()?.flatten())
    }

    /// Takes partials in; says what was left out: partials that came too late, after their windows had closed (of sessions, behind
    /// `watermark`, which is the one that the log has before these partials), and keys for which there is no room in the part of the
    /// windows that `split` holds.
    ///
    /// A session is never judged by what has closed: that depends on how far other partitions have been read, and a replay could not
    /// know which of the partials that it brings back came before, and which after.
    pub fn merge(&mut self, batch: &RecordBatch, split: Option<&SplitId>, watermark: i64) -> Result<LeftOut> {
        let spec = self.aggregate.spec;
        let closed_through = match spec {
            WindowSpec::Session(_) => watermark,
            WindowSpec::Hop { .. } => self.closed_through,
        };
        let times = batch.column(time_column(spec)).as_primitive::<Int64Type>().values();
        let is_late = |time: i64| spec.is_late(time, closed_through);
        let mut left_out = LeftOut::default();
        let mut batch = batch.clone();
        if times.iter().any(|&time| is_late(time)) {
            let counts = batch.column(batch.num_columns() - 1).as_primitive::<Int64Type>();
            left_out.late_rows =
                times.iter().zip(counts.values()).filter(|(time, _)| is_late(**time)).map(|(_, n)| *n as u64).sum();
            let kept: UInt32Array =
                times.iter().enumerate().filter(|(_, time)| !is_late(**time)).map(|(row, _)| row as u32).collect();
            batch = take_record_batch(&batch, &kept)?;
        }
        if let (Some(guard), Some(split)) = (&mut self.guard, split)
            && let Some((admitted, dropped)) = guard.admit_partials(&batch, split)?
        {
            left_out.dropped_rows = rows_behind(&batch) - rows_behind(&admitted);
            left_out.dropped = dropped;
            batch = admitted;
        }
        if let Some(changes) = &mut self.changes {
            changes.note(&self.aggregate, &batch, self.closed_through)?;
        }
        match &mut self.state {
            State::Panes(panes) => panes.merge(&batch)?,
            State::Sessions(sessions) => sessions.merge(&batch, watermark)?,
        }
        self.resize_reservation()?;
        Ok(left_out)
    }

    fn resize_reservation(&mut self) -> Result<()> {
        let size = match &self.state {
            State::Panes(panes) => panes.size(),
            State::Sessions(sessions) => sessions.size(),
        };
        let guard = self.guard.as_ref().map_or(0, KeyGuard::size);
        Ok(self.memory.try_resize(size + guard + self.changes.as_ref().map_or(0, Changes::size))?)
    }

    /// The ends of windows that hold rows and end in `(closed, through]`, ascending. Sessions have none here: they close
    /// whenever others do, and at `through`.
    pub fn ends_through(&self, through: i64) -> BTreeSet<i64> {
        let State::Panes(panes) = &self.state else { return BTreeSet::new() };
        let mut ends = BTreeSet::new();
        for pane in panes.keys() {
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
    pub(super) fn close_through(&mut self, through: i64) -> Result<Option<ClosedRows>> {
        let WindowSpec::Hop { slide, width } = self.aggregate.spec else {
            return self.close_sessions(through);
        };
        let State::Panes(panes) = &mut self.state else { return Err(Error::internal("sessions with panes")) };
        let start = through.saturating_sub(width);
        let is_window = floor(start, slide) == start;
        let closed = if is_window { panes.close(start, through)? } else { None };
        panes.drop_through(through);
        self.advance(through);
        self.resize_reservation()?;
        Ok(closed)
    }

    /// Whether no key was left out of the window that ends at `end`, which has not closed yet.
    pub(super) fn is_complete(&self, end: i64) -> bool {
        self.guard.as_ref().is_none_or(|guard| guard.is_complete(end))
    }

    /// Notes that no window ending at or before `through` will be given out any more.
    pub fn advance(&mut self, through: i64) {
        self.closed_through = self.closed_through.max(through);
        if let Some(guard) = &mut self.guard {
            guard.drop_through(self.closed_through);
        }
    }

    fn close_sessions(&mut self, through: i64) -> Result<Option<ClosedRows>> {
        let State::Sessions(sessions) = &mut self.state else { return Err(Error::internal("panes with sessions")) };
        let closed = sessions.close_through(self.closed_through, through)?;
        self.advance(through);
        self.resize_reservation()?;
        closed.map(|closed| closed_rows(&self.aggregate, closed)).transpose()
    }

    /// Sessions that stay open, after all that closed have been given out.
    pub(super) fn restore(&mut self, rest: SessionMerge) -> Result<()> {
        self.state = State::Sessions(rest);
        self.resize_reservation()
    }

    /// How far windows are closed when the watermark is here.
    pub(super) fn goal(&self, watermark: i64) -> i64 {
        match &self.state {
            State::Panes(_) => watermark,
            State::Sessions(sessions) => sessions.goal(watermark),
        }
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

fn closed_rows(aggregate: &WindowedAggregate, sessions: Sessions) -> Result<ClosedRows> {
    Ok(match sessions {
        Sessions::InMemory(sessions) => ClosedRows::Whole(session_rows(aggregate, sessions)?),
        Sessions::Spilled(sessions) => ClosedRows::Spilled(SpilledRows::Sessions(sessions)),
    })
}

pub(super) fn session_rows(aggregate: &WindowedAggregate, sessions: ClosedSessions) -> Result<RecordBatch> {
    let are_cut = Some(BooleanArray::from(sessions.are_cut));
    let windows = window_array(aggregate.spec, sessions.starts, sessions.ends, are_cut);
    output(aggregate, windows, sessions.columns)
}

/// Only sessions may be cut.
pub(super) fn window_array(
    spec: WindowSpec,
    starts: Vec<i64>,
    ends: Vec<i64>,
    are_cut: Option<BooleanArray>,
) -> ArrayRef {
    let mut columns: Vec<ArrayRef> =
        vec![Arc::new(TimestampNanosecondArray::from(starts)), Arc::new(TimestampNanosecondArray::from(ends))];
    columns.extend(are_cut.map(|are_cut| Arc::new(are_cut) as ArrayRef));
    Arc::new(StructArray::new(window_fields(spec), columns, None))
}

/// Puts the window where the aggregate has it.
pub(super) fn output(
    aggregate: &WindowedAggregate,
    windows: ArrayRef,
    mut columns: Vec<ArrayRef>,
) -> Result<RecordBatch> {
    let n_rows = windows.len();
    columns.insert(aggregate.window_index, windows);
    batch_of(&aggregate.output_schema, columns, n_rows)
}

/// How many source rows are behind a batch of partials.
pub fn rows_behind(batch: &RecordBatch) -> u64 {
    let counts: &Int64Array = batch.column(batch.num_columns() - 1).as_primitive::<Int64Type>();
    counts.values().iter().map(|n| *n as u64).sum()
}
