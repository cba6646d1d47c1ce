//! What a task knows and gathers whatever it reads: its place in the dataflow, and the rows for tables that wait for the next commit.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::{Finding, TaskParts};
use crate::error::Error;
use crate::log::{Commit, Partials, Source, SplitId};
use crate::metrics::Metrics;
use crate::operator::align::Board;
use crate::operator::keys::Dropped;
use crate::operator::spill::Budget;
use crate::plan::{Branch, Dataflow, Output, StageInput};
use crate::recovery::{Reads, TaskFacts};

/// What both kinds of body share.
pub(crate) struct Context {
    pub(crate) name: Arc<str>,
    pub(crate) dataflow: Arc<Dataflow>,
    pub(crate) stage: usize,
    pub(crate) n_tasks: Arc<[u32]>,
    pub(crate) index: u32,
    pub(crate) n_partitions: u32,
    pub(crate) board: Arc<Board>,
    pub(crate) run_start: i64,
    pub(crate) rows_per_advance: usize,
    pub(crate) probe: fn(&'static str),
    pub(crate) budget: Budget,
    pub(crate) metrics: Arc<Metrics>,
    /// Rows for tables, not yet committed.
    pub(crate) rows: Vec<(Arc<str>, RecordBatch)>,
    /// What a person should know, not yet taken.
    pub(super) notices: Vec<String>,
    /// What the input's records are like, not yet taken.
    pub(super) finding: Option<Finding>,
}

impl Context {
    /// What a task is made of, apart from its log.
    pub(super) fn of(parts: TaskParts) -> (Self, Box<dyn Source>, Box<dyn Commit>) {
        let TaskParts { name, dataflow, stage, n_tasks, index, n_partitions, source, commit, .. } = parts;
        let TaskParts { budget, metrics, board, run_start, rows_per_advance, probe, .. } = parts;
        let (rows, notices, finding) = (Vec::new(), Vec::new(), None);
        let context = Self {
            name,
            dataflow,
            stage,
            n_tasks,
            index,
            n_partitions,
            board,
            run_start,
            rows_per_advance,
            probe,
            budget,
            metrics,
            rows,
            notices,
            finding,
        };
        (context, source, commit)
    }

    /// An error of the task's data, with the task's name.
    pub(super) fn named(&self, error: Error) -> Error {
        match error {
            Error::Data(_) => error.context(&format!("task `{}`", self.name)),
            other => other,
        }
    }

    /// Counts what was left out because its windows have too many keys.
    pub(super) fn note_dropped(&mut self, dropped: Dropped, n_rows: u64) {
        self.metrics.dropped_rows.inc_by(n_rows);
        self.metrics.dropped_keys.inc_by(dropped.n_keys);
        self.notices.extend(dropped.notices);
    }

    /// The branches of this task's stage.
    pub(super) fn branches(&self) -> &[Branch] {
        &self.dataflow.stages[self.stage].branches
    }

    pub(super) fn facts<'a>(&'a self, accepts_loss: bool, splits: &'a [SplitId]) -> TaskFacts<'a> {
        TaskFacts {
            name: &self.name,
            splits,
            reads: match self.dataflow.stages[self.stage].input {
                StageInput::Table(_) => Reads::Table,
                StageInput::Exchanges(_) => Reads::Exchanges,
            },
            index: self.index,
            n_tasks: self.n_tasks[self.stage],
            fingerprint: self.dataflow.state_fingerprint,
            accepts_loss,
        }
    }

    /// An envelope for partials of `branch`, with this task's number among the senders.
    pub(super) fn partials(&self, branch: usize, batch: Option<RecordBatch>) -> Option<Partials> {
        let Output::Exchange(aggregate) = &self.branches()[branch].output else { return None };
        let (first, senders) = self.dataflow.senders(&aggregate.exchange, self.stage, |stage| self.n_tasks[stage]);
        Some(Partials { sender: first + self.index, senders, batch, watermarks: Arc::default() })
    }
}
