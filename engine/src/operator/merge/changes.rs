//! Where rows have come in since the last early results.

use std::collections::BTreeSet;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;

use crate::error::Result;
use crate::operator::partial::WindowedAggregate;
use crate::operator::window::spec::WindowSpec;

/// Fewer partial sessions than this are not worth looking through for those that have closed.
const PRUNED_FROM: usize = 1 << 12;

#[derive(Default)]
pub(super) struct Changes {
    /// Pane keys (see [`WindowSpec::pane_key`]).
    pub(super) panes: BTreeSet<i64>,
    /// `__first, __last, keys…` of partial sessions.
    pub(super) sessions: Vec<RecordBatch>,
    n_sessions: usize,
    /// How many there were when they were last looked through.
    n_pruned: usize,
}

impl Changes {
    /// Notes partials that come in, after those that are late were left out.
    pub(super) fn note(
        &mut self,
        aggregate: &WindowedAggregate,
        partials: &RecordBatch,
        closed_through: i64,
    ) -> Result<()> {
        match aggregate.spec {
            WindowSpec::Hop { .. } => {
                self.panes.extend(partials.column(0).as_primitive::<Int64Type>().values());
                self.panes.retain(|pane| closed_through < aggregate.spec.last_end(*pane));
            }
            WindowSpec::Session(_) => {
                let columns: Vec<usize> = (0..2 + aggregate.layout.keys.len()).collect();
                self.sessions.push(partials.project(&columns)?);
                self.n_sessions += partials.num_rows();
                if 2 * self.n_pruned.max(PRUNED_FROM) <= self.n_sessions {
                    self.prune(aggregate.spec, closed_through)?;
                }
            }
        }
        Ok(())
    }

    /// Forgets partial sessions that have closed. One that is part of a longer session has closed with it, or what made it longer is
    /// noted too.
    fn prune(&mut self, spec: WindowSpec, closed_through: i64) -> Result<()> {
        let mut kept = Vec::with_capacity(self.sessions.len());
        for batch in &self.sessions {
            let lasts = batch.column(1).as_primitive::<Int64Type>().values();
            let are_open: BooleanArray = lasts.iter().map(|last| Some(closed_through < spec.last_end(*last))).collect();
            kept.push(filter_record_batch(batch, &are_open)?);
        }
        kept.retain(|batch| 0 < batch.num_rows());
        self.sessions = kept;
        self.n_sessions = self.sessions.iter().map(RecordBatch::num_rows).sum();
        self.n_pruned = self.n_sessions;
        Ok(())
    }

    pub(super) fn size(&self) -> usize {
        let sessions: usize = self.sessions.iter().map(RecordBatch::get_array_memory_size).sum();
        sessions + self.panes.len() * size_of::<i64>()
    }
}
