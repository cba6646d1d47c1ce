//! Early results: the query above the windows, run over windows that are still open.
//!
//! They are due when the watermark has passed a multiple of the interval, and everything that it closes has been given out. Each window
//! into which rows have come since the last time is given as it is so far. As of closed windows, one advance gives out a limited number of
//! rows; no partials are merged before the rest is out.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::{ClosedQuery, Inputs, ROWS_PER_RUN};
use crate::error::{Error, Result};
use crate::operator::merge::Window;
use crate::operator::partition::{N_PARTS, Partitioner};
use crate::operator::window::spec::floor;
use crate::plan::EarlyResults;

pub(super) struct Early {
    results: Arc<EarlyResults>,
    /// The multiple of the interval for which they were given out last.
    reached: i64,
    /// Windows that are still to be given out for it.
    windows: BTreeSet<Window>,
    /// Parts of a window with too many rows for one advance, and where it ends.
    parts: VecDeque<(i64, Inputs)>,
}

impl ClosedQuery {
    /// Also gives out early results, from the next multiple of the interval after `watermark` on.
    #[must_use]
    pub fn with_early(mut self, results: Option<&Arc<EarlyResults>>, watermark: i64) -> Self {
        self.early = results.map(|results| Early {
            results: Arc::clone(results),
            reached: floor(watermark, results.interval_ns),
            windows: BTreeSet::new(),
            parts: VecDeque::new(),
        });
        if self.early.is_some() {
            self.merges.iter_mut().for_each(|(_, merge)| merge.watch());
        }
        self
    }

    /// Whether there are early results to give out: not while windows are being closed.
    pub fn is_early_due(&self, watermark: i64) -> bool {
        self.early.as_ref().is_some_and(|early| {
            let is_closed = self.reached == watermark && self.partly_closed().is_none();
            let has_rest = !early.windows.is_empty() || !early.parts.is_empty();
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
        early.parts.retain(|(end, _)| watermark < *end);
        let mut rows = Vec::new();
        let mut inputs = Inputs::new();
        let (mut n_rows, mut n_given) = (0, 0);
        while n_given + n_rows < self.rows_per_advance {
            if let Some((_, part)) = early.parts.pop_front() {
                n_given += n_rows_of(&part);
                rows.extend(self.run_early(early, part)?);
                continue;
            }
            let Some((end, of_step)) = self.peek(&mut early.windows)? else { break };
            let n_open = n_rows_of(&of_step);
            if self.has_parts() && self.rows_per_advance < n_open {
                early.parts = self.split(&of_step)?.into_iter().map(|part| (end, part)).collect();
                continue;
            }
            for (name, batches) in of_step {
                inputs.entry(name).or_default().extend(batches);
            }
            n_rows += n_open;
            if self.window_by_window || ROWS_PER_RUN <= n_rows {
                rows.extend(self.run_early(early, std::mem::take(&mut inputs))?);
                n_given += std::mem::take(&mut n_rows);
            }
        }
        rows.extend(self.run_early(early, inputs)?);
        Ok(rows)
    }

    /// The parts of a window with too many rows for one advance.
    fn split(&self, rows: &Inputs) -> Result<Vec<Inputs>> {
        let mut parts = vec![Inputs::new(); N_PARTS as usize];
        for (name, merge) in &self.merges {
            let mut partitioner = Partitioner::of_closed(merge.aggregate(), N_PARTS);
            for batch in rows.get(name).into_iter().flatten() {
                for (part, rows) in parts.iter_mut().zip(partitioner.split(Some(batch.clone()))?) {
                    part.entry(Arc::clone(name)).or_default().extend(rows);
                }
            }
        }
        Ok(parts)
    }

    /// The rows of the next window and its end, from all merges; sessions have one step together.
    fn peek(&mut self, windows: &mut BTreeSet<Window>) -> Result<Option<(i64, Inputs)>> {
        let Some(first) = windows.first().copied() else { return Ok(None) };
        let step = if self.merges.iter().any(|(_, merge)| merge.has_sessions()) {
            std::mem::take(windows)
        } else {
            windows.remove(&first);
            BTreeSet::from([first])
        };
        let mut inputs = Inputs::new();
        for (name, merge) in &mut self.merges {
            inputs.insert(Arc::clone(name), merge.peek(&step)?);
        }
        Ok(Some((first.end, inputs)))
    }

    /// An early row on which an expression fails is left out: the final one decides.
    fn run_early(&self, early: &Early, inputs: Inputs) -> Result<Vec<RecordBatch>> {
        if n_rows_of(&inputs) == 0 {
            return Ok(Vec::new());
        }
        let plan = &early.results.plan;
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

fn n_rows_of(inputs: &Inputs) -> usize {
    inputs.values().flatten().map(RecordBatch::num_rows).sum()
}
