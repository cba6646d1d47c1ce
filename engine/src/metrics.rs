//! Prometheus metrics of pipelines and functions. Counted per batch, never per row, and shared by the tasks of a pipeline.
//!
//! They count from the moment they are made. A worker registers them with the pipeline as label, and a scrape then reads them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use arrow::array::Array;
use prometheus::core::Collector;
use prometheus::{
    Counter, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, exponential_buckets,
    linear_buckets,
};

use crate::format::BadReason;
use crate::plan::RowPolicy;
use crate::task::input_check::InputChecks;

const STATIC: &str = "names, labels and buckets are constants that Prometheus allows";

/// Labels of the policies by which a run goes on after an expression has failed.
const POLICIES: [&str; 2] = ["null", "dead_letter"];

#[derive(Debug)]
pub struct Metrics {
    pub source_rows: IntCounter,
    pub source_bytes: IntCounter,
    pub late_rows: IntCounter,
    /// Rows of keys beyond `max_keys` …
    pub dropped_rows: IntCounter,
    /// … and those keys, again with each commit that brings them.
    pub dropped_keys: IntCounter,
    pub windows_closed: IntCounter,
    /// Of open windows.
    pub early_rows: IntCounter,
    pub sink_rows: IntCounter,
    pub commits: IntCounter,
    /// Of commits over Kafka, from the flush to the broker's answer.
    pub commit_seconds: Histogram,
    pub task_restarts: IntCounter,
    /// State that did not fit into memory, since the start.
    pub spilled_bytes: IntCounter,
    /// … and what of it is on disk now.
    pub spill_files_bytes: IntGauge,
    bad_records: IntCounterVec,
    /// Of the late rows, those that were partials already, by the split that was behind.
    late_at_merge: IntCounterVec,
    expression_errors: IntCounterVec,
    /// Whether tables have any good record.
    pub inputs: InputChecks,
}

impl Default for Metrics {
    fn default() -> Self {
        // From a millisecond to a minute.
        let buckets = exponential_buckets(0.001, 1.6, 24).expect(STATIC);
        let commit_seconds = HistogramOpts::new("davy_commit_seconds", "Time per commit over Kafka.").buckets(buckets);
        let bad_records = Opts::new("davy_source_bad_records_total", "Records that could not be decoded.");
        let bad_records = IntCounterVec::new(bad_records, &["reason"]).expect(STATIC);
        let expression_errors =
            Opts::new("davy_expression_errors_total", "Failures of expressions, by what became of the row.");
        let expression_errors = IntCounterVec::new(expression_errors, &["reason", "policy"]).expect(STATIC);
        for reason in BadReason::OF_RECORDS {
            bad_records.with_label_values(&[reason.label()]);
        }
        let late_at_merge = Opts::new(
            "davy_window_late_at_merge_rows_total",
            "Rows that were late as partials, and are in no late table.",
        );
        for reason in BadReason::OF_EXPRESSIONS {
            for policy in POLICIES {
                expression_errors.with_label_values(&[reason.label(), policy]);
            }
        }
        let late_at_merge = IntCounterVec::new(late_at_merge, &["split"]).expect(STATIC);
        late_at_merge.with_label_values(&["unknown"]);
        Self {
            source_rows: counter("davy_source_rows_total", "Rows decoded."),
            source_bytes: counter("davy_source_bytes_total", "Bytes read, after decompression."),
            late_rows: counter("davy_window_late_rows_total", "Rows that came after their last window had closed."),
            dropped_rows: counter("davy_window_dropped_rows_total", "Rows of keys beyond max_keys."),
            dropped_keys: counter("davy_window_dropped_keys_total", "Keys beyond max_keys, by pane and commit."),
            windows_closed: counter("davy_window_closed_total", "Windows closed."),
            early_rows: counter("davy_window_early_rows_total", "Early results, rows of windows that were open."),
            sink_rows: counter("davy_sink_rows_total", "Rows committed to sinks."),
            commits: counter("davy_commit_total", "Commits."),
            commit_seconds: Histogram::with_opts(commit_seconds).expect(STATIC),
            task_restarts: counter("davy_task_restarts_total", "Tasks that started again from their last commit."),
            spilled_bytes: counter("davy_spilled_bytes_total", "State written to disk because memory was full."),
            spill_files_bytes: IntGauge::new("davy_spill_files_bytes", "State that is on disk now.").expect(STATIC),
            bad_records,
            expression_errors,
            late_at_merge,
            inputs: InputChecks::default(),
        }
    }
}

