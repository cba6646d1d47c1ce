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
    /// Those of no closed session, by key; the parts of a session one after the other.
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

    /// The windows that partial sessions (`__first, __last, keys…`) have changed: those that they are part of, and of a session that is cut
    /// also the part before, if it is cut because of them, and all parts after.
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
        let runs: BTreeMap<(usize, i64), usize> =
            self.runs.iter().enumerate().map(|(at, run)| ((key_of(run), run.first), at)).collect();
        let mut are_changed = vec![false; self.runs.len()];
        for (key, first) in numbers[n_open..].iter().zip(firsts) {
            let begun = runs.range((*key, i64::MIN)..=(*key, *first)).next_back();
            // Otherwise it is part of one that has closed.
            let Some((_, &at)) = begun.filter(|(_, at)| *first <= self.runs[**at].last) else { continue };
            are_changed[at] = true;
            // The row with which a part begins is what cuts the part before.
            let before = at.checked_sub(1).filter(|before| self.runs[*before].is_cut);
            if let Some(before) = before.filter(|_| *first == self.runs[at].first) {
                are_changed[before] = true;
            }
        }
        // Since when a session lasts decides where it is cut later.
        for at in 1..self.runs.len() {
            are_changed[at] |= are_changed[at - 1] && self.runs[at - 1].is_cut;
        }
        let changed = self.runs.iter().zip(are_changed).filter(|(_, is_changed)| *is_changed);
        Ok(changed.map(|(run, _)| self.window(run)).collect())
    }

    /// The sessions with these windows, whichever their keys.
    pub(super) fn rows(&self, windows: &BTreeSet<Window>) -> Result<Option<ClosedSessions>> {
        let runs = self.runs.iter().filter(|run| windows.contains(&self.window(run)));
        self.shape.closed(&self.joined, runs.copied().collect())
    }
}
