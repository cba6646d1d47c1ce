//! A task: a stage on a fixed set of splits, from poll to commit.
//!
//! `step` reads one piece of input and runs the chain on it; `commit` flushes partials and makes progress true in one atomic
//! step. Between two commits nothing is visible outside. An error in either leaves memory that has absorbed rows, so the only
//! way on is a new task that recovers from the last commit; recovering is also how every task starts, so it is always tested.

pub(crate) mod source;
mod windows;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::execution::runtime_env::RuntimeEnv;

use crate::error::Result;
use crate::log::{Commit, CommitRecord, Partials, Source, Transaction};
use crate::metrics::Metrics;
use crate::plan::{Branch, Dataflow, Output, StageInput};
use crate::recovery::{Recovery, decide};
use source::SourceBody;
pub use source::fit_to_sink;
pub(crate) use source::hidden_columns;
use windows::WindowsBody;

/// What a task is made of.
pub struct TaskParts {
    /// Its name, for errors: `<dataflow>/<stage>/<index>`.
    pub name: Arc<str>,
    /// The dataflow.
    pub dataflow: Arc<Dataflow>,
    /// Which of its stages.
    pub stage: usize,
    /// How many tasks each stage of the dataflow has.
    pub n_tasks: Arc<[u32]>,
    /// Which of the stage's tasks.
    pub index: u32,
    /// Its input.
    pub source: Box<dyn Source>,
    /// Its commits.
    pub commit: Box<dyn Commit>,
    /// Memory and disk for operators.
    pub runtime: Arc<RuntimeEnv>,
    /// The pipeline's counters.
    pub metrics: Arc<Metrics>,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It read this many rows or partials.
    Worked(usize),
    /// Nothing to read now.
    Idle,
    /// Its input has ended; commit once more, then drop it.
    Ended,
}

/// What both kinds of body share.
pub(crate) struct Context {
    pub(crate) name: Arc<str>,
    pub(crate) dataflow: Arc<Dataflow>,
    pub(crate) stage: usize,
    pub(crate) n_tasks: Arc<[u32]>,
    pub(crate) index: u32,
    pub(crate) runtime: Arc<RuntimeEnv>,
    pub(crate) metrics: Arc<Metrics>,
    /// Rows for tables, not yet committed.
    pub(crate) rows: Vec<(Arc<str>, RecordBatch)>,
}

enum Body {
    Source(SourceBody),
    Windows(Box<WindowsBody>),
}

/// A running task.
pub struct Task {
    context: Context,
    source: Box<dyn Source>,
    commit: Box<dyn Commit>,
    body: Body,
    uncommitted: usize,
    ended: bool,
}

impl Task {
    /// Takes the task over from whoever had it, and rebuilds it from its last commit.
    pub fn recover(parts: TaskParts, now: Duration) -> Result<Self> {
        let TaskParts { name, dataflow, stage, n_tasks, index, mut source, mut commit, runtime, metrics } = parts;
        let last = match decide(&name, dataflow.fingerprint, commit.take_over()?)? {
            Recovery::StartFresh => CommitRecord::default(),
            Recovery::Resume(record) => record,
        };
        let context = Context { name, dataflow, stage, n_tasks, index, runtime, metrics, rows: Vec::new() };
        let dataflow = Arc::clone(&context.dataflow);
        let body = match &dataflow.stages[stage].input {
            StageInput::Table(plan) => {
                Body::Source(SourceBody::recover(&context, Arc::clone(plan), &last, source.as_mut(), now)?)
            }
            StageInput::Exchanges(inputs) => {
                Body::Windows(Box::new(WindowsBody::recover(&context, inputs, &last, source.as_mut())?))
            }
        };
        Ok(Self { context, source, commit, body, uncommitted: 0, ended: false })
    }

    /// Reads one piece of input and runs the chain on it. `now` is processing time and only grows.
    pub fn step(&mut self, now: Duration) -> Result<Step> {
        if let Body::Windows(body) = &mut self.body
            && body.is_behind()
        {
            body.advance(&mut self.context)?;
            return Ok(Step::Worked(0));
        }
        let polled = self.source.poll()?;
        let step = match &mut self.body {
            Body::Source(body) => body.step(&mut self.context, polled, now)?,
            Body::Windows(body) => body.step(&mut self.context, polled)?,
        };
        match step {
            Step::Worked(n) => self.uncommitted += n,
            Step::Idle => {}
            Step::Ended => self.ended = true,
        }
        Ok(step)
    }

    /// Rows or partials read, and rows made, since the last commit.
    pub fn uncommitted(&self) -> usize {
        let made: usize = self.context.rows.iter().map(|(_, batch)| batch.num_rows()).sum();
        self.uncommitted + made
    }

    /// Flushes and commits. The transaction is whole before the first byte of it is written.
    pub fn commit(&mut self) -> Result<()> {
        let (partials, mut record) = match &mut self.body {
            Body::Source(body) => body.flush(&self.context)?,
            Body::Windows(body) => body.flush(&self.context)?,
        };
        record.fingerprint = self.context.dataflow.fingerprint;
        let rows = std::mem::take(&mut self.context.rows);
        let n_rows: usize = rows.iter().map(|(_, batch)| batch.num_rows()).sum();
        self.commit.commit(Transaction { partials, rows, record, last: self.ended })?;
        self.context.metrics.sink_rows.add(n_rows as u64);
        self.context.metrics.commits.add(1);
        self.uncommitted = 0;
        Ok(())
    }
}

impl Context {
    /// The branches of this task's stage.
    fn branches(&self) -> &[Branch] {
        &self.dataflow.stages[self.stage].branches
    }

    /// An envelope for partials of `branch`, with this task's place among the senders.
    fn partials(&self, branch: usize, batch: Option<RecordBatch>) -> Option<Partials> {
        let Output::Exchange(aggregate) = &self.branches()[branch].output else { return None };
        let (first, senders) = self.dataflow.senders(&aggregate.exchange, self.stage, |stage| self.n_tasks[stage]);
        Some(Partials { sender: first + self.index, senders, batch, watermarks: Arc::default() })
    }
}