impl Metrics {
    pub fn count_bad(&self, reason: BadReason) {
        self.bad_records.with_label_values(&[reason.label()]).inc();
    }

    /// Counts rows that came too late as partials, from a split that had been idle.
    pub fn count_late_at_merge(&self, split: &str, n_rows: u64) {
        self.late_at_merge.with_label_values(&[split]).inc_by(n_rows);
    }

    /// Rows that came too late as partials, by split.
    pub fn late_at_merge(&self) -> BTreeMap<String, u64> {
        let mut found = BTreeMap::new();
        for metric in self.late_at_merge.collect().iter().flat_map(|family| family.get_metric()) {
            let split = metric.get_label().iter().map(|label| label.value().to_owned()).collect();
            let n_rows = metric.get_counter().get_value() as u64;
            if 0 < n_rows {
                found.insert(split, n_rows);
            }
        }
        found
    }

    /// Bad records by reason, without reasons that did not occur.
    pub fn bad_records(&self) -> BTreeMap<BadReason, u64> {
        let count = |reason: BadReason| (reason, self.bad_records.with_label_values(&[reason.label()]).get());
        BadReason::OF_RECORDS.map(count).into_iter().filter(|(_, n)| 0 < *n).collect()
    }

    pub fn count_failure(&self, reason: BadReason, policy: &RowPolicy) {
        self.expression_errors.with_label_values(&[reason.label(), policy.label()]).inc();
    }

    /// Failures of expressions by reason and the policy's label, without those that did not occur.
    pub fn expression_errors(&self) -> BTreeMap<(BadReason, &'static str), u64> {
        let counted = BadReason::OF_EXPRESSIONS.into_iter().flat_map(|reason| POLICIES.map(|policy| (reason, policy)));
        let count = |key: (BadReason, &'static str)| {
            (key, self.expression_errors.with_label_values(&[key.0.label(), key.1]).get())
        };
        counted.map(count).filter(|(_, n)| 0 < *n).collect()
    }

    /// The seconds that a share `quantile` of the commits over Kafka did not exceed, interpolated within a bucket.
    pub fn commit_seconds_quantile(&self, quantile: f64) -> f64 {
        let n_commits = self.commit_seconds.get_sample_count();
        if n_commits == 0 {
            return 0.0;
        }
        let wanted = n_commits as f64 * quantile;
        let (mut lower, mut n_below) = (0.0, 0);
        for family in self.commit_seconds.collect() {
            for bucket in family.get_metric().iter().flat_map(|metric| metric.get_histogram().get_bucket()) {
                let n = bucket.cumulative_count();
                if n_below < n && wanted <= n as f64 {
                    let share = (wanted - n_below as f64) / (n - n_below) as f64;
                    return lower + share * (bucket.upper_bound() - lower);
                }
                (lower, n_below) = (bucket.upper_bound(), n);
            }
        }
        lower
    }

    /// Adds the metrics to those that `registry` exports.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let counters = [
            &self.source_rows,
            &self.source_bytes,
            &self.late_rows,
            &self.dropped_rows,
            &self.dropped_keys,
            &self.windows_closed,
            &self.early_rows,
            &self.sink_rows,
            &self.commits,
            &self.task_restarts,
            &self.spilled_bytes,
        ];
        for counter in counters {
            registry.register(Box::new(counter.clone()))?;
        }
        registry.register(Box::new(self.spill_files_bytes.clone()))?;
        registry.register(Box::new(self.commit_seconds.clone()))?;
        registry.register(Box::new(self.late_at_merge.clone()))?;
        registry.register(Box::new(self.bad_records.clone()))?;
        registry.register(Box::new(self.expression_errors.clone()))
    }
}

fn counter(name: &str, help: &str) -> IntCounter {
    IntCounter::new(name, help).expect(STATIC)
}

/// The metrics of a function that a script creates, shared by all its calls.
#[derive(Debug)]
pub struct FunctionMetrics {
    /// The label `function`.
    pub name: String,
    /// What it calls, for people.
    pub about: String,
    pub rows: IntCounter,
    /// Rows without a result: a null or unusable argument, or a failed call.
    pub null_rows: IntCounter,
    pub batches: IntCounter,
    /// Time spent in calls, by the wall clock.
    pub seconds: Counter,
    pub errors: IntCounter,
    /// Why the first failed call failed.
    pub first_error: OnceLock<String>,
    /// Of models only.
    pub scores: Histogram,
}

