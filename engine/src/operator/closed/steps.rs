//! A window that is given out in steps, each with the rows of some of its keys.
//!
//! How many rows a step has follows from what they take while they are given out, and from what a commit should have. Where one commit
//! ends and the next begins is a place (see [`crate::operator::order`]), so it does not matter which steps an earlier owner has made.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::Inputs;
use crate::error::Result;
use crate::log::PartlyClosed;
use crate::operator::order::{KeyOrder, PLACES, Sorted, last_before, place_of};
use crate::operator::panes::SpilledRows;
use crate::operator::run::{Cursor, Limits, Run, Start, end_of_step, starts_of};
use crate::operator::window::session::SessionMerge;

/// What remains of a window.
pub(super) struct Waiting {
    pub(super) window_end: i64,
    /// The first rank that is not taken; `None` after the last.
    from: Option<u64>,
    /// The last rank that an earlier owner has given out.
    given_through: Option<u64>,
    /// The chunks that begin there or later, in their order.
    starts: Vec<Start>,
    rows: Vec<(Arc<str>, Rows)>,
}

pub(super) enum Rows {
    Closed(Cursor, KeyOrder),
    Spilled(SpilledRows),
}

impl Rows {
    /// Those of a window that is in memory, where a step may have so many rows.
    pub(super) fn closed(mut order: KeyOrder, batch: RecordBatch, rows_per_step: usize) -> Result<Self> {
        const ROWS_PER_CHUNK: usize = 1 << 10;
        let sorted: Sorted = order.sort(batch)?;
        let run = Run::kept(&sorted, (rows_per_step / 4).clamp(1, ROWS_PER_CHUNK))?;
        Ok(Self::Closed(Cursor::new(Arc::new(run)), order))
    }

    /// Of each run.
    fn starts(&self) -> Vec<&[Start]> {
        match self {
            Self::Closed(cursor, _) => vec![cursor.starts()],
            Self::Spilled(rows) => rows.starts(),
        }
    }

    fn has_rest(&self) -> bool {
        matches!(self, Self::Spilled(rows) if rows.has_rest())
    }

    fn take(&mut self, from: u64, last: u64) -> Result<Vec<RecordBatch>> {
        match self {
            Self::Closed(cursor, order) => cursor.take(from, last, order),
            Self::Spilled(rows) => Ok(rows.take(from, last)?.into_iter().collect()),
        }
    }
}

/// Which keys are next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Those up to this rank, with which a place ends.
    Places(u64),
    /// Those up to this rank, which are one place and more than a step may have.
    LargePlace(u64),
}

impl Waiting {
    pub(super) fn new(window_end: i64, place: u64, rows: Vec<(Arc<str>, Rows)>) -> Self {
        let given_through = (0 < place).then(|| last_before(place));
        let mut starts = starts_of(&rows.iter().flat_map(|(_, rows)| rows.starts()).collect::<Vec<_>>());
        let has_rest = rows.iter().any(|(_, rows)| rows.has_rest());
        let from = if has_rest { 0 } else { place };
        starts.retain(|start| from <= place_of(start.rank));
        Self { window_end, from: (from < PLACES).then_some(from << 32), given_through, starts, rows }
    }

    /// Whether sessions stay open.
    pub(super) fn has_rest(&self) -> bool {
        self.rows.iter().any(|(_, rows)| rows.has_rest())
    }

    /// Between two steps of [`Self::next_places`].
    pub(super) fn progress(&self) -> PartlyClosed {
        let after = |rank: Option<u64>| rank.map_or(PLACES, place_of);
        let given = self.given_through.map_or(0, |last| after(last.checked_add(1)));
        PartlyClosed { window_end: self.window_end, place: after(self.from).max(given) }
    }

    /// The rank with which the next step ends, however places are divided; `None` after the last.
    pub(super) fn next(&self, limits: Limits) -> Option<u64> {
        let last = end_of_step(&self.starts, self.from?, limits);
        Some(self.given_again().map_or(last, |given_through| last.min(given_through)))
    }

    /// The last rank of those that are next and have been given out.
    fn given_again(&self) -> Option<u64> {
        self.given_through.filter(|given_through| self.from.is_some_and(|from| from <= *given_through))
    }

    /// The next step of whole places.
    pub(super) fn next_places(&self, limits: Limits) -> Option<Step> {
        let last = self.next(limits)?;
        let Some(after) = last.checked_add(1).filter(|_| self.given_again().is_none()) else {
            return Some(Step::Places(last));
        };
        let place = place_of(self.from?);
        Some(if place < place_of(after) {
            Step::Places(last_before(place_of(after)))
        } else {
            Step::LargePlace(last_before(place + 1))
        })
    }

    /// The rows up to a rank, which is not before the first that is left; none where they have been given out.
    pub(super) fn take(&mut self, last: u64) -> Result<Inputs> {
        let mut inputs = Inputs::new();
        let Some(from) = self.from else { return Ok(inputs) };
        let is_given = self.given_again().is_some();
        for (name, rows) in &mut self.rows {
            let taken = rows.take(from, last)?;
            if !is_given {
                inputs.entry(Arc::clone(name)).or_default().extend(taken);
            }
        }
        self.starts.drain(..self.starts.partition_point(|start| start.rank <= last));
        self.from = last.checked_add(1);
        Ok(inputs)
    }

