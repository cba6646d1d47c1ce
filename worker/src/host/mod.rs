//! Runs a whole pipeline in one process, one thread per task.
//!
//! A dataflow that reads topics runs over Kafka: its tasks commit by transactions and can be killed at any time. Any other one runs
//! over the log in memory, from its first row to its last: a process that dies starts over.
//!
//! Files that tasks over Kafka write take part in their transactions. Tables that are written outside of a transaction (files of a run over
//! files, stdout, topics with at_least_once) get their rows before the commit is made: a crash in between repeats rows, and never loses
//! one. Over Kafka an owner that was replaced meanwhile repeats them too.

mod budget;
mod commit_rows;
pub(crate) mod control;
pub(crate) mod kafka;
mod memory;
pub(crate) mod sinks;
mod spill;
mod work;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use davy_engine::connector::Writers;
use davy_engine::log::Sink;
use davy_engine::log::memory::MemoryLog;
use davy_engine::metrics::Metrics;
use davy_engine::operator::spill::Budget;
use davy_engine::plan::{Dataflow, Pipeline, SinkPlan};
use davy_engine::{Error, Result};

use crate::clock;
use crate::lookups::Reloading;
use control::Control;
pub use control::{Phase, TaskStatus};
pub use kafka::lag::{LagRow, lag, topics};
pub use kafka::reset::{ResetRow, reset_watermarks};
pub use kafka::{never_ends, read_written, topic_of};
use sinks::Sinks;
pub use sinks::tables_over_kafka;
use spill::DiskSpill;

/// How a pipeline is run.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// A task commits at least this often while it has something to commit.
    pub commit_interval: Duration,
    /// … and at least after so many rows.
    pub commit_rows: usize,
    pub tasks: TaskCount,
    /// The pipeline's name, where its script has none.
    pub name: String,
    /// How often records that no recovery needs any more are deleted from exchanges.
    pub purge_interval: Duration,
    /// A folder on a local disk for state that does not fit into memory.
    pub spill_dir: PathBuf,
}

impl Default for HostOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            commit_interval: Duration::from_secs(1),
            commit_rows: 1_000_000,
            tasks: TaskCount::AtMost(cores),
            name: "pipeline".to_owned(),
            purge_interval: Duration::from_secs(30),
            spill_dir: std::env::temp_dir(),
        }
    }
}

/// How many tasks a stage has; at most one per split, and 1024. Over Kafka the first run of a pipeline fixes the number.
#[derive(Clone, Debug)]
pub enum TaskCount {
    /// At most so many; a pipeline that was made with another number keeps it.
    AtMost(usize),
    /// At most so many; a pipeline that was made with another number is refused.
    Fixed(usize),
    /// As the coordinator decided, by dataflow and stage.
    Decided(Vec<Vec<u32>>),
}

/// What [`TaskCount`] means for one stage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WantedTasks {
    pub(crate) n_tasks: u32,
    /// Whether a pipeline that was made with another number is refused.
    pub(crate) is_fixed: bool,
}

impl TaskCount {
    const MAX: usize = 1_024;

