//! Early results: the query above the windows, run over windows that are still open.
//!
//! They are due when the watermark has passed a multiple of the interval, and everything that it closes has been given out. Each window
//! into which rows have come since the last time is given as it is so far, or only those of its keys, where the query goes by keys. As of closed windows, one advance gives out a limited number of
//! rows; no partials are merged before the rest is out.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::changed::Changed;
use super::steps::{Step, Waiting};
use super::{ClosedQuery, ClosedRows, Ended, Inputs, ROWS_PER_RUN, n_rows_of};
use crate::error::{Error, Result};
use crate::operator::merge::Window;
use crate::operator::window::spec::floor;
use crate::plan::EarlyResults;

pub(super) struct Early {
    results: Arc<EarlyResults>,
    /// The multiple of the interval for which they were given out last.
    reached: i64,
    /// Windows that are still to be given out for it.
    windows: BTreeSet<Window>,
    /// Whether no key was left out of the windows whose rows are gathered or given out.
    is_complete: bool,
    /// A window that is given out in steps: it has too many rows for one advance, or is spilled.
    waiting: Option<(Window, Waiting)>,
    /// The keys with new rows since they were given out last, where the query goes by keys.
    changed: Option<Changed>,
}

impl Early {
    pub(super) fn note(&mut self, merge: usize, partials: &RecordBatch) -> Result<()> {
        self.changed.as_mut().map_or(Ok(()), |changed| changed.note(merge, partials))
    }

    fn keep_changed(&mut self, window: Window, placeholder: &str, rows: &mut RecordBatch) -> Result<()> {
        if let Some(changed) = &mut self.changed {
            *rows = changed.filter(window, placeholder, rows)?;
        }
        Ok(())
    }
}

impl ClosedQuery {
    /// Also gives out early results, from the next multiple of the interval after `watermark` on.
    #[must_use]
    pub fn with_early(mut self, results: Option<&Arc<EarlyResults>>, watermark: i64) -> Self {
        self.early = results.map(|results| Early {
            results: Arc::clone(results),
            reached: floor(watermark, results.interval_ns),
            windows: BTreeSet::new(),
            is_complete: true,
            waiting: None,
            changed: Changed::of(&self.merges).filter(|_| !self.window_by_window),
        });
        if self.early.is_some() {
            self.merges.iter_mut().for_each(|(_, merge)| merge.watch());
        }
        self
    }

    /// Whether there are early results to give out: not while windows are being closed.
    pub fn is_early_due(&self, watermark: i64) -> bool {
        self.early.as_ref().is_some_and(|early| {
            let is_closed = !self.is_behind(self.goal(watermark)) && self.partly_closed().is_none();
            let has_rest = !early.windows.is_empty() || early.waiting.is_some();
            is_closed && (has_rest || early.reached < floor(watermark, early.results.interval_ns))
        })
    }

    /// Gives out early results, as many as one advance may hold. Call it while [`Self::is_early_due`].
    pub fn give_early(&mut self, watermark: i64) -> Result<Vec<RecordBatch>> {
        let Some(mut early) = self.early.take() else { return Ok(Vec::new()) };
        let rows = self.give(&mut early, watermark);
        self.early = Some(early);
        rows
    }

