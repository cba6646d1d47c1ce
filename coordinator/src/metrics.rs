//! Every metric of the coordinator: its name, unit, labels and meaning.
//!
//! Labels are bounded sets: states, methods, codes, and pipelines, whose number is limited. Never an address, a key or a message.

use std::collections::BTreeMap;

use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use davy_proto::domain::{Messages, PipelineId};

pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Calls that ended, by method and code. A stream counts when it begins.
    pub calls: IntCounterVec,
    /// Connections that were closed because there were too many, by port.
    pub connections_refused: IntCounterVec,
    pub grants: IntCounter,
    /// Tasks taken away from workers.
    pub revocations: IntCounter,
    /// Sessions closed because the worker did not read its messages.
    pub workers_hung_up: IntCounter,
    /// Writes to the catalog, by outcome.
    pub catalog_writes: IntCounterVec,
    /// Seconds per write to the catalog.
    pub catalog_write_seconds: Histogram,
    /// 1 while this coordinator leads.
    pub is_leader: IntGauge,
    pub term: IntGauge,
    pub desired_workers: IntGauge,
    workers: IntGaugeVec,
    tasks: IntGaugeVec,
    pipelines: IntGaugeVec,
    lag: GaugeVec,
}

/// Workers, tasks and pipelines, counted by state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Census {
    pub workers: BTreeMap<&'static str, i64>,
    pub tasks: BTreeMap<&'static str, i64>,
    pub pipelines: BTreeMap<&'static str, i64>,
    pub lag: Vec<(PipelineId, Messages)>,
}

impl Metrics {
    pub fn new() -> Self {
        let registry = Registry::new();
        let make = Make { registry: &registry };
        let made = Self {
            calls: make.counters(
                "calls_total",
                "gRPC calls that ended; a stream counts when it begins",
                &["method", "code"],
            ),
            connections_refused: make.counters(
                "connections_refused_total",
                "connections closed because there were too many",
                &["port"],
            ),
            grants: make.counter("grants_total", "tasks given to workers"),
            revocations: make.counter("revocations_total", "tasks taken away from workers"),
            workers_hung_up: make
                .counter("workers_hung_up_total", "worker sessions closed since the worker did not read"),
            catalog_writes: make.counters("catalog_writes_total", "writes to the catalog", &["outcome"]),
            catalog_write_seconds: make.histogram("catalog_write_seconds", "how long a write to the catalog took"),
            is_leader: make.gauge("davy_coordinator_is_leader", "1 while this coordinator leads"),
            term: make.gauge("davy_coordinator_term", "term of this leader; each new leader has a greater one"),
            desired_workers: make.gauge("davy_desired_workers", "how many workers are needed"),
            workers: make.gauges("workers", "workers", &["state"]),
            tasks: make.gauges("tasks", "tasks", &["state"]),
            pipelines: make.gauges("pipelines", "pipelines", &["state"]),
            lag: make.lag(),
            registry,
        };
        // Ports that have refused no connection are exported with 0.
        for port in ["grpc", "http"] {
            made.connections_refused.with_label_values(&[port]);
        }
        made
    }

    /// Replaces the gauges of the last census, so that no label of a state that has ended remains.
    pub fn take_census(&self, census: &Census) {
        for (gauges, counts) in
            [(&self.workers, &census.workers), (&self.tasks, &census.tasks), (&self.pipelines, &census.pipelines)]
        {
            gauges.reset();
            for (state, count) in counts {
                gauges.with_label_values(&[state]).set(*count);
            }
        }
        self.lag.reset();
        for (id, lag) in &census.lag {
            self.lag.with_label_values(&[&*id.tenant, &*id.name]).set(lag.0 as f64);
        }
    }

    /// Prometheus' text format, version 0.0.4.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).expect("memory can be written");
        String::from_utf8(text).expect("the encoder writes text")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

struct Make<'a> {
    registry: &'a Registry,
}

impl Make<'_> {
    fn add<C: prometheus::core::Collector + Clone + 'static>(&self, made: Result<C, prometheus::Error>) -> C {
        let made = made.expect("names and labels are constants that Prometheus allows");
        self.registry.register(Box::new(made.clone())).expect("no name is there twice");
        made
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::with_opts(opts(name, help)))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(opts(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(name, help))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(opts(name, help), labels))
    }

    fn histogram(&self, name: &str, help: &str) -> Histogram {
        // From a local file to a broker that is about to time out.
        let buckets = vec![0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0];
        let opts = HistogramOpts { common_opts: opts(name, help), buckets };
        self.add(Histogram::with_opts(opts))
    }

    fn lag(&self) -> GaugeVec {
        self.add(GaugeVec::new(
            opts("pipeline_lag_messages", "messages not yet read, as workers report"),
            &["tenant", "pipeline"],
        ))
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("davy_coordinator_{name}"), help)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_family_has_help_and_no_sample_is_there_twice() {
        let metrics = Metrics::new();
        metrics.calls.with_label_values(&["Submit", "OK"]).inc();
        metrics.catalog_writes.with_label_values(&["ok"]).inc();
        let id: PipelineId = "soc/miners".parse().expect("an id");
        metrics.take_census(&Census {
            workers: [("alive", 2)].into(),
            tasks: [("running", 7)].into(),
            pipelines: [("running", 1)].into(),
            lag: vec![(id, Messages(42))],
        });
        let text = metrics.text();
        check(&text);
        assert!(
            text.contains("davy_coordinator_pipeline_lag_messages{pipeline=\"miners\",tenant=\"soc\"} 42\n"),
            "{text}"
        );
    }

    #[test]
    fn a_census_replaces_the_one_before() {
        let metrics = Metrics::new();
        metrics.take_census(&Census { tasks: [("failed", 1)].into(), ..Census::default() });
        metrics.take_census(&Census { tasks: [("running", 1)].into(), ..Census::default() });
        let text = metrics.text();
        assert!(!text.contains("failed") && text.contains("davy_coordinator_tasks{state=\"running\"} 1"), "{text}");
    }

    fn check(text: &str) {
        let helped: BTreeSet<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
        let mut samples = BTreeSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (sample, _) = line.rsplit_once(' ').expect("a sample has a value");
            assert!(samples.insert(sample), "twice: {sample}");
            let name = sample.split('{').next().expect("a name");
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(helped.contains(family) && name.starts_with("davy_"), "no help: {sample}");
        }
    }
}
