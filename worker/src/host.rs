//! One process that runs a whole pipeline: every task on a thread of its own, over the in-memory log.
//!
//! Rows become visible when their task commits; a task that fails stops the pipeline, and so does a wish to stop, after one
//! last commit. Tables written here (files, stdout) are outside the log's transaction: a row is written when its commit is
//! certain to be the owner's, and published before the commit is noted, so a crash in between repeats rows, never loses one.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use datafusion::execution::memory_pool::{GreedyMemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use davy_engine::connector::Share;
use davy_engine::log::memory::{MemoryCommit, MemoryLog};
use davy_engine::log::{Commit, ExchangeId, Found, Sink, Source, SplitId, Transaction};
use davy_engine::metrics::Metrics;
use davy_engine::plan::{Dataflow, Pipeline, SinkPlan, StageInput};
use davy_engine::task::{Step, Task, TaskParts, fit_to_sink};
use davy_engine::{Error, Result};

use crate::clock;

/// Partial batches that a stage may be ahead of the next one.
const UNREAD_MAX: u64 = 4;
/// How long an idle task rests.
const REST: Duration = Duration::from_millis(1);

/// How a pipeline is run.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// A task commits at least this often while it has something to commit.
    pub commit_interval: Duration,
    /// … and at least after so many rows.
    pub commit_rows: usize,
    /// The most tasks that one source table is spread over.
    pub max_tasks: usize,
}

impl Default for HostOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self { commit_interval: Duration::from_secs(1), commit_rows: 1_000_000, max_tasks: cores }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The input ended and everything is written.
    Complete,
    /// Someone asked to stop; what was committed is written.
    Stopped,
}

/// The sinks of a pipeline by table name, shared by its tasks.
type Sinks = HashMap<Arc<str>, (SinkPlan, Mutex<Box<dyn Sink>>)>;

/// What all tasks of a run share.
struct Shared {
    log: MemoryLog,
    sinks: Arc<Sinks>,
    runtime: Arc<RuntimeEnv>,
    metrics: Arc<Metrics>,
    options: HostOptions,
    begun: Instant,
    /// Asked to stop from outside.
    stop: Arc<AtomicBool>,
    /// A task failed: the others give up without a commit.
    failed: AtomicBool,
}

/// Runs `pipeline` until its input ends or `stop` becomes true. `open` gives the sink of a SELECT on its own.
pub fn run(
    pipeline: Pipeline,
    open: impl Fn(&SinkPlan) -> Result<Box<dyn Sink>>,
    options: HostOptions,
    metrics: Arc<Metrics>,
    stop: Arc<AtomicBool>,
) -> Result<Ending> {
    let mut sinks: Sinks = HashMap::new();
    for plan in pipeline.sinks {
        let sink = match &plan.table {
            Some(table) => table.sink(&plan.schema)?,
            None => open(&plan)?,
        };
        sinks.insert(Arc::clone(&plan.name), (plan, Mutex::new(sink)));
    }
    let sinks = Arc::new(sinks);
    let shared = Shared {
        log: MemoryLog::new(),
        sinks: Arc::clone(&sinks),
        runtime: runtime(pipeline.memory_bytes)?,
        metrics,
        options,
        begun: clock::now(),
        stop,
        failed: AtomicBool::new(false),
    };
    let outcome = run_tasks(&shared, pipeline.dataflows);
    for (_, sink) in sinks.values() {
        let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
        if outcome.is_ok() { sink.finish()? } else { sink.abort()? }
    }
    outcome
}

/// Memory for operators, with a pool whose error names the largest holders.
fn runtime(memory_bytes: usize) -> Result<Arc<RuntimeEnv>> {
    const NAMED_HOLDERS: NonZeroUsize = NonZeroUsize::new(5).expect("five is not zero");
    let pool = TrackConsumersPool::new(GreedyMemoryPool::new(memory_bytes), NAMED_HOLDERS);
    Ok(Arc::new(RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build()?))
}

fn run_tasks(shared: &Shared, dataflows: Vec<Dataflow>) -> Result<Ending> {
    let mut tasks = Vec::new();
    for (number, dataflow) in dataflows.into_iter().enumerate() {
        tasks.extend(tasks_of(shared, number + 1, &Arc::new(dataflow))?);
    }
    let results: Vec<Result<Ending>> = std::thread::scope(|scope| {
        let mut running = Vec::new();
        for parts in tasks {
            let name = parts.name.to_string();
            let spawned = std::thread::Builder::new().name(name.clone()).spawn_scoped(scope, move || {
                let task = parts.name.to_string();
                // A panic must reach the other tasks as a failure, or they would wait for this one for ever.
                let result = catch_unwind(AssertUnwindSafe(|| drive(shared, parts)))
                    .unwrap_or_else(|_| Err(Error::internal(format!("task `{task}` panicked"))));
                if result.is_err() {
                    shared.failed.store(true, Ordering::Relaxed);
                }
                result
            });
            match spawned {
                Ok(handle) => running.push((name, handle)),
                Err(error) => {
                    shared.failed.store(true, Ordering::Relaxed);
                    return vec![Err(Error::Unavailable(format!("cannot start a thread for task `{name}`: {error}")))];
                }
            }
        }
        let join = |(name, handle): (String, std::thread::ScopedJoinHandle<'_, Result<Ending>>)| {
            handle.join().unwrap_or_else(|_| Err(Error::internal(format!("task `{name}` panicked"))))
        };
        running.into_iter().map(join).collect()
    });
    let mut ending = Ending::Complete;
    for result in results {
        if result? == Ending::Stopped {
            ending = Ending::Stopped;
        }
    }
    Ok(ending)
}

