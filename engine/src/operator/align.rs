//! Alignment: splits that run too far ahead in event time are held back until the slowest has caught up.
//!
//! After a pause some splits have more to catch up with than others. Whatever the fast ones bring waits in open windows for the
//! slow ones, and so takes memory. The tasks of a stage share one board; each holds back its own.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::log::SplitId;

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
pub struct Board(Mutex<BTreeMap<SplitId, Progress>>);

impl Board {
    /// Updates the progress of a task's own splits, and returns which of them to hold back.
    pub fn align(&self, own: &[(SplitId, Progress)], max_drift: i64) -> Vec<bool> {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        board.extend(own.iter().cloned());
        let limit = limit(board.values(), max_drift);
        own.iter().map(|(_, progress)| limit < progress.watermark).collect()
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
            let own: Vec<(SplitId, Progress)> = splits
                .iter()
                .enumerate()
                .map(|(index, &(watermark, is_behind))| {
                    (SplitId::from(format!("t/{index}").as_str()), Progress { watermark, is_behind })
                })
                .collect();
            assert_eq!(Board::default().align(&own, 10), expected, "{splits:?}");
        }
    }

    #[test]
    fn tasks_see_each_others_splits() {
        let board = Board::default();
        let progress = |watermark| Progress { watermark, is_behind: true };
        board.align(&[(SplitId::from("t/0"), progress(5))], 10);
        assert_eq!(board.align(&[(SplitId::from("t/1"), progress(50))], 10), [true]);
        board.align(&[(SplitId::from("t/0"), progress(45))], 10);
        assert_eq!(board.align(&[(SplitId::from("t/1"), progress(50))], 10), [false]);
    }
}
