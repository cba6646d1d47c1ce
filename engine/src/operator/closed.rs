//! The query above the window, run over windows as they close.
//!
//! In: partials of one or more windowed aggregates. Out: whatever the query makes of the closed windows' rows. Planning has
//! proved that every operator above works within a window, so the windows of one advance may be run together; a query that
//! sorts or limits is run window by window.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::runtime_env::RuntimeEnv;

use super::bounded::BoundedPlan;
use super::guard::{Failure, Failures};
use super::merge::WindowMerge;
use crate::error::{Error, Result};
use crate::plan::RowPolicy;

/// Rows of closed windows that are gathered before the query is run.
const ROWS_PER_RUN: usize = 65_536;
/// Rows that one advance gives out, about: the end of an archive closes all its windows, and memory must not hold them all.
const ROWS_PER_ADVANCE: usize = 1 << 20;

/// The merges under a query, and the query.
pub struct ClosedQuery {
    merges: Vec<(Arc<str>, WindowMerge)>,
    plan: BoundedPlan,
    window_by_window: bool,
    on_error: RowPolicy,
    runtime: Arc<RuntimeEnv>,
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
        runtime: Arc<RuntimeEnv>,
    ) -> Self {
        Self { merges, plan, window_by_window, on_error, runtime }
    }

    /// Takes in partials for the merge with this index; says how many rows came too late.
    pub fn merge(&mut self, index: usize, batch: &RecordBatch, is_replay: bool) -> Result<u64> {
        self.merges[index].1.merge(batch, is_replay)
    }

    /// The merge with this index.
    pub fn window(&self, index: usize) -> &WindowMerge {
        &self.merges[index].1
    }

    /// Closes windows that end at or before `through`, in order of their ends, as many as one advance may hold.
    pub fn advance(&mut self, through: i64) -> Result<Closed> {
        let mut steps: BTreeSet<i64> = self.merges.iter().flat_map(|(_, merge)| merge.ends_through(through)).collect();
        steps.insert(through);
        let mut closed = Closed { reached: through, ..Closed::default() };
        let mut n_given = 0;
        let mut inputs: HashMap<Arc<str>, Vec<RecordBatch>> = HashMap::new();
        let mut n_rows = 0;
        for step in steps {
            let mut n_closed = 0;
            for (name, merge) in &mut self.merges {
                if let Some(batch) = merge.close_through(step)? {
                    n_closed += batch.num_rows();
                    inputs.entry(Arc::clone(name)).or_default().push(batch);
                }
            }
            n_rows += n_closed;
            closed.n_windows += u64::from(0 < n_closed);
            if 0 < n_rows && (self.window_by_window || ROWS_PER_RUN <= n_rows) {
                self.run(std::mem::take(&mut inputs), &mut closed)?;
                n_given += n_rows;
                n_rows = 0;
            }
            if ROWS_PER_ADVANCE <= n_given {
                closed.reached = step;
                break;
            }
        }
        if 0 < n_rows {
            self.run(inputs, &mut closed)?;
        }
        Ok(closed)
    }

    fn run(&self, inputs: HashMap<Arc<str>, Vec<RecordBatch>>, closed: &mut Closed) -> Result<()> {
        let made = match self.plan.run(inputs.clone(), &self.runtime) {
            Err(Error::Data(_)) => self.run_guarded(inputs, &mut closed.failures)?,
            other => other?,
        };
        closed.rows.extend(made.into_iter().filter(|batch| 0 < batch.num_rows()));
        Ok(())
    }

    /// Runs again after an expression has failed.
    fn run_guarded(
        &self,
        inputs: HashMap<Arc<str>, Vec<RecordBatch>>,
        failed: &mut Vec<Failure>,
    ) -> Result<Vec<RecordBatch>> {
        let failures = Failures::default();
        let plan = match self.on_error {
            RowPolicy::Null => self.plan.nulling(&failures)?,
            RowPolicy::Fail | RowPolicy::DeadLetter(_) => self.plan.dropping(&failures)?,
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
