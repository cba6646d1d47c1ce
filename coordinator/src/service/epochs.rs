//! Epochs for owners of tasks: each is greater than all earlier ones, of earlier leaders too.
//!
//! They are reserved in blocks: the catalog remembers a ceiling, and none at or above it is given out before a higher one is durable.
//! A coordinator that dies wastes the rest of its block; there are 2^64 of them.

use davy_proto::domain::Epoch;

/// Epochs of one block. Large enough that a cluster that restarts all its tasks at once seldom waits for the catalog.
const BLOCK: u64 = 16_384;

/// Pipelines that run without a coordinator take milliseconds since 1970, shifted by so many bits, as their epochs.
const CLOCK_SHIFT: u32 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epochs {
    next: u64,
    ceiling: u64,
}

impl Epochs {
    /// Epochs of a new leader. Its ceiling must be durable before it grants one.
    ///
    /// They begin above all epochs of earlier leaders, and above those of pipelines that ran without a coordinator.
    pub fn begin(ceiling: Epoch, unix_ms: i64) -> Self {
        let by_clock = u64::try_from(unix_ms).unwrap_or(0) << CLOCK_SHIFT;
        let first = ceiling.0.max(by_clock).max(1);
        Self { next: first, ceiling: first + BLOCK }
    }

    /// None at or above it has been given out.
    pub fn ceiling(&self) -> Epoch {
        Epoch(self.ceiling)
    }

    /// The ceiling to be made durable before `n` more can be given out; `None`: there are enough.
    pub fn needs(&self, n: usize) -> Option<Epoch> {
        let n = u64::try_from(n).unwrap_or(u64::MAX);
        let n_left = self.ceiling.saturating_sub(self.next);
        (n_left < n).then(|| Epoch(self.ceiling.max(self.next) + n.max(BLOCK)))
    }

    /// Gives out none up to `seen` any more: a worker had it, though the catalog knew nothing of it.
    pub fn skip(&mut self, seen: Epoch) {
        self.next = self.next.max(seen.0.saturating_add(1));
    }

    /// The catalog remembers this ceiling now.
    pub fn raise(&mut self, ceiling: Epoch) {
        assert!(self.ceiling <= ceiling.0, "a ceiling only rises: {} to {ceiling}", self.ceiling);
        self.ceiling = ceiling.0;
    }

    pub fn take(&mut self) -> Epoch {
        assert!(self.next < self.ceiling, "epoch {} is not reserved", self.next);
        self.next += 1;
        Epoch(self.next - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_begins_above_all_before_it() {
        let first = |ceiling, unix_ms| Epochs::begin(Epoch(ceiling), unix_ms).take().0;
        assert_eq!(first(0, 0), 1);
        assert_eq!(first(5, 0), 5);
        assert_eq!(first(5, 1), 1 << 20);
        assert_eq!(first(1 << 21, 1), 1 << 21);
        assert_eq!(first(7, -1), 7, "a clock before 1970 counts for nothing");
    }

    #[test]
    fn no_epoch_is_granted_before_it_is_reserved() {
        let mut epochs = Epochs::begin(Epoch(1), 0);
        assert_eq!(epochs.needs(16_384), None);
        let ceiling = epochs.needs(20_000).expect("more than a block");
        epochs.raise(ceiling);
        let taken: Vec<u64> = (0..20_000).map(|_| epochs.take().0).collect();
        assert!(taken.is_sorted_by(|a, b| a < b) && *taken.last().expect("some") < ceiling.0);
    }

    #[test]
    fn epochs_that_a_worker_has_are_skipped() {
        let mut epochs = Epochs::begin(Epoch(1), 0);
        epochs.skip(Epoch(100));
        assert_eq!(epochs.take(), Epoch(101));
        epochs.skip(Epoch(50));
        assert_eq!(epochs.take(), Epoch(102));
        epochs.skip(Epoch(1 << 30));
        epochs.raise(epochs.needs(1).expect("above the ceiling"));
        assert_eq!(epochs.take(), Epoch((1 << 30) + 1));
    }

    #[test]
    #[should_panic(expected = "is not reserved")]
    fn the_ceiling_holds() {
        let mut epochs = Epochs { next: 1, ceiling: 1 };
        epochs.take();
    }
}
