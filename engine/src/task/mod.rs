//! A task: a stage on a fixed set of splits, from poll to commit.
//!
//! `step` reads one piece of input and runs the chain on it; `commit` flushes partials and makes progress true in one atomic
//! step. Between two commits nothing is visible outside. An error in either leaves memory that has absorbed rows, so the only
//! remedy is a new task that recovers from the last commit; recovering is also how every task starts, so it is always tested.

mod bad_records;
mod context;
mod cuts;
mod decode;
mod idle_sessions;
pub(crate) mod input_check;
mod local;
mod origin;
mod recover;
mod reset;
mod row_errors;
mod source;
mod timed;
mod unwritable;
mod windows;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::log::{Commit, CommitRecord, ExchangeId, Partials, Polled, Source, SplitId, SplitTime, Transaction};
use crate::lookup::Pinned;
use crate::metrics::Metrics;
use crate::operator::align::Board;
pub use crate::operator::closed::ROWS_PER_ADVANCE;
use crate::operator::spill::Budget;
use crate::plan::{Dataflow, StageInput};
pub use bad_records::fit_to_sink;
pub(crate) use context::Context;
pub use input_check::Finding;
use recover::{decide_recovery, unless_overtaken};
pub use reset::{ResetWatermark, reset_watermark};
use source::SourceBody;
pub(crate) use timed::hidden_columns;
use windows::WindowsBody;

