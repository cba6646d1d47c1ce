//! A worker's metrics in Prometheus' text format.
//!
//! Tasks count in metrics that are registered with their pipeline. Only the gauges over all tasks are set at each scrape. Labels are
//! pipelines, functions, phases and reasons: never an address, a key or a message. Counters begin at 0 with the process, and with each
//! change of a pipeline's text.

use std::collections::BTreeMap;

use davy_engine::{Error, Result};
use davy_proto::domain::{Phase, TaskReport};
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, GaugeVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of the process; those of its pipelines are in registries of their own.
pub(crate) struct WorkerMetrics {
    registry: Registry,
    /// 1 while the worker has a session with a coordinator.
    pub(crate) connected: IntGauge,
    tasks: IntGaugeVec,
    lag: IntGaugeVec,
    busy: GaugeVec,
}

impl WorkerMetrics {
    pub(crate) fn new() -> Result<Self> {
        Self::registered().map_err(of_prometheus)
    }

    fn registered() -> prometheus::Result<Self> {
        let tasks = Opts::new("davy_worker_tasks", "Tasks by phase.");
        let lag = Opts::new("davy_source_lag_messages", "Messages not yet read by the tasks of a pipeline here.");
        let busy =
            Opts::new("davy_worker_busy_tasks", "Tasks of a pipeline here that do not wait: sum of busy ratios.");
        let made = Self {
            registry: Registry::new(),
            connected: IntGauge::new("davy_worker_connected", "1 while a coordinator is connected, else 0.")?,
            tasks: IntGaugeVec::new(tasks, &["phase"])?,
            lag: IntGaugeVec::new(lag, &["pipeline"])?,
            busy: GaugeVec::new(busy, &["pipeline"])?,
        };
        made.registry.register(Box::new(made.connected.clone()))?;
        made.registry.register(Box::new(made.tasks.clone()))?;
        made.registry.register(Box::new(made.lag.clone()))?;
        made.registry.register(Box::new(made.busy.clone()))?;
        Ok(made)
    }

    pub(crate) fn text(&self, pipelines: &[Registry], tasks: &[TaskReport]) -> Result<Vec<u8>> {
        self.take_census(tasks);
        text_of(&self.registry, pipelines)
    }

    /// Sets the gauges over all tasks, and removes the label values of pipelines that are no longer here.
    fn take_census(&self, tasks: &[TaskReport]) {
        self.tasks.reset();
        self.lag.reset();
        self.busy.reset();
        for phase in [Phase::Starting, Phase::Running, Phase::Draining, Phase::Released, Phase::Failed] {
            self.tasks.with_label_values(&[label(phase)]).set(0);
        }
        for task in tasks {
            let pipeline = task.task.pipeline.to_string();
            self.tasks.with_label_values(&[label(task.phase)]).inc();
            self.lag.with_label_values(&[&pipeline]).add(i64::try_from(task.lag.0).unwrap_or(i64::MAX));
            self.busy.with_label_values(&[&pipeline]).add(task.busy_ratio);
        }
    }
}

fn label(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Running => "running",
        Phase::Draining => "draining",
        Phase::Released => "released",
        Phase::Failed => "failed",
    }
}

/// The metrics of these registries, each family once.
pub(crate) fn text_of(process: &Registry, pipelines: &[Registry]) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    TextEncoder::new().encode(&gather(process, pipelines), &mut text).map_err(of_prometheus)?;
    Ok(text)
}

/// All families, each once, with the samples of all registries.
fn gather(process: &Registry, pipelines: &[Registry]) -> Vec<MetricFamily> {
    let mut families: BTreeMap<String, MetricFamily> = BTreeMap::new();
    for mut family in process.gather().into_iter().chain(pipelines.iter().flat_map(Registry::gather)) {
        match families.get_mut(family.name()) {
            Some(known) => known.mut_metric().extend(family.take_metric()),
            None => {
                families.insert(family.name().to_owned(), family);
            }
        }
    }
    families.into_values().collect()
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` gives it away")]
pub(crate) fn of_prometheus(error: prometheus::Error) -> Error {
    Error::internal(format!("metrics: {error}"))
}

#[cfg(test)]
mod tests {
    use davy_engine::metrics::Metrics;

    use super::*;
    use crate::slots::pipeline::registry_of;

    #[test]
    fn every_family_is_described_once_and_only_counters_end_in_total() {
        let pipelines = ["soc/miners", "soc/scans"].map(registry_of);
        for registry in &pipelines {
            Metrics::default().register(registry).expect("registered");
        }
        let text = WorkerMetrics::new().expect("metrics").text(&pipelines, &[]).expect("text");
        let text = String::from_utf8(text).expect("UTF-8");
        let families = |kind: &str| text.lines().filter(|line| line.starts_with(kind)).count();
        assert_eq!(families("# HELP"), families("# TYPE"), "{text}");
        assert_eq!(families("# TYPE davy_commit_total"), 1, "{text}");
        assert_eq!(families("davy_commit_total{pipeline="), 2, "{text}");
        let is_wrong =
            |line: &&str| line.starts_with("# TYPE") && line.ends_with("counter") != line.contains("_total ");
        assert_eq!(text.lines().filter(is_wrong).collect::<Vec<_>>(), [""; 0]);
    }
}
