//! Dataflows over the log in memory: bounded inputs, and sources that have no log of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::RecordBatch;
use davy_engine::Result;
use davy_engine::connector::Share;
use davy_engine::log::memory::{MemoryCommit, MemoryLog};
use davy_engine::log::{Commit, ExchangeId, Found, Source, SplitId, Transaction};
use davy_engine::plan::{Dataflow, StageInput};
use davy_engine::task::{Step, Task, TaskParts};

use super::control::Control;
use super::sinks::Sinks;
use super::{Ending, Shared};
use crate::{clock, probe};

/// Partial batches that a stage may be ahead of the next one.
const UNREAD_MAX: u64 = 4;
/// How long an idle task rests.
const REST: Duration = Duration::from_millis(1);

/// The tasks of one dataflow: a source table's splits are shared out, everything after an exchange is one task.
pub(super) fn tasks_of(
    shared: &Shared,
    log: &MemoryLog,
    number: usize,
    dataflow: &Arc<Dataflow>,
) -> Result<Vec<TaskParts>> {
    let mut n_tasks = Vec::new();
    for stage in &dataflow.stages {
        n_tasks.push(match &stage.input {
            StageInput::Table(plan) => {
                let n_splits = plan.table.table.source(&plan.schema, Share { index: 0, count: 1 })?.splits()?.len();
                shared.options.tasks.of_stage(number - 1, n_tasks.len())?.n_tasks.min(n_splits.max(1) as u32)
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
                    Box::new(log.source_of(&exchanges, index))
                }
            };
            let commit = HostCommit { inner: log.commit_for(&name), sinks: Arc::clone(&shared.sinks) };
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
                probe: probe::reached,
            });
        }
    }
    Ok(tasks)
}

/// Steps a task to its end.
pub(super) fn drive(shared: &Shared, control: &Control, log: &MemoryLog, parts: TaskParts) -> Result<Ending> {
    let stage = &parts.dataflow.stages[parts.stage];
    let exchanges: Vec<ExchangeId> =
        stage.branches.iter().filter_map(|branch| branch.output.exchange().cloned()).collect();
    let mut task = Task::recover(parts, clock::since(shared.begun))?;
    let mut last_commit = clock::since(shared.begun);
    loop {
        if control.give_up.load(Ordering::Relaxed) {
            return Ok(Ending::Stopped);
        }
        if control.stop.load(Ordering::Relaxed) {
            task.commit()?;
            return Ok(Ending::Stopped);
        }
        if exchanges.iter().any(|exchange| UNREAD_MAX <= log.unread(exchange, 0)) {
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
            self.sinks.write(&name, &batches)?;
        }
        self.inner.commit(transaction)
    }
}
