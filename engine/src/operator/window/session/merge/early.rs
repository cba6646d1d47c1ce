//! Sessions that are open, as they are so far.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::Int64Type;

use super::shape::{Joined, Shape};
use super::{ClosedSessions, Run, SessionLimits, number_keys};
use crate::error::Result;
use crate::operator::merge::Window;

/// Sessions of one moment.
pub(super) struct OpenSessions<'a> {
    shape: &'a Shape,
    joined: Joined,
    /// Those of no closed session.
    runs: Vec<Run>,
}

impl Window {
    pub(super) fn of(session: &Run, limits: SessionLimits) -> Self {
        Self { end: session.end(limits), start: session.first }
    }
}

impl Shape {
    /// The sessions whose window ends after `after`; earlier ones have been given out.
    pub(super) fn open(&self, joined: Joined, after: i64) -> OpenSessions<'_> {
        let is_open = |run: &&Run| after < run.end(self.limits);
        let runs = joined.sorted.runs.iter().filter(is_open).copied().collect();
        OpenSessions { shape: self, joined, runs }
    }
}

impl OpenSessions<'_> {
    fn window(&self, run: &Run) -> Window {
        Window::of(run, self.shape.limits)
    }

    /// The windows of the sessions that partial sessions (`__first, __last, keys…`) have become part of.
    pub(super) fn windows_of(&self, partials: &[RecordBatch]) -> Result<BTreeSet<Window>> {
        let n_open = self.joined.batch.num_rows();
        let n_rows = n_open + partials.iter().map(RecordBatch::num_rows).sum::<usize>();
        let keys = &self.shape.layout.keys;
        let batches = || std::iter::once(&self.joined.batch).chain(partials);
        let column = |index: usize| {
            let parts: Vec<_> = batches().map(|batch| batch.column(index).as_ref()).collect();
            Ok(concat(&parts)?)
        };
        let columns: Vec<ArrayRef> = (2..2 + keys.len()).map(column).collect::<Result<_>>()?;
        let numbers = number_keys(keys, &columns, n_rows)?;
        let firsts = column(0)?;
        let firsts = &firsts.as_primitive::<Int64Type>().values()[n_open..];
        let key_of = |run: &Run| numbers[self.joined.sorted.order[run.from] as usize];
        let runs: BTreeMap<(usize, i64), &Run> = self.runs.iter().map(|run| ((key_of(run), run.first), run)).collect();
        let run_at = |(key, first): (&usize, &i64)| {
            let run = runs.range((*key, i64::MIN)..=(*key, *first)).next_back().map(|(_, run)| *run);
            // Otherwise it is part of one that has closed.
            run.filter(|run| *first <= run.last).map(|run| self.window(run))
        };
        Ok(numbers[n_open..].iter().zip(firsts).filter_map(run_at).collect())
    }

    /// The sessions with these windows, whichever their keys.
    pub(super) fn rows(&self, windows: &BTreeSet<Window>) -> Result<Option<ClosedSessions>> {
        let runs = self.runs.iter().filter(|run| windows.contains(&self.window(run)));
        self.shape.closed(&self.joined, runs.copied().collect())
    }
}
