//! Dataflows over the log in memory: bounded inputs, and sources that have no log of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use davy_engine::Result;
use davy_engine::connector::Share;
use davy_engine::log::memory::{MemoryCommit, MemoryLog, Unread};
use davy_engine::log::{Commit, ExchangeId, Found, Source, SplitId, Transaction, Unwritable};
use davy_engine::plan::{Dataflow, StageInput};
use davy_engine::task::{ROWS_PER_ADVANCE, Task, TaskParts};

use super::commit_rows::CommitRows;
use super::control::Control;
use super::sinks::Sinks;
use super::work::Work;
use super::{Ending, Shared};
use crate::{clock, probe};

/// Partial batches that a stage may be ahead of the next one.
const UNREAD_MAX: u64 = 4;
/// … and the part of the task's memory that they may have.
const UNREAD_SHARE: usize = 4;
/// How long a task rests that has nothing to read, or waits for the next stage.
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
                budget: shared.budget(dataflow, &n_tasks, stage)?,
                metrics: Arc::clone(&shared.metrics),
                board: Arc::clone(&board),
                run_start: shared.run_start,
                rows_per_advance: ROWS_PER_ADVANCE,
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
    let name = Arc::clone(&parts.name);
    let unread_bytes_max = parts.budget.state_bytes / UNREAD_SHARE;
    let mut task = Task::recover(parts, clock::since(shared.begun))?;
    let is_ahead = |unread: Unread| UNREAD_MAX <= unread.n_records || unread_bytes_max <= unread.n_bytes;
    let is_blocked = || exchanges.iter().any(|exchange| is_ahead(log.unread(exchange, 0)));
    let work = Work {
        name: &name,
        shared,
        control,
        is_blocked: &is_blocked,
        idle_rest: REST,
        commit_rows: &CommitRows::unlimited(),
        on_stop: Ending::Stopped,
    };
    work.run(&mut task)
}

/// Commits to the log and, before that, to the sinks.
struct HostCommit {
    inner: MemoryCommit,
    sinks: Arc<Sinks>,
}

impl Commit for HostCommit {
    fn unwritable(&mut self, table: &str, rows: &RecordBatch) -> Result<Vec<Unwritable>> {
        self.sinks.unwritable(table, rows)
    }

    fn deliver(&mut self, table: &str, rows: &RecordBatch) -> Result<Option<Vec<Unwritable>>> {
        self.inner.check_owner()?;
        self.sinks.deliver(table, rows)
    }

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
