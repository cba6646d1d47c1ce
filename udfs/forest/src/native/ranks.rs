//! Values as ranks: how many of the forest's thresholds a value is above.
//!
//! `x <= threshold` holds exactly when `x`'s rank is at most the threshold's index among the sorted thresholds, and ranks are 16
//! bits where keys are 32: twice the rows in a register. A rank is a binary search over the column's thresholds (a dozen steps, in
//! L1), once for all trees: some 10 cycles a value.

use std::hint::select_unpredictable;

/// Values that are searched side by side.
const N_LANES: usize = 8;

/// The most thresholds of a column: ranks fit in 16 bits, and one is left that nothing is above.
pub(super) const N_THRESHOLDS_MAX: usize = 65_534;

/// The sorted threshold keys of one column.
#[derive(Debug)]
pub(super) struct Ranks {
    /// Padded with `u32::MAX`, which no key is above, to a power of two less one.
    sorted: Vec<u32>,
}

impl Ranks {
    /// From keys in any order, with repetitions; `None` if they are too many.
    pub(super) fn of(mut thresholds: Vec<u32>) -> Option<Self> {
        thresholds.sort_unstable();
        thresholds.dedup();
        if N_THRESHOLDS_MAX < thresholds.len() {
            return None;
        }
        let n_padded = (thresholds.len() + 1).next_power_of_two() - 1;
        thresholds.resize(n_padded, u32::MAX);
        Some(Self { sorted: thresholds })
    }

    /// Keys of higher rank are above the threshold.
    pub(super) fn rank_of_threshold(&self, threshold: u32) -> u16 {
        let rank = self.sorted.binary_search(&threshold).expect("every threshold was collected");
        u16::try_from(rank).expect("there are at most 65,534")
    }

    /// The rank of a key: the number of thresholds below it.
    #[inline(always)]
    pub(super) fn ranks(&self, keys: [u32; N_LANES]) -> [u16; N_LANES] {
        let mut rank = [0_usize; N_LANES];
        let mut step = self.sorted.len().div_ceil(2);
        while 0 < step {
            for lane in 0..N_LANES {
                let is_above = self.at(rank[lane] + step - 1) < keys[lane];
                // A branch would be mispredicted every other time.
                rank[lane] = select_unpredictable(is_above, rank[lane] + step, rank[lane]);
            }
            step /= 2;
        }
        rank.map(|rank| rank as u16)
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "the bounds check would be a third of the search's instructions")]
    fn at(&self, index: usize) -> u32 {
        debug_assert!(index < self.sorted.len());
        // SAFETY: the length is 2^k - 1 and the steps are 2^(k-1), …, 2, 1: a rank is at most the sum of the steps before, so
        // `rank + step - 1` is at most 2^k - 2. Without thresholds there is no step.
        unsafe { *self.sorted.get_unchecked(index) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_is_the_number_of_thresholds_below() {
        for n in [0_u32, 1, 2, 3, 4, 7, 8, 9, 33] {
            let thresholds: Vec<u32> = (0..n).map(|index| index * 10 + 5).collect();
            let ranks = Ranks::of(thresholds.clone()).unwrap();
            for key in (0..=n * 10).chain([u32::MAX]) {
                let n_below = thresholds.iter().filter(|threshold| **threshold < key).count();
                assert_eq!(usize::from(ranks.ranks([key; N_LANES])[0]), n_below, "{key} among {n}");
            }
        }
        if !cfg!(miri) {
            assert!(Ranks::of((0..65_535).collect()).is_none());
        }
    }
}