/// What a task is made of.
pub struct TaskParts {
    /// Its name, for errors: `<dataflow>/<stage>/<index>`.
    pub name: Arc<str>,
    pub dataflow: Arc<Dataflow>,
    /// Which of its stages.
    pub stage: usize,
    /// How many tasks each stage of the dataflow has.
    pub n_tasks: Arc<[u32]>,
    /// Which of the stage's tasks.
    pub index: u32,
    /// How many partitions the exchanges of the dataflow have.
    pub n_partitions: u32,
    pub source: Box<dyn Source>,
    pub commit: Box<dyn Commit>,
    pub budget: Budget,
    pub metrics: Arc<Metrics>,
    /// Where the tasks of this stage align their splits.
    pub board: Arc<Board>,
    /// When the run began, ns since 1970.
    pub run_start: i64,
    /// About how many rows of closed windows one commit has.
    pub rows_per_advance: usize,
    /// Called with the name of each point that the task reaches; tests crash there.
    pub probe: fn(&'static str),
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

enum Body {
    Source(SourceBody),
    Windows(Box<WindowsBody>),
}

/// What a body gives up at a commit.
pub(crate) struct Flushed {
    partials: Vec<(ExchangeId, u32, Partials)>,
    record: CommitRecord,
    /// The watermarks that go with the partials.
    watermarks: Option<Arc<BTreeMap<SplitId, SplitTime>>>,
}

/// How often a task without news commits its positions and watermarks again: a restarted stage needs a report of every sender, and
/// Kafka deletes committed positions that are not renewed for a week.
const HEARTBEAT: Duration = Duration::from_secs(5);

pub struct Task {
    context: Context,
    /// The versions of lookup tables' lists, until the next commit.
    lookups: Pinned,
    source: Box<dyn Source>,
    commit: Box<dyn Commit>,
    body: Body,
    accepts_loss: bool,
    is_new: bool,
    /// Positions read since they were last taken.
    n_messages: u64,
    uncommitted: usize,
    ended: bool,
    is_leaving: bool,
    now: Duration,
    last_commit: Option<Duration>,
    last_record: CommitRecord,
    last_watermarks: Option<Arc<BTreeMap<SplitId, SplitTime>>>,
}

impl Task {
    /// Takes the task over from its last owner, and rebuilds it from its last commit.
    pub fn recover(parts: TaskParts, now: Duration) -> Result<Self> {
        let (mut context, mut source, mut commit) = Context::of(parts);
        let lookups = Pinned::new(&context.dataflow.lookups);
        let entered = lookups.enter();
        let splits = source.splits()?;
        let found = commit.take_over(&splits)?;
        let accepts_loss = source.accepts_loss();
        let decided = decide_recovery(&context.facts(accepts_loss, &splits), found.clone(), source.as_mut());
        let (last, notices) = decided.map_err(|refusal| unless_overtaken(refusal, commit.as_mut(), &splits, &found))?;
        context.notices = notices;
        context.notices.extend(last.iter().flat_map(|last| lookups.changes_since(&last.lookups)));
        let is_new = last.is_none();
        commit.claim()?;
        let dataflow = Arc::clone(&context.dataflow);
        let body = match &dataflow.stages[context.stage].input {
            StageInput::Table(plan) => {
                let closed_through = last.as_ref().and_then(|last| last.closed_through);
                let mut body = SourceBody::new(&context, Arc::clone(plan), closed_through, source.as_mut())?;
                body.read(&splits, last.as_ref(), source.as_mut(), now)?;
                Body::Source(body)
            }
            StageInput::Exchanges(inputs) => {
                let last = last.unwrap_or_default();
                Body::Windows(Box::new(WindowsBody::recover(&context, inputs, &last, source.as_mut())?))
            }
        };
        drop(entered);
        Ok(Self {
            context,
            lookups,
            source,
            commit,
            body,
            accepts_loss,
            is_new,
            n_messages: 0,
            uncommitted: 0,
            ended: false,
            is_leaving: false,
            now,
            last_commit: None,
            last_record: CommitRecord::default(),
            last_watermarks: None,
        })
    }

    /// Whether nothing was committed when it was taken over.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// What a person should know of the task's input; each is said once.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.context.notices)
    }

    /// What has been found of the input's records since the last call, although the task runs.
    pub fn take_finding(&mut self) -> Option<Finding> {
        self.context.finding.take()
    }

    /// Reads one piece of input and runs the chain on it. `now` is processing time and only grows.
    pub fn step(&mut self, now: Duration) -> Result<Step> {
        self.now = now;
        let _entered = self.lookups.enter();
        if let Body::Windows(body) = &mut self.body
            && body.is_behind()
        {
            body.advance(&mut self.context)?;
            return Ok(Step::Worked(0));
        }
        let polled = self.source.poll()?;
        (self.context.probe)("poll");
        if let Polled::Data(fetched) = &polled {
            self.n_messages += fetched.next.0.saturating_sub(fetched.start.0);
        }
        let step = match &mut self.body {
            Body::Source(body) => body.step(&mut self.context, polled, now)?,
            Body::Windows(body) => body.step(&mut self.context, polled)?,
        };
        (self.context.probe)("aggregate");
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

    /// Limits, about, how many rows of closed windows come between two commits.
    pub fn limit_rows(&mut self, rows_max: usize) {
        if let Body::Windows(body) = &mut self.body {
            body.limit_rows(rows_max);
        }
    }

    /// Whether a commit is due because partials fill the task's memory; the next stage has more use for them.
    pub fn is_full(&self) -> bool {
        let Body::Source(body) = &self.body else { return false };
        self.context.budget.state_bytes / 2 < body.partials_size()
    }

    /// Flushes and commits. The transaction is whole before the first byte of it is written.
    pub fn commit(&mut self) -> Result<()> {
        let flushed = self.flush()?;
        self.commit_flushed(flushed)
    }

    /// As [`Self::commit_changes`], before the task is given up: what may take long, and matters to those who go on only, is left out.
    pub fn commit_last(&mut self) -> Result<bool> {
        self.is_leaving = true;
        if self.commit.has_open_files() {
            return self.commit().map(|()| true);
        }
        self.commit_changes()
    }

    /// Commits if there is anything to commit, or if nothing was said for long; says whether it did.
    pub fn commit_changes(&mut self) -> Result<bool> {
        let flushed = self.flush()?;
        let is_silent = self.last_commit.is_none_or(|last| HEARTBEAT <= self.now.saturating_sub(last));
        let has_rows =
            !self.context.rows.is_empty() || flushed.partials.iter().any(|(_, _, sent)| sent.batch.is_some());
        let is_changed = flushed.record != self.last_record || flushed.watermarks != self.last_watermarks;
        if !has_rows && !is_changed && !is_silent {
            self.lookups.renew();
            return Ok(false);
        }
        self.commit_flushed(flushed)?;
        Ok(true)
    }

    fn flush(&mut self) -> Result<Flushed> {
        let _entered = self.lookups.enter();
        let mut flushed = match &mut self.body {
            Body::Source(body) => {
                if !self.is_leaving {
                    body.update_idleness(self.source.as_mut(), self.now)?;
                }
                body.flush(&mut self.context)?
            }
            Body::Windows(body) => body.flush(&self.context)?,
        };
        flushed.record.fingerprint = self.context.dataflow.state_fingerprint;
        flushed.record.lookups = self.lookups.versions();
        Ok(flushed)
    }

    fn commit_flushed(&mut self, flushed: Flushed) -> Result<()> {
        unwritable::take_out(&mut self.context, self.commit.as_mut())?;
        let rows = std::mem::take(&mut self.context.rows);
        let n_rows: usize = rows.iter().map(|(_, batch)| batch.num_rows()).sum();
        let Flushed { partials, record, watermarks } = flushed;
        self.commit.commit(Transaction {
            partials,
            rows,
            record: record.clone(),
            last: self.ended || self.is_leaving,
        })?;
        self.context.metrics.sink_rows.inc_by(n_rows as u64);
        self.context.metrics.commits.inc();
        self.uncommitted = 0;
        self.last_commit = Some(self.now);
        (self.last_record, self.last_watermarks) = (record, watermarks);
        self.lookups.renew();
        self.join()
    }

    /// Messages read since the last call, in the unit of [`Self::lag`]: offsets of a topic.
    pub fn take_messages(&mut self) -> u64 {
        std::mem::take(&mut self.n_messages)
    }

    /// Messages not yet read, as far as is known without a request.
    pub fn lag(&self) -> u64 {
        self.source.lag()
    }

    /// The watermark of the last commit, in nanoseconds since 1970: of a source the earliest among its splits.
    pub fn watermark(&self) -> Option<i64> {
        let CommitRecord { watermarks, expected, .. } = &self.last_record;
        let earliest = watermarks.values().min().copied().or(*expected)?;
        (earliest != i64::MIN && earliest != i64::MAX).then_some(earliest)
    }

    /// Whether another owner has committed since this one last did.
    pub fn is_superseded(&mut self) -> Result<bool> {
        self.commit.is_superseded()
    }

    /// Begins to read splits that have appeared.
    fn join(&mut self) -> Result<()> {
        let Body::Source(body) = &mut self.body else { return Ok(()) };
        if self.is_leaving {
            return Ok(());
        }
        let joined = self.source.joined()?;
        if joined.is_empty() {
            return Ok(());
        }
        let found = self.commit.find(&joined)?;
        let (last, notices) =
            decide_recovery(&self.context.facts(self.accepts_loss, &joined), found, self.source.as_mut())?;
        self.context.notices.extend(notices);
        self.context.notices.extend(joined.iter().map(|split| format!("split `{split}` has joined")));
        body.read(&joined, Some(&last.unwrap_or_default()), self.source.as_mut(), self.now)
    }
}
