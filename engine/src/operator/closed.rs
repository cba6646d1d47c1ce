//! The query above the window, run over windows as they close.
//!
//! In: partials of one or more windowed aggregates. Out: whatever the query makes of the closed windows' rows. Planning has
//! proved that every operator above works within a window, so the windows of one advance may be run together; a query that
//! sorts or limits is run window by window.
//!
//! A window with more rows than one commit should have is given out in parts, where the query goes by keys: each part has the rows of some
//! of the keys. How many parts are out belongs to the commit; after a recovery the same window is closed again, and those are left out.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::runtime_env::RuntimeEnv;

use super::bounded::BoundedPlan;
use super::cut::{Cut, Lower};
use super::guard::{Failure, Failures};
use super::merge::WindowMerge;
use super::panes::{ClosedRows, SpilledWindow};
use super::partition::{N_PARTS, Partitioner};
use crate::error::{Error, Result};
use crate::log::PartlyClosed;
use crate::plan::RowPolicy;
use early::Early;

mod early;

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
    /// Every window that ends at or before this has been given out.
    reached: i64,
    /// A window that is being given out.
    waiting: Option<Waiting>,
    /// Where the last owner had come to within a window.
    resume: Option<PartlyClosed>,
    early: Option<Early>,
}

/// Rows of closed windows by the placeholder that they fill.
type Inputs = HashMap<Arc<str>, Vec<RecordBatch>>;

/// A window that is given out in parts.
struct Waiting {
    window_end: i64,
    /// How many parts are given out.
    n_given: u32,
    rows: Vec<(Arc<str>, PartedRows)>,
}

enum PartedRows {
    Split(Vec<Option<RecordBatch>>),
    Spilled(SpilledWindow),
}

impl PartedRows {
    /// All rows in the first part.
    fn whole(batch: RecordBatch) -> Self {
        let mut parts = vec![None; N_PARTS as usize];
        parts[0] = Some(batch);
        Self::Split(parts)
    }

    fn take_part(&mut self, part: u32) -> Result<Option<RecordBatch>> {
        match self {
            Self::Split(parts) => Ok(parts[part as usize].take()),
            Self::Spilled(window) => window.take_part(part),
        }
    }
}

/// The rows of the windows that end together, by placeholder.
type Ended = Vec<(Arc<str>, ClosedRows)>;

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

impl Waiting {
    fn progress(&self) -> PartlyClosed {
        PartlyClosed { window_end: self.window_end, n_parts: self.n_given }
    }

    /// The rows of the next part; `None` after the last.
    fn next(&mut self) -> Result<Option<Inputs>> {
        if self.n_given == N_PARTS {
            return Ok(None);
        }
        let mut inputs = Inputs::new();
        for (name, rows) in &mut self.rows {
            inputs.entry(Arc::clone(name)).or_default().extend(rows.take_part(self.n_given)?);
        }
        self.n_given += 1;
        Ok(Some(inputs))
    }
}

impl ClosedQuery {
    /// `merges` by the name of the placeholder that each fills.
    pub fn new(
        merges: Vec<(Arc<str>, WindowMerge)>,
        plan: BoundedPlan,
        window_by_window: bool,
        on_error: RowPolicy,
        runtime: Arc<RuntimeEnv>,
    ) -> Self {
        let (rows_per_advance, reached, waiting, resume) = (ROWS_PER_ADVANCE, i64::MIN, None, None);
        let early = None;
        Self { merges, plan, window_by_window, on_error, runtime, rows_per_advance, reached, waiting, resume, early }
    }

    /// About how many rows an advance gives out.
    #[must_use]
    pub fn with_rows_per_advance(self, rows_per_advance: usize) -> Self {
        Self { rows_per_advance, ..self }
    }

    /// Goes on where the last owner stopped: all windows that end at or before `reached` are given out, and parts of the next one.
    #[must_use]
    pub fn resumed(self, reached: i64, resume: Option<PartlyClosed>) -> Self {
        Self { reached, resume, ..self }
    }

    /// The window of which only some parts are given out.
    pub fn partly_closed(&self) -> Option<PartlyClosed> {
        self.waiting.as_ref().map(Waiting::progress).or(self.resume)
    }

    /// Takes in partials for the merge with this index; says how many rows came too late. `watermark`: see [`WindowMerge::merge`].
    pub fn merge(&mut self, index: usize, batch: &RecordBatch, watermark: i64) -> Result<u64> {
        self.merges[index].1.merge(batch, watermark)
    }

    /// The merge with this index.
    pub fn window(&self, index: usize) -> &WindowMerge {
        &self.merges[index].1
    }

