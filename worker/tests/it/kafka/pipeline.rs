//! Pipelines as tests run them: planned from a script and run in this process, on a thread of their own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use davy_engine::metrics::Metrics;
use davy_engine::plan::SinkPlan;
use davy_engine::sql::{PlanRequest, plan};
use davy_engine::{Error, Result};
use davy_worker::connector::LocalConnectors;
use davy_worker::host::{Ending, HostOptions, TaskCount, run};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::broker::servers;
use super::topics::{Got, PATIENCE, Reader};

/// `CREATE TABLE name (columns) WITH (…)` over a topic of the common broker.
pub(crate) fn table(name: &str, columns: &str, topic: &str, options: &str) -> String {
    table_on(servers(), name, columns, topic, options)
}

pub(crate) fn table_on(servers: &str, name: &str, columns: &str, topic: &str, options: &str) -> String {
    let comma = if options.is_empty() { "" } else { ", " };
    format!(
        "CREATE TABLE {name} ({columns}) WITH (connector = 'kafka', {options}{comma}topic = '{topic}', \
         bootstrap_servers = '{servers}');\n"
    )
}

/// How a test's pipeline is run: with commits in quick succession.
pub(crate) fn options(name: &str) -> HostOptions {
    HostOptions {
        commit_interval: Duration::from_millis(50),
        tasks: TaskCount::AtMost(2),
        name: name.to_owned(),
        ..HostOptions::default()
    }
}

pub(crate) struct Run {
    stop: Arc<AtomicBool>,
    pub(crate) metrics: Arc<Metrics>,
    thread: Option<JoinHandle<Result<Ending>>>,
}

pub(crate) fn start(name: &str, script: &str) -> Run {
    start_with(options(name), script)
}

pub(crate) fn start_with(options: HostOptions, script: &str) -> Run {
    listen();
    let (stop, metrics) = (Arc::new(AtomicBool::new(false)), Arc::new(Metrics::default()));
    let (stopping, counting, script) = (Arc::clone(&stop), Arc::clone(&metrics), script.to_owned());
    let body = move || {
        let request =
            PlanRequest { text: &script, connectors: &LocalConnectors::default(), settings: &BTreeMap::new() };
        let nowhere = |plan: &SinkPlan| Err(Error::internal(format!("`{}` goes nowhere in a test", plan.name)));
        run(plan(&request)?, nowhere, options, counting, stopping)
    };
    let thread = std::thread::Builder::new().name("host".into()).spawn(body).expect("a thread");
    Run { stop, metrics, thread: Some(thread) }
}

/// Why a script does not run, in the words a person gets.
pub(crate) fn refusal(name: &str, script: &str) -> String {
    error(name, script).to_string()
}

/// As [`refusal`], with its kind.
pub(crate) fn error(name: &str, script: &str) -> Error {
    error_with(options(name), script)
}

pub(crate) fn error_with(options: HostOptions, script: &str) -> Error {
    let name = options.name.clone();
    let mut run = start_with(options, script);
    let deadline = Instant::now() + PATIENCE;
    while !run.is_over() {
        assert!(Instant::now() < deadline, "it was not refused; notices: {:#?}", notices(&name));
        std::thread::park_timeout(Duration::from_millis(5));
    }
    run.join().expect_err("refused")
}

impl Run {
    fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn join(&mut self) -> Result<Ending> {
        self.thread.take().expect("joined once").join().expect("the host does not panic")
    }

    /// Waits for `is_there`, as long as the pipeline runs.
    pub(crate) fn until(&mut self, what: &str, mut is_there: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_there() {
            if self.is_over() {
                panic!("waiting for {what}, the pipeline ended: {:?}", self.join());
            }
            assert!(Instant::now() < deadline, "{what} did not happen; {:#?}", self.metrics);
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// Reads until a topic has `n` committed messages.
    pub(crate) fn wait_for(&mut self, topic: &str, n: usize) -> Vec<Got> {
        let mut reader = Reader::new(topic);
        self.read(&mut reader, n);
        reader.got
    }

    pub(crate) fn read(&mut self, reader: &mut Reader, n: usize) {
        self.until(&format!("{n} messages"), || {
            reader.poll();
            n <= reader.got.len()
        });
    }

    /// Waits for `is_there`, or for the end of a bounded input.
    pub(crate) fn until_or_end(&mut self, mut is_there: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_there() && !self.is_over() {
            assert!(Instant::now() < deadline, "it did not happen");
        }
    }

    /// Stops it, and waits for its end.
    pub(crate) fn stop(mut self) -> Arc<Metrics> {
        self.stop.store(true, Ordering::Relaxed);
        let ending = self.join().expect("a clean end");
        assert!(matches!(ending, Ending::Released | Ending::Complete), "{ending:?}");
        Arc::clone(&self.metrics)
    }

    /// Waits for the error that ends it.
    pub(crate) fn error(mut self) -> Error {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_over() {
            assert!(Instant::now() < deadline, "it did not end; {:#?}", self.metrics);
            std::thread::park_timeout(Duration::from_millis(5));
        }
        self.join().expect_err("an error")
    }

    /// Bad records by the label of their reason.
    pub(crate) fn bad_records(&self) -> BTreeMap<&'static str, u64> {
        self.metrics.bad_records().into_iter().map(|(reason, n)| (reason.label(), n)).collect()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Checks all cases at once: most of the time each waits for a broker.
pub(crate) fn at_once<T: Sync>(cases: &[T], check: impl Fn(&T) + Sync) {
    let check = &check;
    std::thread::scope(|scope| {
        for case in cases {
            std::thread::Builder::new().spawn_scoped(scope, move || check(case)).expect("a thread");
        }
    });
}

static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Every line of the log so far that has `what` in it.
pub(crate) fn notices(what: &str) -> Vec<String> {
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    log.iter().filter(|line| line.contains(what)).cloned().collect()
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Listener).expect("this is the only subscriber"));
}

/// Notes what Davy logs, at any level.
struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("davy")
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        LOG.lock().unwrap_or_else(PoisonError::into_inner).push(line.0);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}