/// The tasks of one dataflow: a source table's splits are shared out, everything after an exchange is one task.
fn tasks_of(shared: &Shared, number: usize, dataflow: &Arc<Dataflow>) -> Result<Vec<TaskParts>> {
    let mut n_tasks = Vec::new();
    for stage in &dataflow.stages {
        n_tasks.push(match &stage.input {
            StageInput::Table(plan) => {
                let n_splits = plan.table.table.source(&plan.schema, Share { index: 0, count: 1 })?.splits()?.len();
                n_splits.clamp(1, shared.options.max_tasks.max(1)) as u32
            }
            StageInput::Exchanges(_) => 1,
        });
    }
    let n_tasks: Arc<[u32]> = n_tasks.into();
    let mut tasks = Vec::new();
    for (stage, planned) in dataflow.stages.iter().enumerate() {
        let board = Arc::default();
        for index in 0..n_tasks[stage] {
            let name: Arc<str> = format!("{number}/{}/{index}", stage + 1).into();
            let share = Share { index: index as usize, count: n_tasks[stage] as usize };
            let source: Box<dyn Source> = match &planned.input {
                StageInput::Table(plan) => plan.table.table.source(&plan.schema, share)?,
                StageInput::Exchanges(inputs) => {
                    let exchanges: Vec<ExchangeId> =
                        inputs.iter().map(|input| input.aggregate.exchange.clone()).collect();
                    Box::new(shared.log.source_of(&exchanges, index))
                }
            };
            let commit = HostCommit { inner: shared.log.commit_for(&name), sinks: Arc::clone(&shared.sinks) };
            tasks.push(TaskParts {
                name,
                dataflow: Arc::clone(dataflow),
                stage,
                n_tasks: Arc::clone(&n_tasks),
                index,
                n_partitions: 1,
                source,
                commit: Box::new(commit),
                runtime: Arc::clone(&shared.runtime),
                metrics: Arc::clone(&shared.metrics),
                board: Arc::clone(&board),
                probe: |_| (),
            });
        }
    }
    Ok(tasks)
}

/// Steps a task to its end.
fn drive(shared: &Shared, parts: TaskParts) -> Result<Ending> {
    let stage = &parts.dataflow.stages[parts.stage];
    let exchanges: Vec<ExchangeId> =
        stage.branches.iter().filter_map(|branch| branch.output.exchange().cloned()).collect();
    let mut task = Task::recover(parts, clock::since(shared.begun))?;
    let mut last_commit = clock::since(shared.begun);
    loop {
        if shared.failed.load(Ordering::Relaxed) {
            return Ok(Ending::Stopped);
        }
        if shared.stop.load(Ordering::Relaxed) {
            task.commit()?;
            return Ok(Ending::Stopped);
        }
        if exchanges.iter().any(|exchange| UNREAD_MAX <= shared.log.unread(exchange, 0)) {
            clock::rest(REST);
            continue;
        }
        let elapsed = clock::since(shared.begun);
        let step = task.step(elapsed)?;
        let is_due = shared.options.commit_interval <= elapsed.saturating_sub(last_commit);
        let is_full = shared.options.commit_rows <= task.uncommitted();
        match step {
            Step::Ended => {
                task.commit()?;
                return Ok(Ending::Complete);
            }
            // An idle task commits too: its watermark may have moved, and the next stage waits for it.
            Step::Idle if is_due => {
                task.commit()?;
                last_commit = elapsed;
            }
            Step::Idle => clock::rest(REST),
            Step::Worked(_) if is_due || is_full => {
                task.commit()?;
                last_commit = elapsed;
            }
            Step::Worked(_) => {}
        }
    }
}

/// Commits to the log and, before that, to the sinks.
struct HostCommit {
    inner: MemoryCommit,
    sinks: Arc<Sinks>,
}

impl Commit for HostCommit {
    fn take_over(&mut self, splits: &[SplitId]) -> Result<Found> {
        self.inner.take_over(splits)
    }

    fn commit(&mut self, mut transaction: Transaction) -> Result<()> {
        self.inner.check_owner()?;
        let mut rows_of: BTreeMap<Arc<str>, Vec<RecordBatch>> = BTreeMap::new();
        for (name, batch) in std::mem::take(&mut transaction.rows) {
            rows_of.entry(name).or_default().push(batch);
        }
        for (name, batches) in rows_of {
            let (plan, sink) =
                self.sinks.get(&name).ok_or_else(|| Error::internal(format!("rows for unknown table `{name}`")))?;
            let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
            for batch in batches {
                sink.write(&fit_to_sink(plan, &batch)?)?;
            }
            sink.commit()?;
        }
        self.inner.commit(transaction)
    }
}
