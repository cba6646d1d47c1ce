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
use super::merge::WindowMerge;
use crate::error::Result;

/// Rows of closed windows that are gathered before the query is run.
const ROWS_PER_RUN: usize = 65_536;
/// Rows that one advance gives out, about: the end of an archive closes all its windows, and memory must not hold them all.
const ROWS_PER_ADVANCE: usize = 1 << 20;

/// The merges under a query, and the query.
pub struct ClosedQuery {
    merges: Vec<(Arc<str>, WindowMerge)>,
    plan: BoundedPlan,
    window_by_window: bool,
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
}

impl ClosedQuery {
    /// `merges` by the name of the placeholder that each fills.
    pub fn new(
        merges: Vec<(Arc<str>, WindowMerge)>,
        plan: BoundedPlan,
        window_by_window: bool,
        runtime: Arc<RuntimeEnv>,
    ) -> Self {
        Self { merges, plan, window_by_window, runtime }
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
        let mut closed = Closed { reached: through, rows: Vec::new(), n_windows: 0 };
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
                self.run(std::mem::take(&mut inputs), &mut closed.rows)?;
                n_given += n_rows;
                n_rows = 0;
            }
            if ROWS_PER_ADVANCE <= n_given {
                closed.reached = step;
                break;
            }
        }
        if 0 < n_rows {
            self.run(inputs, &mut closed.rows)?;
        }
        Ok(closed)
    }

    fn run(&self, inputs: HashMap<Arc<str>, Vec<RecordBatch>>, rows: &mut Vec<RecordBatch>) -> Result<()> {
        let made = self.plan.run(inputs, &self.runtime)?;
        rows.extend(made.into_iter().filter(|batch| 0 < batch.num_rows()));
        Ok(())
    }
}
