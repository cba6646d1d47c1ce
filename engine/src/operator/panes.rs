//! The open panes of tumbling and hopping windows: merged partials by key, in memory and, beyond the budget, spilled in the order of their ranks.
//!
//! In: partials with their pane first. Out, at the close of a window: its rows at once, or step by step where some of it is spilled, so
//! that a window may be larger than the memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::Int64Type;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};

use super::merge::{output, window_array};
use super::order::KeyOrder;
use super::partial::WindowedAggregate;
use super::run::{Cursor, Run, Start, rows_per_chunk};
use super::spill::{Budget, ROWS_PER_STEP};
use super::window::pane::{GroupLayout, GroupStates};
use super::window::session::SpilledSessions;
use crate::error::Result;

/// The state of one pane.
#[derive(Default)]
struct Pane {
    /// Where partials are merged until a window needs the pane.
    live: Option<GroupStates>,
    /// `keys…, states…, __rows`: what windows that closed have already been given, and still open ones need again.
    frozen: Vec<RecordBatch>,
    /// The same, on disk.
    spilled: Vec<Arc<Run>>,
}

impl Pane {
    fn size(&self) -> usize {
        let frozen: usize = self.frozen.iter().map(RecordBatch::get_array_memory_size).sum();
        frozen + self.live.as_ref().map_or(0, GroupStates::size)
    }

    /// Brings what is in memory into one batch, which a later window may use again.
    fn freeze(&mut self, layout: &GroupLayout) -> Result<()> {
        if let Some(mut live) = self.live.take().filter(|live| !live.is_empty()) {
            let columns = live.emit_states()?;
            self.frozen.push(RecordBatch::try_new(Arc::clone(&layout.partial_schema), columns)?);
        }
        if 1 < self.frozen.len() {
            self.frozen = vec![concat_batches(&layout.partial_schema, &self.frozen)?];
        }
        Ok(())
    }

    /// Its partials, `keys…, states…, __rows`. What is live becomes live again with the same groups in the same order: to merge it with
    /// later rows gives the same bits, also of sums of floats.
    fn peek(&mut self, layout: &GroupLayout) -> Result<Vec<RecordBatch>> {
        let mut states = self.frozen.clone();
        if let Some(live) = self.live.as_mut().filter(|live| !live.is_empty()) {
            let columns = live.emit_states()?;
            let (keys, merged) = columns.split_at(layout.keys.len());
            live.merge(keys, merged)?;
            states.push(RecordBatch::try_new(Arc::clone(&layout.partial_schema), columns)?);
        }
        Ok(states)
    }
}

/// The rows of a window that has closed.
pub(super) enum ClosedRows {
    Whole(RecordBatch),
    Spilled(SpilledRows),
}

/// Rows of which some are spilled.
pub(super) enum SpilledRows {
    Window(SpilledWindow),
    Sessions(SpilledSessions),
}

impl SpilledRows {
    /// Of each run.
    pub(super) fn starts(&self) -> Vec<&[Start]> {
        match self {
            Self::Window(window) => window.states.iter().map(Cursor::starts).collect(),
            Self::Sessions(sessions) => sessions.starts(),
        }
    }

    /// Whether every range has to be taken.
    pub(super) fn has_rest(&self) -> bool {
        matches!(self, Self::Sessions(sessions) if sessions.has_rest())
    }

    /// The rows of the keys with a rank in `from..=last`; ranks before `from` cannot be taken any more.
    pub(super) fn take(&mut self, from: u64, last: u64) -> Result<Option<RecordBatch>> {
        match self {
            Self::Window(window) => window.take(from, last),
            Self::Sessions(sessions) => sessions.take(from, last),
        }
    }
}

impl ClosedRows {
    /// How many rows are in memory.
    pub(super) fn len(&self) -> usize {
        self.batch().map_or(0, RecordBatch::num_rows)
    }

    pub(super) fn batch(&self) -> Option<&RecordBatch> {
        match self {
            Self::Whole(batch) => Some(batch),
            Self::Spilled(_) => None,
        }
    }
}

/// A window of which some rows are spilled.
pub(super) struct SpilledWindow {
    aggregate: Arc<WindowedAggregate>,
    start: i64,
    end: i64,
    /// What is spilled, then what of each pane was still in memory.
    states: Vec<Cursor>,
    order: KeyOrder,
    memory: MemoryReservation,
}

