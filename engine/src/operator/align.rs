//! Alignment: splits that run too far ahead in event time are held back until the slowest has caught up.
//!
//! After a pause some splits have more to catch up with than others. Whatever the fast ones bring waits in open windows for the
//! slow ones, and so takes memory. The tasks of a stage share one board; each holds back its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a board knows of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its watermark, ns; `i64::MIN` before its first row.
    pub watermark: i64,
    /// Whether it has something to read; one that waits for input holds no other back.
    pub is_behind: bool,
}

/// The progress of all splits of a stage, shared by its tasks.
#[derive(Debug, Default)]
pub struct Board(Mutex<Members>);

#[derive(Debug, Default)]
struct Members {
    n_joined: u64,
    /// By member.
    progress: BTreeMap<u64, Vec<Progress>>,
}

impl Board {
    /// Makes room for a task's splits.
    pub fn join(board: &Arc<Self>) -> Seat {
        let mut members = board.lock();
        members.n_joined += 1;
        Seat { board: Arc::clone(board), member: members.n_joined }
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task's place on a board. What it says ends with it: a task that has failed or moved away would hold the others back for ever.
#[derive(Debug)]
pub struct Seat {
    board: Arc<Board>,
    member: u64,
}

impl Seat {
    /// Updates the progress of the task's own splits, and returns which of them to hold back.
    pub fn align(&self, own: &[Progress], max_drift: i64) -> Vec<bool> {
        let mut members = self.board.lock();
        members.progress.insert(self.member, own.to_vec());
        let limit = limit(members.progress.values().flatten(), max_drift);
        own.iter().map(|progress| limit < progress.watermark).collect()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.board.lock().progress.remove(&self.member);
    }
}

/// The watermark from which on a split is held back.
fn limit<'a>(all: impl Iterator<Item = &'a Progress>, max_drift: i64) -> i64 {
    let slowest = all.filter(|progress| progress.is_behind).map(|progress| progress.watermark).min();
    slowest.map_or(i64::MAX, |slowest| slowest.saturating_add(max_drift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_split_that_has_rows_limits_the_others() {
        // (watermark, is_behind) per split, and which are held back with a drift of 10.
        type Case = (&'static [(i64, bool)], &'static [bool]);
        let cases: [Case; 6] = [
            (&[], &[]),
            (&[(100, true)], &[false]),
            (&[(100, true), (90, true)], &[false, false]),
            (&[(101, true), (90, true)], &[true, false]),
            (&[(101, true), (90, false)], &[false, false]),
            (&[(101, true), (i64::MIN, true), (95, false)], &[true, false, true]),
        ];
        for (splits, expected) in cases {
            let own: Vec<Progress> =
                splits.iter().map(|&(watermark, is_behind)| Progress { watermark, is_behind }).collect();
            assert_eq!(Board::join(&Arc::default()).align(&own, 10), expected, "{splits:?}");
        }
    }

    #[test]
    fn tasks_see_each_others_splits_until_they_leave() {
        let board = Arc::default();
        let (one, other) = (Board::join(&board), Board::join(&board));
        let progress = |watermark| Progress { watermark, is_behind: true };
        one.align(&[progress(5)], 10);
        assert_eq!(other.align(&[progress(50)], 10), [true]);
        one.align(&[progress(45)], 10);
        assert_eq!(other.align(&[progress(50)], 10), [false]);
        one.align(&[progress(5)], 10);
        drop(one);
        assert_eq!(other.align(&[progress(50)], 10), [false], "the task that has left holds nothing back");
    }
}
