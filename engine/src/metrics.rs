//! What is counted, by name. Counted per batch, never per row; shared by the tasks of a pipeline.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::format::BadReason;

/// A counter that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Reads.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
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