impl FunctionMetrics {
    pub fn new(name: impl Into<String>, about: impl Into<String>) -> Self {
        let name = name.into();
        let of_function = |metric: &str, help: &str| Opts::new(metric, help).const_label("function", &name);
        let counter = |metric: &str, help: &str| IntCounter::with_opts(of_function(metric, help)).expect(STATIC);
        let scores = HistogramOpts {
            common_opts: of_function("davy_function_score", "Scores of a model."),
            buckets: linear_buckets(0.1, 0.1, 10).expect(STATIC),
        };
        let seconds = of_function("davy_function_seconds_total", "Time spent in calls of a function.");
        Self {
            rows: counter("davy_function_rows_total", "Rows that a function was called with."),
            null_rows: counter("davy_function_null_rows_total", "Rows without a result of a function."),
            batches: counter("davy_function_batches_total", "Calls of a function."),
            seconds: Counter::with_opts(seconds).expect(STATIC),
            errors: counter("davy_function_errors_total", "Calls of a function that failed."),
            first_error: OnceLock::new(),
            scores: Histogram::with_opts(scores).expect(STATIC),
            about: about.into(),
            name,
        }
    }

    /// Counts the scores of a batch; NaN is no score.
    pub fn count_scores(&self, scores: &[f64]) {
        let counted = self.scores.local();
        scores.iter().filter(|score| !score.is_nan()).for_each(|score| counted.observe(*score));
        self.null_rows.inc_by(scores.len() as u64 - counted.get_sample_count());
        counted.flush();
    }

    /// Adds the metrics to those that `registry` exports.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        for counter in [&self.rows, &self.null_rows, &self.batches, &self.errors] {
            registry.register(Box::new(counter.clone()))?;
        }
        registry.register(Box::new(self.seconds.clone()))?;
        registry.register(Box::new(self.scores.clone()))
    }
}

/// The metrics of a lookup table, shared by all its joins.
#[derive(Debug)]
pub struct LookupMetrics {
    /// The label `table`.
    pub name: String,
    /// Of the list that is published.
    pub entries: IntGauge,
    pub rows: IntCounter,
    /// Rows with an entry.
    pub matches: IntCounter,
    /// Versions that were published after the first one.
    pub reloads: IntCounter,
    /// Looks at the list after which the version before stayed.
    pub reload_errors: IntCounter,
}

impl LookupMetrics {
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let of_table = |metric: &str, help: &str| Opts::new(metric, help).const_label("table", &name);
        let counter = |metric: &str, help: &str| IntCounter::with_opts(of_table(metric, help)).expect(STATIC);
        let entries = of_table("davy_lookup_entries", "Entries of a lookup table.");
        Self {
            entries: IntGauge::with_opts(entries).expect(STATIC),
            rows: counter("davy_lookup_rows_total", "Rows that were joined with a lookup table."),
            matches: counter("davy_lookup_matches_total", "Rows with an entry in a lookup table."),
            reloads: counter("davy_lookup_reloads_total", "New versions of a lookup table's list."),
            reload_errors: counter("davy_lookup_reload_errors_total", "Lists that could not be read or used."),
            name,
        }
    }

    /// Counts the entries that were found for a batch; null is none.
    pub fn count(&self, found: &dyn Array) {
        self.rows.inc_by(found.len() as u64);
        self.matches.inc_by((found.len() - found.null_count()) as u64);
    }

    /// Adds the metrics to those that `registry` exports.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.entries.clone()))?;
        for counter in [&self.rows, &self.matches, &self.reloads, &self.reload_errors] {
            registry.register(Box::new(counter.clone()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near() {
        let metrics = Metrics::default();
        assert_eq!(metrics.commit_seconds_quantile(0.5).to_bits(), 0);
        (1..=100).for_each(|ms| metrics.commit_seconds.observe(f64::from(ms) / 1e3));
        for (quantile, exact) in [(0.01, 1), (0.5, 50), (0.99, 99), (1.0, 100)] {
            let found = metrics.commit_seconds_quantile(quantile) / (f64::from(exact) / 1e3);
            assert!((0.9..1.2).contains(&found), "{quantile}: {found}");
        }
    }

    #[test]
    fn scores_are_counted_by_tenths() {
        let metrics = FunctionMetrics::new("f", "");
        metrics.count_scores(&[0.0, 0.09, 0.15, 0.95, 1.0, f64::NAN, -0.5]);
        let families = metrics.scores.collect();
        let buckets = families[0].get_metric()[0].get_histogram().get_bucket();
        let counted: Vec<u64> = buckets.iter().map(prometheus::proto::Bucket::cumulative_count).collect();
        assert_eq!(counted, [3, 4, 4, 4, 4, 4, 4, 4, 4, 6]);
        assert_eq!(metrics.null_rows.get(), 1);
    }
}