    /// After the last step: the sessions that stay open.
    pub(super) fn into_rest(self) -> impl Iterator<Item = (Arc<str>, SessionMerge)> {
        self.rows.into_iter().filter_map(|(name, rows)| match rows {
            Rows::Spilled(SpilledRows::Sessions(sessions)) => Some((name, sessions.into_rest()?)),
            Rows::Spilled(SpilledRows::Window(_)) | Rows::Closed(..) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    const N_ROWS: i64 = 5_000;

    /// So many rows, combined by a column with so many values.
    fn waiting(n_values: i64, place: u64) -> Waiting {
        let columns: [(&str, ArrayRef); 2] = [
            ("combined", Arc::new(Int64Array::from_iter_values((0..N_ROWS).map(|row| row % n_values)))),
            ("key", Arc::new(Int64Array::from_iter_values(0..N_ROWS))),
        ];
        let batch = RecordBatch::try_from_iter(columns).expect("a batch");
        let rows = Rows::closed(KeyOrder::new(vec![0], vec![0, 1]), batch, 40).expect("rows");
        Waiting::new(90, place, vec![("w".into(), rows)])
    }

    fn n_rows(inputs: &Inputs) -> usize {
        inputs.values().flatten().map(RecordBatch::num_rows).sum()
    }

    /// The rows of each step, with the place before which it ends.
    fn steps(mut waiting: Waiting, limits: Limits) -> Vec<(usize, u64)> {
        let mut steps = Vec::new();
        while let Some(step) = waiting.next_places(limits) {
            let (Step::Places(last) | Step::LargePlace(last)) = step;
            steps.push((n_rows(&waiting.take(last).expect("rows")), waiting.progress().place));
        }
        steps
    }

    #[test]
    fn steps_keep_to_their_limits_and_have_every_row() {
        let by_rows = Limits { n_rows: 100, n_bytes: usize::MAX };
        // 16 KiB a row.
        let by_bytes = Limits { n_rows: usize::MAX, n_bytes: 100 << 14 };
        for limits in [by_rows, by_bytes] {
            let steps = steps(waiting(N_ROWS, 0), limits);
            assert_eq!(steps.iter().map(|(n_rows, _)| n_rows).sum::<usize>(), N_ROWS as usize);
            assert!(steps.iter().all(|(n_rows, _)| *n_rows <= 120), "{limits:?}: {steps:?}");
            assert!(steps.len() < 60, "{limits:?}: {steps:?}");
            assert!(steps.is_sorted_by_key(|(_, place)| *place) && steps.last().is_some_and(|last| last.1 == PLACES));
        }
        let all = Limits { n_rows: usize::MAX, n_bytes: usize::MAX };
        assert_eq!(steps(waiting(N_ROWS, 0), all), [(N_ROWS as usize, PLACES)]);
    }

    #[test]
    fn chunks_of_many_runs_that_begin_together_do_not_come_together() {
        let run = |number: i64| {
            let keys = Int64Array::from_iter_values(number * N_ROWS..(number + 1) * N_ROWS);
            let batch = RecordBatch::try_from_iter([("key", Arc::new(keys) as ArrayRef)]).expect("a batch");
            let rows = Rows::closed(KeyOrder::new(vec![0], vec![0]), batch, 4_000).expect("rows");
            (format!("w{number}").into(), rows)
        };
        let steps =
            steps(Waiting::new(90, 0, (0..20).map(run).collect()), Limits { n_rows: 4_000, n_bytes: usize::MAX });
        assert_eq!(steps.iter().map(|(n_rows, _)| n_rows).sum::<usize>(), 20 * N_ROWS as usize);
        assert!(steps.iter().all(|(n_rows, _)| *n_rows < 6_000), "{steps:?}");
    }

    #[test]
    fn a_later_owner_gives_out_what_is_left_in_steps_of_its_own() {
        let steps_before = steps(waiting(N_ROWS, 0), Limits { n_rows: 700, n_bytes: usize::MAX });
        let mut n_given = 0;
        for (n_rows, place) in steps_before {
            n_given += n_rows;
            let rest = steps(waiting(N_ROWS, place), Limits { n_rows: 90, n_bytes: usize::MAX });
            assert_eq!(n_given + rest.iter().map(|(n_rows, _)| n_rows).sum::<usize>(), N_ROWS as usize, "{place}");
        }
    }

    #[test]
    fn what_the_query_combines_is_one_step_and_may_be_divided_by_its_keys() {
        let limits = Limits { n_rows: 100, n_bytes: usize::MAX };
        let steps = steps(waiting(3, 0), limits);
        let filled: Vec<usize> = steps.iter().map(|(n_rows, _)| *n_rows).filter(|n_rows| 0 < *n_rows).collect();
        assert_eq!(filled.iter().sum::<usize>(), N_ROWS as usize);
        assert_eq!(filled.len(), 3, "{filled:?}");

        let mut waiting = waiting(1, 0);
        let place = loop {
            match waiting.next_places(limits) {
                Some(Step::LargePlace(last)) => break last,
                Some(Step::Places(last)) => assert_eq!(n_rows(&waiting.take(last).expect("rows")), 0),
                None => panic!("5,000 rows do not fit"),
            }
        };
        let mut n_steps = 0;
        while let Some(last) = waiting.next(limits).map(|last| last.min(place)) {
            assert!(n_rows(&waiting.take(last).expect("rows")) <= 120);
            n_steps += 1;
            if last == place {
                break;
            }
        }
        assert!((40..60).contains(&n_steps), "{n_steps}");
    }
}
