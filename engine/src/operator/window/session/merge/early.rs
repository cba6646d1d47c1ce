//! Sessions that are open, as they are so far.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::Int64Type;

use super::{ClosedSessions, Joined, Run, SessionMerge, number_keys};
use crate::error::Result;
use crate::operator::merge::Window;

/// Sessions of one moment.
pub(in crate::operator) struct OpenSessions<'a> {
    merge: &'a SessionMerge,
    joined: Joined,
    /// Those of no closed session.
    runs: Vec<Run>,
}

impl SessionMerge {
    /// The sessions whose window ends after `after`; earlier ones have been given out.
    pub(in crate::operator) fn open(&self, after: i64) -> Result<Option<OpenSessions<'_>>> {
        if self.open.is_empty() {
            return Ok(None);
        }
        let joined = self.join_open()?;
        let is_open = |run: &&Run| after < run.end(self.limits);
        let runs = joined.sorted.runs.iter().filter(is_open).copied().collect();
        Ok(Some(OpenSessions { merge: self, joined, runs }))
    }
}

impl OpenSessions<'_> {
    fn window(&self, run: &Run) -> Window {
        Window { end: run.end(self.merge.limits), start: run.first }
    }

    /// The windows of the sessions that partial sessions (`__first, __last, keys…`) have become part of.
    pub(in crate::operator) fn windows_of(&self, partials: &[RecordBatch]) -> Result<BTreeSet<Window>> {
        let n_open = self.joined.batch.num_rows();
        let n_rows = n_open + partials.iter().map(RecordBatch::num_rows).sum::<usize>();
        let n_keys = self.merge.layout.keys.len();
        let batches = || std::iter::once(&self.joined.batch).chain(partials);
        let column = |index: usize| {
            let parts: Vec<_> = batches().map(|batch| batch.column(index).as_ref()).collect();
            Ok(concat(&parts)?)
        };
        let keys: Vec<ArrayRef> = (2..2 + n_keys).map(column).collect::<Result<_>>()?;
        let numbers = number_keys(&self.merge.layout.keys, &keys, n_rows)?;
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
    pub(in crate::operator) fn rows(&self, windows: &BTreeSet<Window>) -> Result<Option<ClosedSessions>> {
        let is_wanted = |run: &&Run| windows.contains(&self.window(run));
        let mut runs: Vec<Run> = self.runs.iter().filter(is_wanted).copied().collect();
        runs.sort_by_key(|run| self.window(run));
        if runs.is_empty() {
            return Ok(None);
        }
        self.merge.rows_of(&self.joined, &runs).map(Some)
    }
}
