//! Where the rows of a task are cut for early results.
//!
//! A dataflow with early results sends on what it has at the very row that takes the watermark past a multiple of the interval. So what
//! an early result contains does not depend on how much a poll gives and when a commit comes, as far as one task decides.

use crate::operator::window::spec::floor;
use crate::plan::Dataflow;

pub(super) struct Cuts {
    interval_ns: i64,
    /// The last multiple that was passed; the least number as long as no watermark is known.
    passed: i64,
}

impl Cuts {
    /// `None` where no sink of the dataflow takes early results.
    pub(super) fn of(dataflow: &Dataflow) -> Option<Self> {
        let interval_ns = dataflow.early_results()?.interval_ns;
        Some(Self { interval_ns, passed: i64::MIN })
    }

    /// Whether a watermark has passed a multiple that none before it had passed. The first one counts too: the next stage has to know it,
    /// or would take the second one for the first.
    pub(super) fn is_passed(&mut self, watermark: i64) -> bool {
        let before = self.passed;
        self.passed = before.max(floor(watermark, self.interval_ns));
        before < self.passed
    }

    /// The rows before which to cut, and the watermarks there. `before` has the watermark before each row in its split, `others` is the
    /// least of the task's other splits.
    pub(super) fn of_rows(&mut self, before: &[i64], others: i64) -> Vec<(usize, i64)> {
        let mut cuts = Vec::new();
        for (row, &watermark) in before.iter().enumerate() {
            if self.is_passed(watermark.min(others)) {
                cuts.push((row, watermark));
            }
        }
        cuts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The watermark before each row, that of the other splits, and the cuts.
    type Case<'a> = (&'a [i64], i64, &'a [(usize, i64)]);

    #[test]
    fn rows_are_cut_where_the_watermark_has_passed_a_multiple() {
        let cases: &[Case<'_>] = &[
            (&[], i64::MAX, &[]),
            (&[i64::MIN, 25, 29, 30, 30, 39], i64::MAX, &[(1, 25), (3, 30)]),
            (&[25, 51, 52, 60], i64::MAX, &[(0, 25), (1, 51), (3, 60)]),
            // Another split is behind.
            (&[25, 51, 60], 35, &[(0, 25), (1, 51)]),
            (&[25, 51, 60], i64::MIN, &[]),
            (&[-25, -20, -1, 0], i64::MAX, &[(0, -25), (1, -20), (2, -1), (3, 0)]),
        ];
        for (before, others, expected) in cases {
            let mut cuts = Cuts { interval_ns: 10, passed: i64::MIN };
            assert_eq!(cuts.of_rows(before, *others), *expected, "{before:?} {others}");
        }
    }
}
