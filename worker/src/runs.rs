//! What a process exports about the pipelines that it runs by itself, without a coordinator.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use davy_engine::lookup::Lookup;
use davy_engine::metrics::{FunctionMetrics, Metrics};
use davy_engine::{Error, Result};
use prometheus::{IntGaugeVec, Opts, Registry};

use crate::exposition::{of_prometheus, text_of};
use crate::http::{Exported, HttpOptions, serve};
use crate::slots::pipeline::registry_of;

/// The pipelines that run now, by name.
pub struct Runs {
    process: Registry,
    running: IntGaugeVec,
    pipelines: Mutex<BTreeMap<String, Run>>,
}

/// A pipeline that is to run.
struct Run {
    registry: Registry,
    metrics: Arc<Metrics>,
    /// Why it does not run.
    failure: Option<String>,
}

impl Run {
    /// A task commits as soon as it has taken its input over.
    fn has_begun(&self) -> bool {
        self.failure.is_none() && 0 < self.metrics.commits.get()
    }
}

impl Runs {
    pub fn new() -> Result<Self> {
        let running = Opts::new("davy_pipeline_running", "1 while a pipeline of this process runs, else 0.");
        let running = IntGaugeVec::new(running, &["pipeline"]).map_err(of_prometheus)?;
        let process = Registry::new();
        process.register(Box::new(running.clone())).map_err(of_prometheus)?;
        Ok(Self { process, running, pipelines: Mutex::default() })
    }

    /// Adds a pipeline that begins to run; its counters begin with it.
    pub fn begin(
        &self,
        name: &str,
        metrics: Arc<Metrics>,
        functions: &[Arc<FunctionMetrics>],
        lookups: &[Arc<Lookup>],
    ) -> Result<()> {
        let registry = registry_of(name);
        metrics.register(&registry).map_err(of_prometheus)?;
        for function in functions {
            function.register(&registry).map_err(of_prometheus)?;
        }
        for lookup in lookups {
            lookup.metrics.register(&registry).map_err(of_prometheus)?;
        }
        self.lock().insert(name.to_owned(), Run { registry, metrics, failure: None });
        Ok(())
    }

    /// Notes that a pipeline does not run, and why; the process is not ready until it runs or is removed.
    pub fn fail(&self, name: &str, why: &Error) {
        let failed = Run { registry: registry_of(name), metrics: Arc::default(), failure: Some(why.to_string()) };
        self.lock().insert(name.to_owned(), failed);
    }

    /// Forgets a pipeline that was stopped.
    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Run>> {
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exported for Runs {
    fn not_ready(&self) -> Option<String> {
        let pipelines = self.lock();
        if pipelines.is_empty() {
            return Some("no pipeline runs".to_owned());
        }
        let waits = |(name, run): (&String, &Run)| match &run.failure {
            Some(why) => Some(format!("`{name}` does not run: {why}")),
            None => (!run.has_begun()).then(|| format!("`{name}` has not taken over its input")),
        };
        pipelines.iter().find_map(waits)
    }

    fn metrics(&self) -> Result<Vec<u8>> {
        let pipelines = self.lock();
        self.running.reset();
        for (name, run) in &*pipelines {
            self.running.with_label_values(&[name]).set(i64::from(run.has_begun()));
        }
        let registries: Vec<Registry> = pipelines.values().map(|run| run.registry.clone()).collect();
        text_of(&self.process, &registries)
    }
}

/// Serves `runs` from a thread of its own, for as long as the process runs.
pub fn serve_runs(options: HttpOptions, runs: Arc<Runs>) -> Result<()> {
    let unable = |error: std::io::Error| Error::Unavailable(format!("cannot serve metrics: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unable)?;
    let served = runtime.block_on(serve(options, runs))?;
    let thread = std::thread::Builder::new().name("http".to_owned());
    thread
        .spawn(move || tracing::error!(error = %runtime.block_on(served), "metrics are not served"))
        .map_err(unable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(runs: &Runs) -> String {
        String::from_utf8(runs.metrics().expect("text")).expect("UTF-8")
    }

    #[test]
    fn a_process_is_ready_when_all_its_pipelines_have_taken_over_their_input() {
        let runs = Runs::new().expect("metrics");
        let is_waiting = |expected: &str| {
            let why = runs.not_ready().unwrap_or_default();
            assert!(why.contains(expected), "{why}");
        };
        is_waiting("no pipeline runs");
        let metrics: [Arc<Metrics>; 2] = std::array::from_fn(|_| Arc::default());
        for (name, metrics) in ["a", "b"].into_iter().zip(&metrics) {
            runs.begin(name, Arc::clone(metrics), &[], &[]).expect("registered");
        }
        metrics[0].commits.inc();
        is_waiting("`b` has not taken over its input");
        assert!(text(&runs).contains("davy_pipeline_running{pipeline=\"b\"} 0"), "{}", text(&runs));
        metrics[1].commits.inc();
        assert_eq!(runs.not_ready(), None);
        assert!(text(&runs).contains("davy_commit_total{pipeline=\"b\"} 1"), "{}", text(&runs));
        runs.fail("a", &Error::invalid("no topic"));
        is_waiting("`a` does not run: no topic");
        runs.remove("a");
        assert_eq!(runs.not_ready(), None);
        assert!(!text(&runs).contains("\"a\""), "{}", text(&runs));
    }

    #[test]
    fn beyond_loopback_readers_of_metrics_need_a_token() {
        let options = HttpOptions { address: ([0, 0, 0, 0], 0).into(), token: None };
        let runs = Arc::new(Runs::new().expect("metrics"));
        let error = serve_runs(options, runs).expect_err("refused").to_string();
        assert!(error.contains("--http-token-file"), "{error}");
    }
}
