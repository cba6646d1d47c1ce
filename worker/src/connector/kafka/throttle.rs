//! How fast a source may read: `source.messages_per_second`.
//!
//! The rate holds on average: a fetch is taken whole, and the next one waits until its messages have been paid for. Nothing is left
//! out; what is not read yet is lag.

use std::num::NonZeroU32;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Throttle {
    /// Messages of one partition in a second.
    rate: NonZeroU32,
    /// When the next message may be read.
    free_at: Duration,
}

impl Throttle {
    pub(super) fn new(rate: NonZeroU32) -> Self {
        Self { rate, free_at: Duration::ZERO }
    }

    /// How long nothing may be read.
    pub(super) fn wait(&self, now: Duration) -> Duration {
        self.free_at.saturating_sub(now)
    }

    /// Counts messages of `n_partitions` partitions.
    pub(super) fn took(&mut self, n_messages: usize, n_partitions: usize, now: Duration) {
        let per_second = f64::from(self.rate.get()) * n_partitions.max(1) as f64;
        self.free_at = self.free_at.max(now) + Duration::from_secs_f64(n_messages as f64 / per_second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `fetches` (at a second since the start, so many messages), each as soon as it may be; when the last one was over.
    fn ends_at(rate: u32, n_partitions: usize, fetches: &[(f64, usize)]) -> f64 {
        let mut throttle = Throttle::new(NonZeroU32::new(rate).expect("a rate"));
        let mut now = Duration::ZERO;
        for (arrives, n_messages) in fetches {
            now = now.max(Duration::from_secs_f64(*arrives));
            now += throttle.wait(now);
            throttle.took(*n_messages, n_partitions, now);
        }
        (now + throttle.wait(now)).as_secs_f64()
    }

    #[test]
    fn the_rate_holds_on_average() {
        type Fetches = &'static [(f64, usize)];
        let cases: [(u32, usize, Fetches, f64); 6] = [
            (100, 1, &[(0.0, 50)], 0.5),
            (100, 1, &[(0.0, 50), (0.0, 50), (0.0, 100)], 2.0),
            (100, 4, &[(0.0, 400)], 1.0),
            // Unused time is not saved up.
            (100, 1, &[(0.0, 10), (60.0, 100)], 61.0),
            (100, 1, &[(0.0, 100), (0.5, 0), (0.5, 100)], 2.0),
            (1, 0, &[(0.0, 2)], 2.0),
        ];
        for (rate, n_partitions, fetches, expected) in cases {
            let found = ends_at(rate, n_partitions, fetches);
            assert!((found - expected).abs() < 1e-6, "{rate} {n_partitions} {fetches:?}: {found}");
        }
    }
}
