//! How many rows a commit may have: as many as a task writes in a small part of the time that a transaction may be open.
//!
//! A broker aborts a transaction that is open for longer than its timeout. Over a slow connection a commit of many rows would always take
//! longer, and be tried again for ever. So the number follows the measured time, and a commit that fails after a long time is followed by
//! smaller ones.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// As many rows as a commit has where nothing is slow.
const ROWS_MAX: usize = 1 << 18;
/// Fewer rows would not be faster.
const ROWS_MIN: usize = 256;
/// The part of a transaction's timeout that a commit should take at most.
const PART: u32 = 4;
/// How many times smaller the commit after a failed one is.
const AFTER_FAILURE: usize = 4;

/// What is known of a task's commits, through all of its attempts.
#[derive(Debug)]
pub(crate) struct CommitRows {
    rows_max: AtomicUsize,
    /// How long a commit should take at most.
    target: Duration,
}

impl CommitRows {
    /// `timeout`: how long a transaction may be open.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { rows_max: AtomicUsize::new(ROWS_MAX), target: timeout / PART }
    }

    /// Of commits that may take as long as they want.
    pub(super) fn unlimited() -> Self {
        Self::new(Duration::MAX)
    }

    /// How many rows the next commit should have at most, about.
    pub(crate) fn rows_max(&self) -> usize {
        self.rows_max.load(Ordering::Relaxed)
    }

    /// After how many rows a commit is due. Rows that are only read make none as a rule, so without a slow commit this is no limit.
    pub(super) fn due_after(&self) -> usize {
        let rows_max = self.rows_max();
        if rows_max < ROWS_MAX { rows_max } else { usize::MAX }
    }

    /// Notes a commit of `n_rows` rows that took this long.
    pub(super) fn note(&self, n_rows: usize, took: Duration) {
        self.rows_max.store(next(self.rows_max(), n_rows, took, self.target), Ordering::Relaxed);
    }

    /// Notes a commit of `n_rows` rows that failed after this time.
    pub(super) fn note_failure(&self, n_rows: usize, after: Duration) {
        if self.target <= after {
            let fewer = (n_rows.min(self.rows_max()) / AFTER_FAILURE).max(ROWS_MIN);
            self.rows_max.store(fewer, Ordering::Relaxed);
        }
    }
}

/// | the commit | rows of the next one |
/// |---|---|
/// | took longer than the target | as many as fit into the target at the same rate |
/// | was large, and took less than half of the target | twice as many |
/// | anything else | as before |
fn next(rows_max: usize, n_rows: usize, took: Duration, target: Duration) -> usize {
    if target < took {
        let fit = n_rows as f64 * (target.as_secs_f64() / took.as_secs_f64());
        return (fit as usize).clamp(ROWS_MIN, rows_max.max(ROWS_MIN));
    }
    if rows_max / 2 <= n_rows && took < target / 2 { (2 * rows_max).min(ROWS_MAX) } else { rows_max }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_secs(3);

    #[test]
    fn commits_become_smaller_when_they_are_slow_and_larger_when_they_are_fast() {
        let cases = [
            (ROWS_MAX, 200_000, 30, 20_000),
            (ROWS_MAX, 200_000, 3, ROWS_MAX),
            (10_000, 200_000, 30, 10_000),
            (10_000, 6_000, 1, 20_000),
            (10_000, 6_000, 2, 10_000),
            (10_000, 100, 1, 10_000),
            (200_000, 200_000, 0, ROWS_MAX),
            (10_000, 1_000, 3_000, ROWS_MIN),
        ];
        for (rows_max, n_rows, seconds, expected) in cases {
            let found = next(rows_max, n_rows, Duration::from_secs(seconds), TARGET);
            assert_eq!(found, expected, "{n_rows} rows of {rows_max} in {seconds} s");
        }
    }

    #[test]
    fn a_commit_that_failed_slowly_is_followed_by_smaller_ones() {
        let commit_rows = CommitRows::new(Duration::from_secs(15));
        commit_rows.note_failure(100_000, Duration::from_millis(10));
        assert_eq!(commit_rows.rows_max(), ROWS_MAX, "a broker that is away");
        commit_rows.note_failure(100_000, Duration::from_secs(15));
        assert_eq!(commit_rows.rows_max(), 25_000);
        (0..20).for_each(|_| commit_rows.note_failure(100_000, Duration::from_secs(15)));
        assert_eq!(commit_rows.rows_max(), ROWS_MIN);
    }

    #[test]
    fn commits_without_a_timeout_stay_as_they_are() {
        let commit_rows = CommitRows::unlimited();
        commit_rows.note(1, Duration::from_secs(1 << 30));
        assert_eq!(commit_rows.rows_max(), ROWS_MAX);
    }
}