    fn give(&mut self, early: &mut Early, watermark: i64) -> Result<Vec<RecordBatch>> {
        let multiple = floor(watermark, early.results.interval_ns);
        let has_passed = early.reached < multiple;
        // The first watermark has passed no multiple.
        let is_first = std::mem::replace(&mut early.reached, multiple) == i64::MIN;
        if has_passed && !is_first {
            for (_, merge) in &mut self.merges {
                early.windows.extend(merge.take_changed()?);
            }
        }
        // A window that has begun to be given out at its close has no early rows any more.
        early.windows.retain(|window| watermark < window.end);
        early.waiting.take_if(|(window, _)| window.end <= watermark);
        let mut rows = Vec::new();
        let mut inputs = Inputs::new();
        let (mut n_rows, mut n_given) = (0, 0);
        while n_given + n_rows < self.rows_per_advance {
            if let Some((window, waiting)) = &mut early.waiting {
                // A large place is not divided: the early plan runs once over all that it combines.
                let Some(Step::Places(last) | Step::LargePlace(last)) = waiting.next_places(self.limits()) else {
                    early.waiting = None;
                    continue;
                };
                let (window, mut step) = (*window, waiting.take(last)?);
                for (name, batches) in step.iter_mut().filter(|_| self.are_complete(window.end)) {
                    batches.iter_mut().try_for_each(|batch| early.keep_changed(window, name, batch))?;
                }
                n_given += n_rows_of(&step);
                rows.extend(self.run_early(early, step)?);
                continue;
            }
            let Some((window, mut of_step)) = self.peek(&mut early.windows)? else { break };
            let is_complete = self.are_complete(window.end);
            // Of a window with keys left out, all rows say so.
            for (name, rows) in of_step.iter_mut().filter(|_| is_complete) {
                if let ClosedRows::Whole(batch) = rows {
                    early.keep_changed(window, name, batch)?;
                }
            }
            if is_complete != early.is_complete {
                rows.extend(self.run_early(early, std::mem::take(&mut inputs))?);
                n_given += std::mem::take(&mut n_rows);
                early.is_complete = is_complete;
            }
            let n_open: usize = of_step.iter().map(|(_, rows)| rows.len()).sum();
            let is_spilled = of_step.iter().any(|(_, rows)| matches!(rows, ClosedRows::Spilled(_)));
            if self.has_steps() && (is_spilled || self.rows_per_advance < n_open) {
                early.waiting = Some((window, Waiting::new(window.end, 0, self.ordered(of_step)?)));
                continue;
            }
            if is_spilled {
                // It may not fit into memory, and the query brings its keys together: only the final rows are worth that.
                continue;
            }
            for (name, rows) in of_step {
                inputs.entry(name).or_default().extend(rows.batch().cloned());
            }
            n_rows += n_open;
            if self.window_by_window || ROWS_PER_RUN <= n_rows {
                rows.extend(self.run_early(early, std::mem::take(&mut inputs))?);
                n_given += std::mem::take(&mut n_rows);
            }
        }
        rows.extend(self.run_early(early, inputs)?);
        let is_all_given = !is_first && early.windows.is_empty() && early.waiting.is_none();
        if let Some(changed) = early.changed.as_mut().filter(|_| is_all_given) {
            changed.clear();
        }
        Ok(rows)
    }

    /// The next window and its rows, from all merges; sessions have one step together.
    fn peek(&mut self, windows: &mut BTreeSet<Window>) -> Result<Option<(Window, Ended)>> {
        let Some(first) = windows.first().copied() else { return Ok(None) };
        let step = if self.merges.iter().any(|(_, merge)| merge.has_sessions()) {
            std::mem::take(windows)
        } else {
            windows.remove(&first);
            BTreeSet::from([first])
        };
        let mut rows = Ended::new();
        for (name, merge) in &mut self.merges {
            rows.extend(merge.peek(&step)?.into_iter().map(|rows| (Arc::clone(name), rows)));
        }
        Ok(Some((first, rows)))
    }

    /// An early row on which an expression fails is left out: the final one decides.
    fn run_early(&self, early: &Early, inputs: Inputs) -> Result<Vec<RecordBatch>> {
        if n_rows_of(&inputs) == 0 {
            return Ok(Vec::new());
        }
        let plan = early.results.plan.over(early.is_complete);
        let mut made = plan.run(inputs.clone(), &self.runtime);
        if let Err(Error::Data(_)) = made {
            made = self.execute_guarded(plan, inputs, &mut Vec::new());
        }
        match made {
            Err(Error::Data(_)) => Ok(Vec::new()),
            made => Ok(made?.into_iter().filter(|batch| 0 < batch.num_rows()).collect()),
        }
    }
}
