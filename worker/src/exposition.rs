//! All metrics of a worker, by name: what Prometheus scrapes.
//!
//! Labels are pipelines, functions, phases and reasons: never an address, a key or a message. Counters begin at 0 with the process,
//! and with each change of a pipeline's text.

use std::collections::BTreeMap;
use std::sync::Arc;

use davy_engine::metrics::{FunctionMetrics, Metrics};
use davy_engine::{Error, Result};
use prometheus::{Encoder, Gauge, GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::slots::TaskReport;

pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

type Counted = Vec<(String, Arc<Metrics>, Vec<Arc<FunctionMetrics>>)>;
/// A counter of a pipeline: its name, what it says, how it is read.
type OfPipeline = (&'static str, &'static str, fn(&Metrics) -> u64);
/// The same of a function.
type OfFunction = (&'static str, &'static str, fn(&FunctionMetrics) -> u64);

const PIPELINE: [OfPipeline; 7] = [
    ("davy_source_rows_total", "Rows decoded.", |metrics| metrics.source_rows.get()),
    ("davy_source_bytes_total", "Bytes read, after decompression.", |metrics| metrics.source_bytes.get()),
    ("davy_window_late_rows_total", "Rows that came after their last window had closed.", |metrics| {
        metrics.late_rows.get()
    }),
    ("davy_window_closed_total", "Windows closed.", |metrics| metrics.windows_closed.get()),
    ("davy_sink_rows_total", "Rows committed to sinks.", |metrics| metrics.sink_rows.get()),
    ("davy_commit_total", "Commits.", |metrics| metrics.commits.get()),
    ("davy_task_restarts_total", "Tasks that began again at their last commit.", |metrics| metrics.task_restarts.get()),
];

const FUNCTION: [OfFunction; 4] = [
    ("davy_function_rows_total", "Rows that a function was called with.", |metrics| metrics.rows.get()),
    ("davy_function_null_rows_total", "Rows that got no result of a function.", |metrics| metrics.null_rows.get()),
    ("davy_function_batches_total", "Calls of a function.", |metrics| metrics.batches.get()),
    ("davy_function_errors_total", "Calls of a function that failed.", |metrics| metrics.errors.get()),
];

/// Commit times are shown at these quantiles.
const QUANTILES: [f64; 2] = [0.5, 0.99];

pub(crate) fn text(counted: &Counted, tasks: &[TaskReport], is_connected: bool) -> Result<Vec<u8>> {
    let registry = Registry::new();
    let filled = fill(&registry, counted, tasks, is_connected);
    let mut text = Vec::new();
    let encoded = filled.and_then(|()| TextEncoder::new().encode(&registry.gather(), &mut text));
    encoded.map_err(|error| Error::internal(format!("metrics: {error}")))?;
    Ok(text)
}

fn fill(
    registry: &Registry,
    counted: &Counted,
    tasks: &[TaskReport],
    is_connected: bool,
) -> Result<(), prometheus::Error> {
    for (name, help, read) in PIPELINE {
        let counter = IntCounterVec::new(Opts::new(name, help), &["pipeline"])?;
        for (id, metrics, _) in counted {
            counter.with_label_values(&[id]).inc_by(read(metrics));
        }
        registry.register(Box::new(counter))?;
    }
    for (name, help, read) in FUNCTION {
        let counter = IntCounterVec::new(Opts::new(name, help), &["pipeline", "function"])?;
        for (id, _, functions) in counted {
            for function in functions {
                counter.with_label_values(&[id, &function.name]).inc_by(read(function));
            }
        }
        registry.register(Box::new(counter))?;
    }
    let bad = Opts::new("davy_source_bad_records_total", "Records that could not be decoded.");
    let bad = IntCounterVec::new(bad, &["pipeline", "reason"])?;
    let commits =
        Opts::new("davy_commit_quantile_seconds", "How long commits took, at quantiles of all since the start.");
    let commits = GaugeVec::new(commits, &["pipeline", "share"])?;
    for (id, metrics, _) in counted {
        for (reason, n) in metrics.bad_records() {
            bad.with_label_values(&[id, reason.label()]).inc_by(n);
        }
        for quantile in QUANTILES {
            let took = metrics.commit_durations.quantile(quantile).as_secs_f64();
            commits.with_label_values(&[id, &quantile.to_string()]).set(took);
        }
    }
    registry.register(Box::new(bad))?;
    registry.register(Box::new(commits))?;
    of_tasks(registry, tasks)?;
    let connected =
        Gauge::new("davy_worker_connected", "1 while the worker has a session with a coordinator, else 0.")?;
    connected.set(f64::from(u8::from(is_connected)));
    registry.register(Box::new(connected))
}

fn of_tasks(registry: &Registry, tasks: &[TaskReport]) -> Result<(), prometheus::Error> {
    let phases = IntGaugeVec::new(Opts::new("davy_worker_tasks", "Tasks by what they are doing."), &["phase"])?;
    for phase in ["starting", "running", "draining", "released", "failed"] {
        phases.with_label_values(&[phase]).set(0);
    }
    let lag = IntGaugeVec::new(
        Opts::new("davy_source_lag_messages", "Messages not yet read by the tasks of a pipeline here."),
        &["pipeline"],
    )?;
    let busy = Opts::new(
        "davy_worker_busy_tasks",
        "Tasks of a pipeline here that do not wait: the sum of their shares of time.",
    );
    let busy = GaugeVec::new(busy, &["pipeline"])?;
    let mut sums: BTreeMap<&str, (u64, f64)> = BTreeMap::new();
    for task in tasks {
        phases.with_label_values(&[format!("{:?}", task.phase).to_lowercase()]).inc();
        // `<tenant>/<name>` of `<tenant>/<name>/<dataflow>/<stage>/<index>`.
        let pipeline = task.task.rsplitn(4, '/').last().unwrap_or_default();
        let sum = sums.entry(pipeline).or_default();
        *sum = (sum.0 + task.lag, sum.1 + task.busy_ratio);
    }
    for (pipeline, (messages, ratio)) in sums {
        lag.with_label_values(&[pipeline]).set(i64::try_from(messages).unwrap_or(i64::MAX));
        busy.with_label_values(&[pipeline]).set(ratio);
    }
    registry.register(Box::new(phases))?;
    registry.register(Box::new(lag))?;
    registry.register(Box::new(busy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_explained_and_no_counter_lacks_its_ending() {
        let counted = vec![("soc/miners".to_owned(), Arc::new(Metrics::default()), Vec::new())];
        let text = String::from_utf8(text(&counted, &[], true).expect("text")).expect("UTF-8");
        let families = |kind: &str| text.lines().filter(|line| line.starts_with(kind)).count();
        assert_eq!(families("# HELP"), families("# TYPE"), "{text}");
        let is_wrong =
            |line: &&str| line.starts_with("# TYPE") && line.ends_with("counter") != line.contains("_total ");
        assert_eq!(text.lines().filter(is_wrong).collect::<Vec<_>>(), [""; 0]);
    }
}
