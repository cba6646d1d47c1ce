//! The query above the window, run over windows as they close.
//!
//! In: partials of one or more windowed aggregates. Out: whatever the query makes of the closed windows' rows. Planning has
//! proved that every operator above works within a window, so the windows of one advance may be run together; a query that
//! sorts or limits is run window by window.
//!
//! A window with more rows than one commit should have is given out in steps, where the query goes by keys: each has the rows of some of
//! the keys. How far they have come belongs to the commit; after a recovery the same window is closed again, and what is out is left out.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::runtime_env::RuntimeEnv;

use super::bounded::BoundedPlan;
use super::cut::{Cut, Lower};
use super::guard::{Failure, Failures};
use super::keys::Dropped;
use super::merge::{LeftOut, WindowMerge};
use super::order::KeyOrder;
use super::panes::ClosedRows;
use super::run::Limits;
use super::spill::Budget;
use crate::error::{Error, Result};
use crate::log::{PartlyClosed, SplitId};
use crate::plan::RowPolicy;
use early::Early;
use steps::{Rows, Step, Waiting};

mod changed;
mod early;
mod steps;

/// Rows of closed windows that are gathered before the query is run.
const ROWS_PER_RUN: usize = 65_536;
/// Rows that one advance gives out, about, where its owner says nothing else: the end of an archive closes all its windows, and
/// neither memory nor a commit must hold them all.
pub const ROWS_PER_ADVANCE: usize = 1 << 18;

/// The merges under a query, and the query.
pub struct ClosedQuery {
    merges: Vec<(Arc<str>, WindowMerge)>,
    plan: BoundedPlan,
    window_by_window: bool,
    on_error: RowPolicy,
    runtime: Arc<RuntimeEnv>,
    rows_per_advance: usize,
    /// What the groups of a step may take.
    bytes_per_step: usize,
    /// Every window that ends at or before this has been given out.
    reached: i64,
    /// Whether no key was left out of the windows whose rows are gathered or given out.
    is_complete: bool,
    /// A window that is being given out.
    waiting: Option<Waiting>,
    /// Where the last owner had come to within a window.
    resume: Option<PartlyClosed>,
    early: Option<Early>,
}

/// Rows of closed windows by the placeholder that they fill.
type Inputs = HashMap<Arc<str>, Vec<RecordBatch>>;

/// The rows of the windows that end together, by placeholder.
type Ended = Vec<(Arc<str>, ClosedRows)>;

fn n_rows_of(inputs: &Inputs) -> usize {
    inputs.values().flatten().map(RecordBatch::num_rows).sum()
}

/// What an advance gave out.
#[derive(Debug, Default)]
pub struct Closed {
    /// Every window that ends at or before this is given out now; less than requested when one advance has too many rows.
    pub reached: i64,
    pub rows: Vec<RecordBatch>,
    /// How many windows closed (of sessions: how many times some did).
    pub n_windows: u64,
    /// The rows on which the query failed. Where the policy is to fail, this ends the task, and `rows` are not whole.
    pub failures: Vec<Failure>,
}

impl ClosedQuery {
    /// `merges` by the name of the placeholder that each fills.
    pub fn new(
        merges: Vec<(Arc<str>, WindowMerge)>,
        plan: BoundedPlan,
        window_by_window: bool,
        on_error: RowPolicy,
        budget: &Budget,
    ) -> Self {
        Self {
            merges,
            plan,
            window_by_window,
            on_error,
            runtime: Arc::clone(&budget.runtime),
            rows_per_advance: ROWS_PER_ADVANCE,
            bytes_per_step: budget.state_bytes,
            reached: i64::MIN,
            is_complete: true,
            waiting: None,
            resume: None,
            early: None,
        }
    }

    /// About how many rows an advance gives out.
    #[must_use]
    pub fn with_rows_per_advance(self, rows_per_advance: usize) -> Self {
        Self { rows_per_advance, ..self }
    }

    /// As [`Self::with_rows_per_advance`], from the next advance on.
    pub fn limit_rows(&mut self, rows_per_advance: usize) {
        self.rows_per_advance = rows_per_advance;
    }

    /// Goes on where the last owner stopped: all windows that end at or before `reached` are given out, and some of the next one.
    #[must_use]
    pub fn resumed(self, reached: i64, resume: Option<PartlyClosed>) -> Self {
        Self { reached, resume, ..self }
    }

    /// The window of which only some rows are given out.
    pub fn partly_closed(&self) -> Option<PartlyClosed> {
        self.waiting.as_ref().map(Waiting::progress).or(self.resume)
    }

    /// Takes in partials for the merge with this index: see [`WindowMerge::merge`].
    pub fn merge(
        &mut self,
        index: usize,
        batch: &RecordBatch,
        split: Option<&SplitId>,
        watermark: i64,
    ) -> Result<LeftOut> {
        if let Some(early) = &mut self.early {
            early.note(index, batch)?;
        }
        self.merges[index].1.merge(batch, split, watermark)
    }