impl SpilledWindow {
    fn take(&mut self, from: u64, last: u64) -> Result<Option<RecordBatch>> {
        let mut merged = GroupStates::new(Arc::clone(&self.aggregate.layout))?;
        for states in &mut self.states {
            for batch in states.take(from, last, &mut self.order)? {
                merge_states(&mut merged, &batch)?;
            }
            self.memory.try_resize(merged.size())?;
        }
        let rows = rows_of(&self.aggregate, merged, self.start, self.end);
        self.memory.free();
        rows
    }
}

/// By pane key (see [`super::window::spec::WindowSpec::pane_key`]).
pub(super) struct Panes {
    aggregate: Arc<WindowedAggregate>,
    panes: BTreeMap<i64, Pane>,
    budget: Budget,
    order: KeyOrder,
}

impl Panes {
    pub(super) fn new(aggregate: Arc<WindowedAggregate>, budget: Budget) -> Self {
        let order = KeyOrder::of_states(&aggregate);
        Self { aggregate, panes: BTreeMap::new(), budget, order }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = i64> {
        self.panes.keys().copied()
    }

    /// What is in memory.
    pub(super) fn size(&self) -> usize {
        self.panes.values().map(Pane::size).sum()
    }

    /// Merges a batch whose first column is the pane; rows of one pane are usually adjacent.
    pub(super) fn merge(&mut self, batch: &RecordBatch) -> Result<()> {
        for begin in (0..batch.num_rows()).step_by(ROWS_PER_STEP) {
            let n_rows = ROWS_PER_STEP.min(batch.num_rows() - begin);
            self.merge_step(&batch.slice(begin, n_rows))?;
            self.spill_to(self.budget.state_bytes)?;
        }
        Ok(())
    }

    fn merge_step(&mut self, batch: &RecordBatch) -> Result<()> {
        let starts = batch.column(0).as_primitive::<Int64Type>().values();
        let mut rows_of: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for (row, &pane) in starts.iter().enumerate() {
            rows_of.entry(pane).or_default().push(row as u32);
        }
        let n_panes = rows_of.len();
        for (start, rows) in rows_of {
            let own = if n_panes == 1 { batch.clone() } else { take_record_batch(batch, &UInt32Array::from(rows))? };
            let pane = self.panes.entry(start).or_default();
            let live = match &mut pane.live {
                Some(live) => live,
                empty => empty.insert(GroupStates::new(Arc::clone(&self.aggregate.layout))?),
            };
            let (keys, states) = own.columns()[1..].split_at(self.aggregate.layout.keys.len());
            live.merge(keys, states)?;
        }
        Ok(())
    }

    /// Spills the largest panes where there is more than `limit` in memory, until half of that is left. A window without keys has
    /// one row, and nothing to spill.
    fn spill_to(&mut self, limit: usize) -> Result<()> {
        let mut size = self.size();
        if size <= limit || self.aggregate.layout.keys.is_empty() {
            return Ok(());
        }
        let mut by_size: Vec<(usize, i64)> = self.panes.iter().map(|(start, pane)| (pane.size(), *start)).collect();
        by_size.sort_unstable();
        while limit / 2 < size {
            let Some((pane_size, start)) = by_size.pop() else { return Ok(()) };
            let Some(pane) = self.panes.get_mut(&start) else { continue };
            pane.freeze(&self.aggregate.layout)?;
            if let Some(states) = pane.frozen.pop() {
                let n_rows = rows_per_chunk(&self.budget, &states);
                let run = Run::spilled(&self.order.sort(states)?, n_rows, &self.budget)?;
                pane.spilled.push(Arc::new(run));
            }
            size -= pane_size;
        }
        Ok(())
    }

    /// The rows of the window `[start, end)`, from the panes in it.
    pub(super) fn close(&mut self, start: i64, end: i64) -> Result<Option<ClosedRows>> {
        let spec = self.aggregate.spec;
        let inside: Vec<i64> =
            self.panes.range(start..end).map(|(pane, _)| *pane).filter(|pane| spec.is_for(*pane, end)).collect();
        if inside.iter().any(|pane| !self.panes[pane].spilled.is_empty()) {
            return self.close_spilled(&inside, start, end).map(Some);
        }
        let mut merged: Option<GroupStates> = None;
        for pane_start in inside {
            let Some(pane) = self.panes.get_mut(&pane_start) else { continue };
            // The largest state that no later window needs becomes the base of the merge instead of being copied.
            if spec.last_end(pane_start) <= end && merged.is_none() && pane.frozen.is_empty() {
                merged = pane.live.take();
                continue;
            }
            pane.freeze(&self.aggregate.layout)?;
            for batch in &pane.frozen {
                let base = match &mut merged {
                    Some(base) => base,
                    empty => empty.insert(GroupStates::new(Arc::clone(&self.aggregate.layout))?),
                };
                merge_states(base, batch)?;
            }
        }
        let Some(merged) = merged else { return Ok(None) };
        Ok(rows_of(&self.aggregate, merged, start, end)?.map(ClosedRows::Whole))
    }

    /// The rows so far of the window `[start, end)`, whose state stays as it is.
    pub(super) fn peek(&mut self, start: i64, end: i64) -> Result<Option<ClosedRows>> {
        let spec = self.aggregate.spec;
        let mut spilled = Vec::new();
        let mut states = Vec::new();
        for (_, pane) in self.panes.range_mut(start..end).filter(|(pane, _)| spec.is_for(**pane, end)) {
            spilled.extend(pane.spilled.iter().cloned());
            states.extend(pane.peek(&self.aggregate.layout)?);
        }
        if !spilled.is_empty() {
            return self.spilled_window(start, end, spilled, states).map(Some);
        }
        let mut merged = GroupStates::new(Arc::clone(&self.aggregate.layout))?;
        for states in states {
            merge_states(&mut merged, &states)?;
        }
        Ok(rows_of(&self.aggregate, merged, start, end)?.map(ClosedRows::Whole))
    }

    fn close_spilled(&mut self, inside: &[i64], start: i64, end: i64) -> Result<ClosedRows> {
        let mut spilled = Vec::new();
        let mut rest = Vec::new();
        for pane_start in inside {
            let Some(pane) = self.panes.get_mut(pane_start) else { continue };
            pane.freeze(&self.aggregate.layout)?;
            spilled.extend(pane.spilled.iter().cloned());
            rest.extend(pane.frozen.iter().cloned());
        }
        self.spilled_window(start, end, spilled, rest)
    }

    fn spilled_window(
        &mut self,
        start: i64,
        end: i64,
        mut runs: Vec<Arc<Run>>,
        rest: Vec<RecordBatch>,
    ) -> Result<ClosedRows> {
        for states in rest {
            let n_rows = rows_per_chunk(&self.budget, &states);
            runs.push(Arc::new(Run::kept(&self.order.sort(states)?, n_rows)?));
        }
        let name = format!("part of window `{}`", self.aggregate.exchange.0);
        let memory = MemoryConsumer::new(name).register(self.budget.pool());
        let states = runs.into_iter().map(Cursor::new).collect();
        let order = KeyOrder::of_states(&self.aggregate);
        let window = SpilledWindow { aggregate: Arc::clone(&self.aggregate), start, end, states, order, memory };
        Ok(ClosedRows::Spilled(SpilledRows::Window(window)))
    }

    /// Drops the panes of windows that have all closed.
    pub(super) fn drop_through(&mut self, through: i64) {
        let is_done = |pane: i64| self.aggregate.spec.last_end(pane) <= through;
        while self.panes.first_key_value().is_some_and(|(pane, _)| is_done(*pane)) {
            self.panes.pop_first();
        }
    }
}

/// Merges a batch of `keys…, states…, __rows`.
fn merge_states(into: &mut GroupStates, batch: &RecordBatch) -> Result<()> {
    let (keys, states) = batch.columns().split_at(into.n_keys());
    into.merge(keys, states)
}

fn rows_of(
    aggregate: &WindowedAggregate,
    mut merged: GroupStates,
    start: i64,
    end: i64,
) -> Result<Option<RecordBatch>> {
    if merged.is_empty() {
        return Ok(None);
    }
    let n_rows = merged.len();
    let windows = window_array(aggregate.spec, vec![start; n_rows], vec![end; n_rows], None);
    output(aggregate, windows, merged.emit_values()?).map(Some)
}