    /// Closes windows that end at or before `through`, in order of their ends, as many as one advance may hold.
    pub fn advance(&mut self, through: i64) -> Result<Closed> {
        let mut closed = Closed::default();
        let mut n_given = self.give_parts(0, &mut closed)?;
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
            let mut ended = Ended::new();
            for (name, merge) in &mut self.merges {
                ended.extend(merge.close_through(step)?.map(|rows| (Arc::clone(name), rows)));
            }
            closed.n_windows += u64::from(!ended.is_empty());
            let n_closed: usize = ended.iter().map(|(_, rows)| rows.len()).sum();
            let is_spilled = ended.iter().any(|(_, rows)| matches!(rows, ClosedRows::Parts(_)));
            let is_large = is_spilled || self.rows_per_advance < n_closed;
            let n_parts_given = resume.filter(|resume| resume.window_end == step).map_or(0, |resume| resume.n_parts);
            if 0 < n_parts_given || (self.has_parts() && is_large) {
                self.run(std::mem::take(&mut inputs), closed)?;
                *n_given += std::mem::take(&mut n_rows);
                self.waiting = Some(self.parts_of(ended, step, n_parts_given)?);
                *n_given += self.give_parts(*n_given, closed)?;
                if self.waiting.is_some() {
                    return Ok(());
                }
                continue;
            }
            if is_spilled {
                self.run(std::mem::take(&mut inputs), closed)?;
                *n_given += std::mem::take(&mut n_rows) + self.run_in_two(ended, closed)?;
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

    /// Whether a window may be given out in parts: the query brings rows of different parts together otherwise.
    fn has_parts(&self) -> bool {
        !self.window_by_window && self.merges.iter().all(|(_, merge)| !merge.aggregate().spread.is_empty())
    }

    fn parts_of(&self, ended: Ended, window_end: i64, n_given: u32) -> Result<Waiting> {
        let mut rows = Vec::with_capacity(ended.len());
        for (name, closed) in ended {
            let merge = self.merges.iter().find(|(other, _)| *other == name);
            let (_, merge) = merge.ok_or_else(|| Error::internal("a window that no placeholder stands for"))?;
            let parted = match closed {
                ClosedRows::Whole(batch) => {
                    PartedRows::Split(Partitioner::of_closed(merge.aggregate(), N_PARTS).split(Some(batch))?)
                }
                ClosedRows::Parts(window) => PartedRows::Spilled(window),
            };
            rows.push((name, parted));
        }
        Ok(Waiting { window_end, n_given, rows })
    }

    /// Runs the query over windows that do not fit into memory and may not be given out in parts: first what works row by row, part by
    /// part, then the rest at once. Says how many rows the rest had.
    fn run_in_two(&self, ended: Ended, closed: &mut Closed) -> Result<usize> {
        let Cut { lower, upper } = self.plan.cut()?;
        let parted = |rows| match rows {
            ClosedRows::Whole(batch) => PartedRows::whole(batch),
            ClosedRows::Parts(window) => PartedRows::Spilled(window),
        };
        let rows = ended.into_iter().map(|(name, rows)| (name, parted(rows))).collect();
        let mut window = Waiting { window_end: self.reached, n_given: 0, rows };
        let mut inputs = Inputs::new();
        let mut n_rows = 0;
        while let Some(part) = window.next()? {
            for Lower { reads, name, plan } in &lower {
                let rows = part.get(reads).filter(|rows| !rows.is_empty()).cloned();
                let Some(rows) = rows else { continue };
                let made = self.execute(plan, Inputs::from([(Arc::clone(reads), rows)]), &mut closed.failures)?;
                n_rows += made.iter().map(RecordBatch::num_rows).sum::<usize>();
                inputs
                    .entry(Arc::clone(name))
                    .or_default()
                    .extend(made.into_iter().filter(|batch| 0 < batch.num_rows()));
            }
        }
        let made = self.execute(&upper, inputs, &mut closed.failures)?;
        closed.rows.extend(made.into_iter().filter(|batch| 0 < batch.num_rows()));
        Ok(n_rows)
    }

    /// Gives out parts of the window that waits until an advance has enough rows; says how many it gave.
    fn give_parts(&mut self, n_before: usize, closed: &mut Closed) -> Result<usize> {
        let Some(mut waiting) = self.waiting.take() else { return Ok(0) };
        let mut n_given = 0;
        while n_given == 0 || n_before + n_given < self.rows_per_advance {
            let Some(part) = waiting.next()? else {
                self.reached = waiting.window_end;
                return Ok(n_given);
            };
            n_given += part.values().flatten().map(RecordBatch::num_rows).sum::<usize>();
            self.run(part, closed)?;
        }
        self.waiting = Some(waiting);
        Ok(n_given)
    }

    fn run(&self, inputs: Inputs, closed: &mut Closed) -> Result<()> {
        if inputs.values().flatten().all(|batch| batch.num_rows() == 0) {
            return Ok(());
        }
        let made = self.execute(&self.plan, inputs, &mut closed.failures)?;
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
