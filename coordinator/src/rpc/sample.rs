//! Samples the rows of a topic for people: a few per second, and a count of the skipped ones.

use std::time::Duration;

use davy_proto::domain::TailRow;

/// Rows per second by default.
const ROWS_PER_SECOND: u32 = 10;

/// More than a person can read.
const ROWS_PER_SECOND_MAX: u32 = 1_000;

/// Bytes of one answer; a longer row is skipped.
const BYTES_MAX: usize = 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sampler {
    rows_per_second: u32,
    /// Rows that may still be sent, of the limit that the client set.
    n_left: u64,
    /// The second that was begun, and rows sent in it.
    second: (u64, u32),
    skipped: u64,
}

impl Sampler {
    /// From a request: a limit of 0 rows is no limit, 0 rows per second is the default.
    pub(super) fn new(limit: u64, rows_per_second: u32) -> Self {
        let n_left = if limit == 0 { u64::MAX } else { limit };
        let rows_per_second = if rows_per_second == 0 { ROWS_PER_SECOND } else { rows_per_second };
        Self { rows_per_second: rows_per_second.min(ROWS_PER_SECOND_MAX), n_left, second: (0, 0), skipped: 0 }
    }

    /// Rows that were read at `now`: those to be sent. The others count as skipped.
    pub(super) fn choose(&mut self, rows: Vec<TailRow>, now: Duration) -> Vec<TailRow> {
        if self.second.0 != now.as_secs() {
            self.second = (now.as_secs(), 0);
        }
        let mut chosen = Vec::new();
        let mut n_bytes = 0;
        for row in rows {
            let n_row = row.key.len() + row.value.len();
            let has_room = self.second.1 < self.rows_per_second && n_bytes + n_row <= BYTES_MAX;
            if has_room && 0 < self.n_left {
                n_bytes += n_row;
                self.second.1 += 1;
                self.n_left -= 1;
                chosen.push(row);
            } else {
                self.skipped += 1;
            }
        }
        chosen
    }

    /// Rows skipped since the last call.
    pub(super) fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.skipped)
    }

    /// Rows that were chosen could not be sent.
    pub(super) fn give_back(&mut self, n_rows: usize, skipped: u64) {
        let n_rows = u64::try_from(n_rows).unwrap_or(u64::MAX);
        self.n_left = self.n_left.saturating_add(n_rows);
        self.skipped += skipped + n_rows;
    }

    /// Whether all requested rows were sent.
    pub(super) fn is_done(&self) -> bool {
        self.n_left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: usize, n_bytes: usize) -> Vec<TailRow> {
        (0..n).map(|_| TailRow { value: vec![0; n_bytes], ..TailRow::default() }).collect()
    }

    #[test]
    fn rows_per_second_are_limited_and_the_rest_is_counted() {
        let mut sampler = Sampler::new(0, 3);
        let at = Duration::from_millis;
        assert_eq!(sampler.choose(rows(2, 1), at(0)).len(), 2);
        assert_eq!(sampler.choose(rows(5, 1), at(999)).len(), 1);
        assert_eq!(sampler.take_skipped(), 4);
        assert_eq!(sampler.choose(rows(5, 1), at(1_000)).len(), 3);
        assert_eq!((sampler.take_skipped(), sampler.take_skipped()), (2, 0));
        assert!(!sampler.is_done());
    }

    #[test]
    fn a_limit_holds_over_all_seconds() {
        let mut sampler = Sampler::new(5, 0);
        assert_eq!(sampler.choose(rows(3, 1), Duration::ZERO).len(), 3);
        sampler.give_back(3, 0);
        assert_eq!(sampler.choose(rows(9, 1), Duration::from_secs(1)).len(), 5);
        assert!(sampler.is_done());
        assert_eq!(sampler.take_skipped(), 7);
    }

    #[test]
    fn the_bytes_of_an_answer_are_limited() {
        let mut sampler = Sampler::new(0, 1_000);
        assert_eq!(sampler.choose(rows(1, BYTES_MAX + 1), Duration::ZERO).len(), 0);
        assert_eq!(sampler.choose(rows(9, BYTES_MAX / 4), Duration::ZERO).len(), 4);
        assert_eq!(sampler.take_skipped(), 6);
    }

    #[test]
    fn defaults_are_for_people() {
        assert_eq!(Sampler::new(0, 0).choose(rows(99, 1), Duration::ZERO).len(), 10);
        assert_eq!(Sampler::new(0, u32::MAX).choose(rows(5_000, 1), Duration::ZERO).len(), 1_000);
    }
}
