//! What is counted, by name. Counted per batch, never per row; shared by the tasks of a pipeline.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use crate::format::BadReason;

/// A counter that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How long things took: counts by duration, in steps of a quarter of a power of two.
#[derive(Debug)]
pub struct Durations([Counter; STEPS]);

/// From a microsecond to more than an hour.
const STEPS: usize = 132;

impl Default for Durations {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl Durations {
    pub fn add(&self, duration: Duration) {
        let micros = (duration.as_nanos() as f64 / 1e3).max(1.0);
        let step = (micros.log2() * 4.0).ceil() as usize;
        self.0[step.min(STEPS - 1)].add(1);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.0.iter().map(Counter::get).sum()
    }

    /// The duration that a share `quantile` of them did not exceed; up to a fifth too long, as steps are.
    pub fn quantile(&self, quantile: f64) -> Duration {
        let wanted = (self.count() as f64 * quantile).ceil() as u64;
        let mut counted = 0;
        for (step, counter) in self.0.iter().enumerate() {
            counted += counter.get();
            if 0 < counted && wanted <= counted {
                return Duration::from_secs_f64((step as f64 / 4.0).exp2() / 1e6);
            }
        }
        Duration::ZERO
    }
}

/// The counters of a pipeline.
#[derive(Debug, Default)]
pub struct Metrics {
    /// `source_rows_total`: rows decoded.
    pub source_rows: Counter,
    /// `source_bytes_total`: bytes read, after decompression.
    pub source_bytes: Counter,
    /// `window_late_rows_total`: rows that came after their last window had closed.
    pub late_rows: Counter,
    /// `window_closed_total`: windows closed.
    pub windows_closed: Counter,
    /// `sink_rows_total`: rows committed to sinks.
    pub sink_rows: Counter,
    /// `commit_total`: commits.
    pub commits: Counter,
    /// `commit_seconds`: how long commits over Kafka took, from the flush to the broker's answer.
    pub commit_durations: Durations,
    /// `task_restarts_total`: tasks that started again from their last commit.
    pub task_restarts: Counter,
    /// `source_bad_records_total{reason}`: records that could not be decoded.
    bad_records: Mutex<BTreeMap<BadReason, u64>>,
}

impl Metrics {
    /// Counts a bad record.
    pub fn count_bad(&self, reason: BadReason) {
        let mut counts = self.bad_records.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *counts.entry(reason).or_default() += 1;
    }

    /// Bad records by reason.
    pub fn bad_records(&self) -> BTreeMap<BadReason, u64> {
        self.bad_records.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

/// The counters of a function that a script creates; shared by all its calls.
#[derive(Debug, Default)]
pub struct FunctionMetrics {
    /// The function's name: the label `function`.
    pub name: String,
    /// What it calls, for people.
    pub about: String,
    /// `function_rows_total`: rows it was called with.
    pub rows: Counter,
    /// `function_null_rows_total`: rows that got no result: a null or unusable argument, or a failed call.
    pub null_rows: Counter,
    /// `function_batches_total`: calls.
    pub batches: Counter,
    /// `function_seconds_total`, in nanoseconds: time spent in calls, by the wall clock.
    pub nanoseconds: Counter,
    /// `function_errors_total`: calls that failed.
    pub errors: Counter,
    /// Why the first of them failed.
    pub first_error: OnceLock<String>,
    /// `function_score{le}`: scores by tenth, `[0, 0.1)`, …, `[0.9, 1]`; models only.
    pub scores: [Counter; 10],
}

impl FunctionMetrics {
    /// Of the function `name`, which calls `about`; nothing counted yet.
    pub fn new(name: impl Into<String>, about: impl Into<String>) -> Self {
        Self { name: name.into(), about: about.into(), ..Self::default() }
    }

    /// Counts the scores of a batch; NaN is no score.
    pub fn count_scores(&self, scores: &[f64]) {
        let mut counts = [0_u64; 10];
        let mut n_null = 0;
        for score in scores {
            if score.is_nan() {
                n_null += 1;
            } else {
                counts[((score * 10.0) as usize).min(9)] += 1;
            }
        }
        self.null_rows.add(n_null);
        for (counter, n) in self.scores.iter().zip(counts) {
            counter.add(n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near_and_never_too_short() {
        let durations = Durations::default();
        assert_eq!(durations.quantile(0.5), Duration::ZERO);
        (1..=100).for_each(|ms| durations.add(Duration::from_millis(ms)));
        for (quantile, exact) in [(0.01, 1), (0.5, 50), (0.99, 99), (1.0, 100)] {
            let found = durations.quantile(quantile).as_secs_f64() / (f64::from(exact) / 1e3);
            assert!((1.0..1.2).contains(&found), "{quantile}: {found}");
        }
    }

    #[test]
    fn scores_are_counted_by_tenths() {
        let metrics = FunctionMetrics::new("f", "");
        metrics.count_scores(&[0.0, 0.09, 0.1, 0.95, 1.0, f64::NAN, -0.5, 7.0]);
        let counted = metrics.scores.each_ref().map(Counter::get);
        assert_eq!(counted, [3, 1, 0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(metrics.null_rows.get(), 1);
    }
}
