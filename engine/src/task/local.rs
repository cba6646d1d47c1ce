//! Windows in one hop: a source whose partitions already hold every row of a key together needs no exchange.
//!
//! The task's state is then its open windows, and its log is the source itself: recovery reads again from the earliest commit whose
//! rows an open window still holds, with the watermarks of that moment, so that every row is judged as it was. Rows before the
//! committed position have been read once: their late rows and dead letters are in their tables already.
//!
//! Panes keep apart by themselves what came before and after a window closed. Sessions do not; see [`super::idle_sessions`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::Context;
use super::row_errors::apply_to_results;
use crate::error::Result;
use crate::log::{Position, SplitId};
use crate::operator::closed::ClosedQuery;
use crate::operator::keys::Dropped;
use crate::operator::merge::WindowMerge;
use crate::operator::partial::{Late, PartialAggregate};
use crate::operator::window::spec::WindowSpec;
use crate::plan::{LocalWindows, RowPolicy};

/// How far a split was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadTo {
    pub(super) position: Position,
    pub(super) watermark: i64,
}

/// How far each split was read at a commit.
pub(super) type Positions = BTreeMap<SplitId, ReadTo>;

/// Partials and open windows of one task.
pub(super) struct LocalBody {
    partial: PartialAggregate,
    query: ClosedQuery,
    sink: Arc<str>,
    on_error: RowPolicy,
    /// Every window that ends at or before this has been given out.
    closed_through: i64,
    /// What open windows may still need, oldest first: where it began, and its stamp (see [`crate::operator::merge`]).
    needed: VecDeque<(Positions, i64)>,
}

impl LocalBody {
    pub(super) fn new(context: &Context, plan: &LocalWindows, closed_through: i64) -> Result<Self> {
        let budget = &context.budget;
        // Each split has keys of its own, and how many splits there are changes.
        let merge = WindowMerge::new(Arc::clone(&plan.aggregate), closed_through, 1, budget)?;
        let merges = vec![(Arc::clone(&plan.placeholder), merge)];
        Ok(Self {
            partial: PartialAggregate::new(Arc::clone(&plan.aggregate), budget)?,
            query: ClosedQuery::new(merges, plan.plan.clone(), plan.window_by_window, plan.on_error.clone(), budget)
                .resumed(closed_through, None)
                .with_early(plan.early.as_ref(), closed_through),
            sink: Arc::clone(&plan.sink),
            on_error: plan.on_error.clone(),
            closed_through,
            needed: VecDeque::new(),
        })
    }

    pub(super) fn partials_size(&self) -> usize {
        self.partial.size()
    }

    /// Takes in rows of a split; gives those that are late, and how many keys and rows were beyond the limit.
    pub(super) fn process(&mut self, batch: &RecordBatch, split: &SplitId) -> Result<(Late, Dropped)> {
        match self.query.admit_rows(0, batch, split)? {
            None => Ok((self.partial.process(batch)?, Dropped::default())),
            Some((admitted, dropped)) => Ok((self.partial.process(&admitted)?, dropped)),
        }
    }

    /// At a commit: what was aggregated since the last one, at `begun`, joins the open windows; those that `watermark` has passed
    /// are given out, and early results of those that are open. In a replay nothing closes before everything is back.
    pub(super) fn flush(&mut self, context: &mut Context, begun: &Positions, watermark: Option<i64>) -> Result<()> {
        let is_replay = watermark.is_none();
        if let Some(batch) = self.partial.flush()? {
            self.needed.push_back((begun.clone(), self.query.window(0).stamp(&batch)));
            // Rows of sessions were judged one by one: no split's watermark is behind what has closed.
            let left_out = self.query.merge(0, &batch, None, i64::MIN)?;
            context.metrics.late_rows.inc_by(if is_replay { 0 } else { left_out.late_rows });
        }
        let Some(watermark) = watermark else { return Ok(()) };
        while self.query.is_behind(watermark) {
            let closed = self.query.advance(watermark)?;
            context.metrics.windows_closed.inc_by(closed.n_windows);
            self.closed_through = closed.reached;
            apply_to_results(context, &self.on_error, closed.failures)?;
            context.rows.extend(closed.rows.into_iter().map(|rows| (Arc::clone(&self.sink), rows)));
        }
        while self.query.is_early_due(watermark) {
            for rows in self.query.give_early(watermark)? {
                context.metrics.early_rows.inc_by(rows.num_rows() as u64);
                context.rows.push((Arc::clone(&self.sink), rows));
            }
        }
        let window = self.query.window(0);
        while self.needed.front().is_some_and(|(_, stamp)| !window.needs(*stamp)) {
            self.needed.pop_front();
        }
        Ok(())
    }

    /// Where a replay of a split would begin; `now` is where it is.
    pub(super) fn replay_from(&self, split: &SplitId, now: ReadTo) -> ReadTo {
        self.needed.iter().find_map(|(positions, _)| positions.get(split)).copied().unwrap_or(now)
    }

    /// The gap of sessions; other windows have none.
    pub(super) fn session_gap(&self) -> Option<i64> {
        match self.query.window(0).spec() {
            WindowSpec::Session(limits) => Some(limits.gap),
            WindowSpec::Hop { .. } => None,
        }
    }

    /// See [`ClosedQuery::goal`].
    pub(super) fn goal(&self, watermark: i64) -> i64 {
        self.query.goal(watermark)
    }

    pub(super) fn closed_through(&self) -> i64 {
        self.closed_through
    }
}