    /// For rows of the merge with this index: see [`WindowMerge::admit_rows`].
    pub fn admit_rows(
        &mut self,
        index: usize,
        batch: &RecordBatch,
        split: &SplitId,
    ) -> Result<Option<(RecordBatch, Dropped)>> {
        self.merges[index].1.admit_rows(batch, split)
    }

    /// The merge with this index.
    pub fn window(&self, index: usize) -> &WindowMerge {
        &self.merges[index].1
    }

    /// Through where windows should close when the watermark is here: sessions that are spilled may wait a little.
    pub fn goal(&self, watermark: i64) -> i64 {
        // Only when they are back is it known how much stays spilled.
        if let Some(sessions) = self.waiting.as_ref().filter(|waiting| waiting.has_rest()) {
            return sessions.window_end;
        }
        let goals = self.merges.iter().map(|(_, merge)| merge.goal(watermark));
        let goal = goals.min().unwrap_or(watermark);
        // What an earlier owner has begun to give out is given out as it was begun.
        self.resume.map_or(goal, |resume| goal.max(resume.window_end.min(watermark)))
    }

    /// Whether windows that end at or before `through` are still to be given out.
    pub fn is_behind(&self, through: i64) -> bool {
        self.waiting.is_some() || self.reached < through
    }

    /// Closes windows that end at or before `through`, in order of their ends, as many as one advance may hold.
    pub fn advance(&mut self, through: i64) -> Result<Closed> {
        let mut closed = Closed::default();
        let mut n_given = self.give_steps(0, &mut closed)?;
        if self.waiting.is_none() && self.reached < through {
            self.close_through(through, &mut n_given, &mut closed)?;
        }
        closed.reached = self.reached;
        Ok(closed)
    }

    fn close_through(&mut self, through: i64, n_given: &mut usize, closed: &mut Closed) -> Result<()> {
        // The rest of a window comes before all others.
        let resume = self.resume.take_if(|resume| resume.window_end <= through);
        let through = resume.map_or(through, |resume| resume.window_end);
        let mut steps: BTreeSet<i64> = self.merges.iter().flat_map(|(_, merge)| merge.ends_through(through)).collect();
        steps.insert(through);
        let mut inputs = Inputs::new();
        let mut n_rows = 0;
        for step in steps {
            let is_complete = self.are_complete(step);
            if is_complete != self.is_complete {
                self.run(std::mem::take(&mut inputs), closed)?;
                *n_given += std::mem::take(&mut n_rows);
                self.is_complete = is_complete;
            }
            let mut ended = Ended::new();
            for (name, merge) in &mut self.merges {
                ended.extend(merge.close_through(step)?.map(|rows| (Arc::clone(name), rows)));
            }
            closed.n_windows += u64::from(!ended.is_empty());
            let n_closed: usize = ended.iter().map(|(_, rows)| rows.len()).sum();
            let is_spilled = ended.iter().any(|(_, rows)| matches!(rows, ClosedRows::Spilled(_)));
            let is_large = is_spilled || self.rows_per_advance < n_closed;
            let place = resume.filter(|resume| resume.window_end == step).map_or(0, |resume| resume.place);
            if 0 < place || (self.has_steps() && is_large) {
                self.run(std::mem::take(&mut inputs), closed)?;
                *n_given += std::mem::take(&mut n_rows);
                self.waiting = Some(Waiting::new(step, place, self.ordered(ended)?));
                *n_given += self.give_steps(*n_given, closed)?;
                if self.waiting.is_some() {
                    return Ok(());
                }
                continue;
            }
            if is_spilled {
                self.run(std::mem::take(&mut inputs), closed)?;
                let mut window = Waiting::new(step, 0, self.ordered(ended)?);
                *n_given += std::mem::take(&mut n_rows) + self.run_in_two(&mut window, u64::MAX, closed)?;
                self.restore(window)?;
            } else {
                for (name, rows) in ended {
                    inputs.entry(name).or_default().extend(rows.batch().cloned());
                }
                n_rows += n_closed;
            }
            self.reached = step;
            if 0 < n_rows && (self.window_by_window || ROWS_PER_RUN <= n_rows) {
                self.run(std::mem::take(&mut inputs), closed)?;
                *n_given += std::mem::take(&mut n_rows);
            }
            if self.rows_per_advance <= *n_given {
                break;
            }
        }
        self.run(inputs, closed)
    }

    /// Whether no key was left out of the windows that end at `end`.
    fn are_complete(&self, end: i64) -> bool {
        self.merges.iter().all(|(_, merge)| merge.is_complete(end))
    }

    /// Whether a window may be given out in steps: otherwise the query brings all its rows together.
    fn has_steps(&self) -> bool {
        !self.window_by_window && self.merges.iter().all(|(_, merge)| !merge.aggregate().spread.is_empty())
    }

    fn limits(&self) -> Limits {
        Limits { n_rows: self.rows_per_advance, n_bytes: self.bytes_per_step }
    }