    /// `dataflow` and `stage` count from 0.
    pub(crate) fn of_stage(&self, dataflow: usize, stage: usize) -> Result<WantedTasks> {
        let bounded = |n: usize| n.clamp(1, Self::MAX) as u32;
        Ok(match self {
            Self::AtMost(n) => WantedTasks { n_tasks: bounded(*n), is_fixed: false },
            Self::Fixed(n) => WantedTasks { n_tasks: bounded(*n), is_fixed: true },
            Self::Decided(counts) => {
                let decided = counts.get(dataflow).and_then(|stages| stages.get(stage));
                let missing = || {
                    Error::internal(format!("stage {} of INSERT {} has no number of tasks", stage + 1, dataflow + 1))
                };
                WantedTasks { n_tasks: *decided.ok_or_else(missing)?, is_fixed: true }
            }
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The input ended and everything is written.
    Complete,
    /// Stopped on request before the end of the input; everything committed is written.
    Stopped,
    /// Stopped on request; the next run resumes from the last commit.
    Released,
}

/// What all tasks of a pipeline in this process share.
pub(crate) struct Shared {
    /// The pipeline's name, for brokers.
    pub(crate) name: Arc<str>,
    pub(crate) sinks: Arc<Sinks>,
    /// What the operators of the whole pipeline may hold.
    memory_bytes: usize,
    n_dataflows: usize,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) options: HostOptions,
    pub(crate) exchange_partitions: u32,
    pub(crate) begun: Instant,
    /// When the run began, ns since 1970.
    pub(crate) run_start: i64,
}

impl Shared {
    /// Opens what `pipeline` writes to outside of transactions. `open` gives the sink of a SELECT on its own.
    pub(crate) fn open(
        pipeline: &Pipeline,
        open: impl Fn(&SinkPlan) -> Result<Box<dyn Sink>>,
        options: HostOptions,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        let name: Arc<str> = pipeline.name.as_deref().unwrap_or(&options.name).into();
        Ok(Self {
            sinks: Arc::new(Sinks::open(pipeline, &name, open)?),
            name,
            memory_bytes: pipeline.memory_bytes,
            n_dataflows: pipeline.dataflows.len(),
            metrics,
            options,
            exchange_partitions: pipeline.exchange_partitions,
            begun: clock::now(),
            run_start: clock::ns_since_1970(),
        })
    }

    /// For planning only: opens nothing, and cannot run tasks.
    pub(crate) fn for_planning(pipeline: &Pipeline, options: HostOptions) -> Result<Self> {
        Ok(Self {
            sinks: Arc::new(Sinks::check(pipeline)?),
            name: pipeline.name.as_deref().unwrap_or(&options.name).into(),
            memory_bytes: pipeline.memory_bytes,
            n_dataflows: pipeline.dataflows.len(),
            metrics: Arc::default(),
            options,
            exchange_partitions: pipeline.exchange_partitions,
            begun: clock::now(),
            run_start: clock::ns_since_1970(),
        })
    }
}

impl Shared {
    /// What each task of a stage may hold.
    fn budget(&self, dataflow: &Dataflow, n_tasks: &[u32], stage: usize) -> Result<Budget> {
        let bytes = budget::share(self.memory_bytes, self.n_dataflows, dataflow, n_tasks, stage);
        Budget::new(bytes, Arc::new(DiskSpill::new(&self.options.spill_dir, Arc::clone(&self.metrics))))
    }
}

/// Refuses what [`run`] would refuse of `pipeline`'s tables, without opening any.
pub fn check(pipeline: &Pipeline) -> Result<()> {
    sinks::check_over_kafka(pipeline, Writers::OneProcess)
}

/// A task as its thread runs it.
struct Job<'a> {
    name: String,
    run: Box<dyn FnOnce() -> Result<Ending> + Send + 'a>,
}

/// Runs `pipeline` until its input ends or `stop` becomes true. `open` gives the sink of a SELECT on its own.
pub fn run(
    pipeline: Pipeline,
    open: impl Fn(&SinkPlan) -> Result<Box<dyn Sink>>,
    options: HostOptions,
    metrics: Arc<Metrics>,
    stop: Arc<AtomicBool>,
) -> Result<Ending> {
    let shared = Shared::open(&pipeline, open, options, metrics)?;
    let control = Control::new(owner(), stop, || {});
    let _reloading = Reloading::start(&pipeline.lookups)?;
    let outcome = run_dataflows(&shared, &control, pipeline);
    if outcome.is_ok() {
        shared.sinks.finish()?;
    } else {
        shared.sinks.abort()?;
    }
    if let Ok(Ending::Complete) = outcome {
        shared.metrics.inputs.check_ended().map_err(Error::while_running)?;
    }
    outcome
}

/// A number that is unique to the process and greater in processes that start later: milliseconds, then random bits. Clocks that differ
/// only change which of two owners stops.
pub(crate) fn owner() -> u64 {
    const RANDOM_BITS: u32 = 20;
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    let random = hasher.finish() >> (u64::BITS - RANDOM_BITS);
    let ms = u64::try_from(clock::since_1970().as_millis()).unwrap_or(u64::MAX);
    (ms << RANDOM_BITS) | random
}

fn run_dataflows(shared: &Shared, control: &Control, pipeline: Pipeline) -> Result<Ending> {
    let log = MemoryLog::new();
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for (number, dataflow) in pipeline.dataflows.into_iter().enumerate() {
        let dataflow = Arc::new(dataflow);
        if let Some(cluster) = kafka::cluster_of(&dataflow)? {
            for task in kafka::tasks_of(shared, &cluster, number + 1, &dataflow)? {
                let name = task.name.to_string();
                jobs.push(Job { name, run: Box::new(move || kafka::drive(shared, control, &task)) });
            }
            continue;
        }
        for parts in memory::tasks_of(shared, &log, number + 1, &dataflow)? {
            let log = log.clone();
            jobs.push(Job {
                name: parts.name.to_string(),
                run: Box::new(move || memory::drive(shared, control, &log, parts)),
            });
        }
    }
    run_jobs(control, jobs).map_err(Error::while_running)
}

fn run_jobs(control: &Control, jobs: Vec<Job<'_>>) -> Result<Ending> {
    let results: Vec<Result<Ending>> = std::thread::scope(|scope| {
        let mut running = Vec::new();
        for Job { name, run } in jobs {
            let task = name.clone();
            let spawned = std::thread::Builder::new().name(name.clone()).spawn_scoped(scope, move || {
                // A panic stops the other tasks like an error; otherwise they would wait for this one for ever.
                let result = catch_unwind(AssertUnwindSafe(run))
                    .unwrap_or_else(|_| Err(Error::internal(format!("task `{task}` panicked"))));
                if result.is_err() {
                    control.give_up.store(true, Ordering::Relaxed);
                }
                result
            });
            match spawned {
                Ok(handle) => running.push(handle),
                Err(error) => {
                    control.give_up.store(true, Ordering::Relaxed);
                    return vec![Err(Error::Unavailable(format!("cannot start a thread for task `{name}`: {error}")))];
                }
            }
        }
        // Panics were caught above.
        let join =
            |handle: ScopedJoinHandle<'_, _>| handle.join().unwrap_or_else(|_| Err(Error::internal("a task panicked")));
        running.into_iter().map(join).collect()
    });
    let mut ending = Ending::Complete;
    for result in results {
        ending = match (ending, result?) {
            (Ending::Stopped, _) | (_, Ending::Stopped) => Ending::Stopped,
            (Ending::Released, _) | (_, Ending::Released) => Ending::Released,
            (Ending::Complete, Ending::Complete) => Ending::Complete,
        };
    }
    Ok(ending)
}
