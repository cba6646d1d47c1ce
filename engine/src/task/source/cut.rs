//! Runs the branches on the rows between two cuts, and gives up what they made.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use super::{OutputState, SourceBody};
use crate::error::Result;
use crate::log::{Partials, SplitId, SplitTime};
use crate::operator::partial::WATERMARK;
use crate::plan::Output;
use crate::task::Context;
use crate::task::idle_sessions::{Edge, session_watermark};
use crate::task::origin::Origin;
use crate::task::row_errors::run_branch;
use crate::time::Watermark;

/// What is known of event time, by split.
type Watermarks = Arc<BTreeMap<SplitId, SplitTime>>;

/// Where partials are given up among the rows of a split.
pub(super) struct Cut {
    /// Before this row.
    pub(super) row: usize,
    /// As they are there.
    pub(super) watermarks: Watermarks,
}

impl SourceBody {
    pub(super) fn watermarks(&self) -> BTreeMap<SplitId, SplitTime> {
        self.splits.iter().map(|(id, split)| (id.clone(), split.watermark.time())).collect()
    }

    /// Through where windows in this task may close.
    fn local_watermark(&self, watermarks: &BTreeMap<SplitId, SplitTime>) -> i64 {
        let Some((local, gap)) = self.local_sessions() else { return least(watermarks) };
        let last_end = |id: &SplitId| self.splits.get(id).map_or(i64::MIN, |split| split.latest.saturating_add(gap));
        let edges = watermarks.iter().map(|(id, time)| Edge { time: *time, last_end: last_end(id) });
        session_watermark(&edges.collect::<Vec<_>>(), |watermark| local.goal(watermark))
    }

    fn is_replay(&self) -> bool {
        self.splits.values().any(|split| split.position < split.replay_until)
    }

    /// What was passed at a commit, of this owner or the last one, is not passed again.
    pub(super) fn note_passed(&mut self) {
        let watermark = least(&self.watermarks());
        if let (Some(cuts), false) = (&mut self.cuts, self.splits.is_empty()) {
            cuts.is_passed(watermark);
        }
    }

    /// Where to cut the rows of one split. A replay is not cut: windows that had closed would take its partials for late ones.
    pub(super) fn cuts_of(&mut self, batch: &RecordBatch, origin: &Origin<'_>) -> Vec<Cut> {
        let is_replay = origin.replay.is_on || self.is_replay();
        let watermarks = self.watermarks();
        let (Some(cuts), false, Some(before)) = (&mut self.cuts, is_replay, batch.column_by_name(WATERMARK)) else {
            return Vec::new();
        };
        let split = &origin.fetched.split;
        let others = watermarks.iter().filter(|(id, _)| *id != split).filter_map(|(_, time)| match time {
            SplitTime::Active(watermark) => Some(watermark.0),
            SplitTime::Idle(_) => None,
        });
        let cuts = cuts.of_rows(before.as_primitive::<Int64Type>().values(), others.min().unwrap_or(i64::MAX));
        let cut = |(row, watermark)| {
            let mut watermarks = watermarks.clone();
            watermarks.insert(split.clone(), SplitTime::Active(Watermark(watermark)));
            Cut { row, watermarks: Arc::new(watermarks) }
        };
        cuts.into_iter().map(cut).collect()
    }

    /// Gives partials up where the last rows of a split have passed what early results wait for.
    pub(super) fn cut_if_passed(&mut self, context: &mut Context) -> Result<()> {
        let watermarks = self.watermarks();
        if !self.is_replay() && self.cuts.as_mut().is_some_and(|cuts| cuts.is_passed(least(&watermarks))) {
            self.give_up(context, &Arc::new(watermarks))?;
        }
        Ok(())
    }

    /// Runs the branches on some of the rows; gives the numbers of those that are late.
    pub(super) fn run_rows(
        &mut self,
        context: &mut Context,
        batch: &RecordBatch,
        origin: &Origin<'_>,
        rows: Range<usize>,
    ) -> Result<BTreeSet<u32>> {
        let mut late = BTreeSet::new();
        let numbers: Option<Vec<usize>> =
            (rows.len() < batch.num_rows()).then(|| rows.clone().map(|row| origin.number(row)).collect());
        let batch = batch.slice(rows.start, rows.len());
        let origin = Origin {
            numbers: numbers.as_deref().or(origin.numbers),
            ..Origin::of(origin.plan, origin.fetched, origin.decoded, origin.replay)
        };
        let dataflow = Arc::clone(&context.dataflow);
        let branches = &dataflow.stages[context.stage].branches;
        for (branch, output) in branches.iter().zip(&mut self.outputs) {
            for made in run_branch(context, branch, &batch, &origin)? {
                let found = match output {
                    OutputState::Exchange(exchange) => exchange.0.process(&made)?,
                    OutputState::Local(local) => {
                        let processed = local.process(&made, &origin.fetched.split);
                        let (late, dropped) = processed.map_err(|error| context.named(error))?;
                        if !origin.replay.is_on {
                            let n_rows = dropped.rows.len() as u64;
                            context.note_dropped(dropped, n_rows);
                        }
                        late
                    }
                    OutputState::Sink => {
                        if let (Output::Sink(name), true) = (&branch.output, 0 < made.num_rows()) {
                            context.rows.push((Arc::clone(name), made));
                        }
                        continue;
                    }
                };
                if !origin.replay.is_on {
                    context.metrics.late_rows.inc_by(found.n_rows as u64);
                }
                late.extend(found.rows);
            }
        }
        Ok(late)
    }

    /// Gives up what has been aggregated, with the watermarks that hold after it.
    pub(super) fn give_up(&mut self, context: &mut Context, watermarks: &Watermarks) -> Result<()> {
        let local_watermark = (!self.is_replay()).then(|| self.local_watermark(watermarks));
        if let (Some(watermark), Some(_)) = (local_watermark, self.local_sessions()) {
            self.splits.values_mut().for_each(|split| split.pass(watermark));
        }
        let dataflow = Arc::clone(&context.dataflow);
        let branches = &dataflow.stages[context.stage].branches;
        for (index, (branch, output)) in branches.iter().zip(&mut self.outputs).enumerate() {
            match (output, &branch.output) {
                (OutputState::Local(local), _) => local.flush(context, &self.flushed, local_watermark)?,
                (OutputState::Exchange(exchange), Output::Exchange(aggregate)) => {
                    let (partial, partitioner) = exchange.as_mut();
                    for (partition, batch) in partitioner.split(partial.flush()?)?.into_iter().enumerate() {
                        if let Some(partials) = context.partials(index, batch) {
                            let partials = Partials { watermarks: Arc::clone(watermarks), ..partials };
                            self.unsent.push((aggregate.exchange.clone(), partition as u32, partials));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The watermark over a task's own splits: the least of those that are not idle; without any, nothing moves, unless there is no split.
fn least(watermarks: &BTreeMap<SplitId, SplitTime>) -> i64 {
    let edges = watermarks.values().map(|time| Edge { time: *time, last_end: i64::MIN });
    session_watermark(&edges.collect::<Vec<_>>(), |watermark| watermark)
}