    fn ordered(&self, ended: Ended) -> Result<Vec<(Arc<str>, Rows)>> {
        let ordered = ended.into_iter().map(|(name, closed)| {
            let merge = self.merges.iter().find(|(other, _)| *other == name);
            let (_, merge) = merge.ok_or_else(|| Error::internal("a window that no placeholder stands for"))?;
            let rows = match closed {
                ClosedRows::Whole(batch) => {
                    Rows::closed(KeyOrder::of_closed(merge.aggregate()), batch, self.rows_per_advance)?
                }
                ClosedRows::Spilled(rows) => Rows::Spilled(rows),
            };
            Ok((name, rows))
        });
        ordered.collect()
    }

    /// Runs the query over rows that do not fit into memory and that it brings together: first what works row by row, step by step, then
    /// the rest at once. Says how many rows the rest had.
    fn run_in_two(&self, window: &mut Waiting, last: u64, closed: &mut Closed) -> Result<usize> {
        let Cut { lower, upper } = self.plan.over(self.is_complete).cut()?;
        let mut inputs = Inputs::new();
        let mut n_rows = 0;
        while let Some(next) = window.next(self.limits()) {
            let next = next.min(last);
            let step = window.take(next)?;
            for Lower { reads, name, plan } in &lower {
                let rows = step.get(reads).filter(|rows| !rows.is_empty()).cloned();
                let Some(rows) = rows else { continue };
                let made = self.execute(plan, Inputs::from([(Arc::clone(reads), rows)]), &mut closed.failures)?;
                n_rows += made.iter().map(RecordBatch::num_rows).sum::<usize>();
                inputs
                    .entry(Arc::clone(name))
                    .or_default()
                    .extend(made.into_iter().filter(|batch| 0 < batch.num_rows()));
            }
            if next == last {
                break;
            }
        }
        let made = self.execute(&upper, inputs, &mut closed.failures)?;
        closed.rows.extend(made.into_iter().filter(|batch| 0 < batch.num_rows()));
        Ok(n_rows)
    }

    /// Gives out steps of the window that waits until an advance has enough rows; says how many it gave.
    fn give_steps(&mut self, n_before: usize, closed: &mut Closed) -> Result<usize> {
        let Some(mut waiting) = self.waiting.take() else { return Ok(0) };
        let mut n_given = 0;
        while n_given == 0 || n_before + n_given < self.rows_per_advance {
            match waiting.next_places(self.limits()) {
                None => {
                    self.reached = waiting.window_end;
                    self.restore(waiting)?;
                    return Ok(n_given);
                }
                Some(Step::Places(last)) => {
                    let step = waiting.take(last)?;
                    n_given += n_rows_of(&step);
                    self.run(step, closed)?;
                }
                Some(Step::LargePlace(last)) => n_given += self.run_in_two(&mut waiting, last, closed)?,
            }
        }
        self.waiting = Some(waiting);
        Ok(n_given)
    }

    /// Gives sessions that stay open back.
    fn restore(&mut self, window: Waiting) -> Result<()> {
        for (name, rest) in window.into_rest() {
            let merge = self.merges.iter_mut().find(|(other, _)| *other == name);
            merge.ok_or_else(|| Error::internal("sessions that no placeholder stands for"))?.1.restore(rest)?;
        }
        Ok(())
    }

    fn run(&self, inputs: Inputs, closed: &mut Closed) -> Result<()> {
        if inputs.values().flatten().all(|batch| batch.num_rows() == 0) {
            return Ok(());
        }
        let made = self.execute(self.plan.over(self.is_complete), inputs, &mut closed.failures)?;
        closed.rows.extend(made.into_iter().filter(|batch| 0 < batch.num_rows()));
        Ok(())
    }

    fn execute(&self, plan: &BoundedPlan, inputs: Inputs, failed: &mut Vec<Failure>) -> Result<Vec<RecordBatch>> {
        match plan.run(inputs.clone(), &self.runtime) {
            Err(Error::Data(_)) => self.execute_guarded(plan, inputs, failed),
            other => other,
        }
    }

    /// Runs again after an expression has failed.
    fn execute_guarded(
        &self,
        plan: &BoundedPlan,
        inputs: Inputs,
        failed: &mut Vec<Failure>,
    ) -> Result<Vec<RecordBatch>> {
        let failures = Failures::default();
        let plan = match self.on_error {
            RowPolicy::Null => plan.nulling(&failures)?,
            RowPolicy::Fail | RowPolicy::DeadLetter(_) => plan.dropping(&failures)?,
        };
        let made = plan.run(inputs, &self.runtime)?;
        let names = self.names();
        for failure in failures.take() {
            failed.push(failure.rename(&names)?);
        }
        Ok(made)
    }

    /// What the columns of the placeholders are called in the query, where all placeholders agree.
    fn names(&self) -> HashMap<String, String> {
        let mut names: HashMap<String, String> = HashMap::new();
        for (_, merge) in &self.merges {
            let aggregate = merge.aggregate();
            for (field, name) in aggregate.output_schema.fields().iter().zip(&aggregate.output_names) {
                let known = names.entry(field.name().clone()).or_insert_with(|| name.clone());
                if known != name {
                    known.clone_from(field.name());
                }
            }
        }
        names
    }
}
