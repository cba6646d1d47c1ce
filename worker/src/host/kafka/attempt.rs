//! Runs a task's attempts, one after the other: each takes the task over, works, and ends with the task or with an error.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use davy_engine::connector::SinkTask;
use davy_engine::log::Commit;
use davy_engine::log::transactions::{Destination, TransactionalCommit, TransactionalOptions};
use davy_engine::plan::StageInput;
use davy_engine::task::{ROWS_PER_ADVANCE, Task, TaskParts};
use davy_engine::{Error, Result};
use davy_kafka::producer::Sizes;
use tracing::{info, warn};

use super::KafkaTask;
use super::beginning::wait_for_readers;
use crate::clock;
use crate::connector::kafka::admin::PurgingCommit;
use crate::connector::kafka::transactions::{KafkaTransactions, Writing, transaction_timeout};
use crate::connector::kafka::{Compression, Delivery, KafkaTable, limits};
use crate::host::commit_rows::CommitRows;
use crate::host::control::{Control, Phase};
use crate::host::sinks::{Fitted, Shared as SharedSink};
use crate::host::work::Work;
use crate::host::{Ending, Shared};
use crate::probe;

/// The longest value of a record with partials: below the megabyte that brokers take by default.
const RECORD_BYTES_MAX: usize = 900_000;
/// How long a task waits before it starts again, at first and at most.
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// … and at most after its memory was used up: until a replay fits, every attempt reads all open windows again in vain.
const BACK_OFF_MAX_OUT_OF_MEMORY: Duration = Duration::from_secs(60);
/// After an attempt this long, the back-off starts at its minimum again.
const HEALTHY: Duration = Duration::from_secs(30);
/// A fenced task waits this long before it reads the committed owner: a newer owner commits at once unless it has much to replay.
const FENCED_WAIT: Duration = Duration::from_secs(3);

/// Runs a task until a stop is requested, or until an error that a retry does not fix.
pub(crate) fn drive(shared: &Shared, control: &Control, task: &KafkaTask) -> Result<Ending> {
    let mut back_off = BACK_OFF_MIN;
    let commit_rows = CommitRows::new(transaction_timeout(&task.cluster));
    loop {
        if control.is_over() {
            return Ok(Ending::Released);
        }
        let begun = clock::now();
        let error = match run_attempt(shared, control, task, &commit_rows) {
            Ok(ending) => return Ok(ending),
            Err(error) => error,
        };
        if control.is_over() {
            // What was not committed will be read again; nothing is lost by going now.
            warn!(task = %task.name, %error, "stopped without a last commit");
            return Ok(Ending::Released);
        }
        let back_off_max = match error {
            Error::Unavailable(_) => BACK_OFF_MAX,
            Error::OutOfMemory(_) => BACK_OFF_MAX_OUT_OF_MEMORY,
            other => return Err(other),
        };
        if HEALTHY <= clock::since(begun) {
            back_off = BACK_OFF_MIN;
        }
        shared.metrics.task_restarts.inc();
        control.report_restart(error.to_string());
        warn!(task = %task.name, %error, "starts again from its last commit");
        rest(control, back_off);
        back_off = (2 * back_off).min(back_off_max);
        match check_topics(shared, task) {
            Ok(()) | Err(Error::Unavailable(_)) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether the topics are there that the task writes to.
fn check_topics(shared: &Shared, task: &KafkaTask) -> Result<()> {
    for (name, ()) in task.tables() {
        let plan = shared.sinks.plan(&name)?;
        plan.table.as_deref().and_then(KafkaTable::of).map_or(Ok(()), KafkaTable::check_topic)?;
    }
    Ok(())
}

/// Waits, unless the run is over.
pub(super) fn rest(control: &Control, duration: Duration) {
    let begun = clock::now();
    while clock::since(begun) < duration && !control.is_over() {
        clock::rest(Duration::from_millis(20));
    }
}

/// One attempt: takes over, reads and commits, until the task ends or fails.
fn run_attempt(shared: &Shared, control: &Control, task: &KafkaTask, commit_rows: &CommitRows) -> Result<Ending> {
    let mut running = begin(shared, control, task)?;
    if !wait_for_readers(shared, control, task, &mut running)? {
        return Ok(Ending::Released);
    }
    for notice in running.take_notices() {
        warn!(task = %task.name, notice, "took its input up");
    }
    info!(task = %task.name, owner = control.owner, "running");
    control.report(Phase::Running, None);
    let work = Work {
        name: &task.name,
        shared,
        control,
        is_blocked: &|| false,
        idle_rest: Duration::ZERO,
        commit_rows,
        on_stop: Ending::Released,
    };
    // Commits at once, so that others see which process owns the task.
    let error = match work.commit(&mut running).and_then(|()| work.run(&mut running)) {
        Err(Error::Fenced(message)) => message,
        other => return other,
    };
    rest(control, FENCED_WAIT);
    if running.is_superseded()? {
        return Err(Error::Fenced(format!(
            "task `{}` has a newer owner: the pipeline `{}` is running somewhere else",
            task.name, shared.name
        )));
    }
    Err(Error::Unavailable(error))
}

fn begin(shared: &Shared, control: &Control, task: &KafkaTask) -> Result<Task> {
    match Task::recover(parts(shared, control, task)?, clock::since(shared.begun)) {
        // Another process took over in the same moment; its first commit shows which.
        Err(Error::Fenced(message)) => Err(Error::Unavailable(message)),
        other => other,
    }
}

/// What the task is made of, with a source and a client of its own.
pub(super) fn parts(shared: &Shared, control: &Control, task: &KafkaTask) -> Result<TaskParts> {
    Ok(TaskParts {
        name: Arc::clone(&task.name),
        dataflow: Arc::clone(&task.dataflow),
        stage: task.stage,
        n_tasks: Arc::clone(&task.n_tasks),
        index: task.index,
        n_partitions: task.n_partitions,
        source: task.source()?,
        commit: commit_of(shared, control, task)?,
        budget: shared.budget(&task.dataflow, &task.n_tasks, task.stage)?,
        metrics: Arc::clone(&shared.metrics),
        board: Arc::clone(&task.board),
        run_start: shared.run_start,
        rows_per_advance: ROWS_PER_ADVANCE,
        probe: probe::reached,
    })
}

fn outside(shared: &Shared, name: &Arc<str>) -> Destination {
    Destination::Outside(Box::new(SharedSink { sinks: Arc::clone(&shared.sinks), name: Arc::clone(name) }))
}

/// The commits of one attempt.
fn commit_of(shared: &Shared, control: &Control, task: &KafkaTask) -> Result<Box<dyn Commit>> {
    let mut sinks = BTreeMap::new();
    let mut writing = Writing { compression: Compression::Lz4, sizes: Sizes::default() };
    for (name, ()) in task.tables() {
        let plan = shared.sinks.plan(&name)?;
        let table = plan.table.as_deref().and_then(KafkaTable::of);
        let destination = match table {
            Some(table) if table.delivery() != Some(Delivery::AtLeastOnce) => {
                // One producer writes them all: dead letters and late rows go like the results.
                if name == task.dataflow.sink {
                    writing.compression = table.compression();
                }
                let encoder = table.encoder(plan, &shared.name)?;
                writing.sizes = limits::with_topic(writing.sizes, encoder.message_bytes_max);
                Destination::Inside(Box::new(encoder))
            }
            Some(_) => outside(shared, &name),
            None => {
                let task = SinkTask { name: &task.name, index: task.index, owner: control.owner };
                match Fitted::open(plan, task)? {
                    Some(sink) => Destination::Files(Box::new(sink)),
                    None => outside(shared, &name),
                }
            }
        };
        sinks.insert(name, destination);
    }
    let stop = Arc::clone(&control.stop);
    let is_stopping = Arc::new(move || stop.load(Ordering::Relaxed));
    let client =
        KafkaTransactions::new(&task.cluster, task.identity.clone(), writing, Arc::clone(&task.known), is_stopping);
    let options = TransactionalOptions {
        name: Arc::clone(&task.name),
        task: task.index,
        n_tasks: task.n_tasks[task.stage],
        owner: control.owner,
        exchanges: task.writes.clone(),
        sinks,
        record_bytes_max: RECORD_BYTES_MAX,
    };
    let commit = TransactionalCommit::new(client, options);
    Ok(match &task.dataflow.stages[task.stage].input {
        StageInput::Table(_) => Box::new(commit),
        StageInput::Exchanges(_) => {
            let topics: HashMap<Arc<str>, Arc<str>> = task.identity.topics.clone();
            Box::new(PurgingCommit::new(commit, &task.cluster, topics, shared.options.purge_interval))
        }
    })
}
