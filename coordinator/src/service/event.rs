//! Everything that can wake the event loop.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::autoscale::Decision;
use crate::cluster::{PipelineStatus, Report, TaskView, WorkerInfo, WorkerView};
use crate::model::{DataflowShape, PipelineRecord};
use crate::service::change::Asked;
use crate::service::error::Refused;
use crate::service::keeper::News;
use davy_proto::domain::{Epoch, PipelineId, TaskId, Term, WorkerId};

/// Where an answer goes. Dropped without one, it says that this coordinator does not lead any more.
pub type Reply<T> = oneshot::Sender<Result<T, Refused>>;

/// Something that has happened.
#[derive(Debug)]
pub enum Event {
    Keeper(News),
    /// A script of a change was planned, when this coordinator led by this number.
    Planned {
        /// The leader's number then.
        term: Term,
        id: PipelineId,
        /// What it came to.
        result: Result<Vec<DataflowShape>, Refused>,
    },
    /// A client asks for a change.
    Change(Box<Asked>, Reply<PipelineView>),
    /// A client looks at something.
    Ask(Question),
    /// A worker begins a call.
    Attend {
        info: WorkerInfo,
        /// What it runs already.
        reports: Vec<Report>,
        /// What the call is made of.
        reply: Reply<Attending>,
    },
    /// A worker has reported.
    Heard {
        call: Call,
        /// All that it has.
        reports: Vec<Report>,
        /// It was asked to end.
        is_draining: bool,
    },
    /// A worker's call has ended.
    HungUp(Call),
    /// The process is asked to end.
    Stop,
}

/// Something that a client looks at.
#[derive(Debug)]
pub enum Question {
    Get(PipelineId, Reply<PipelineView>),
    List(Which, Reply<Vec<PipelineView>>),
    /// Some, then each change of one.
    Watch(Which, Reply<Watching>),
    Workers(Reply<Vec<WorkerView>>),
    /// Of one pipeline, or of some.
    Tasks(Which, Reply<Vec<TaskView>>),
    /// How many workers are wanted.
    Scaling(Reply<Decision>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which {
    /// Of one tenant; else of all.
    pub tenant: Option<Arc<str>>,
    /// Of one name; else all.
    pub name: Option<Arc<str>>,
    /// Also those that were stopped.
    pub with_stopped: bool,
}

/// A pipeline: what is wanted, and what is happening.
#[derive(Clone, Debug)]
pub struct PipelineView {
    pub record: Arc<PipelineRecord>,
    pub status: Option<PipelineStatus>,
    /// How many workers it alone would need.
    pub scaling: Option<Decision>,
}

/// Pipelines as they are, and their changes. A watcher that reads too slowly finds `changes` at its end.
#[derive(Debug)]
pub struct Watching {
    pub pipelines: Vec<PipelineView>,
    pub changes: mpsc::Receiver<PipelineView>,
}

/// One call of a worker; it may have had others before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub worker: WorkerId,
    /// Which of all calls since the process began.
    pub number: u64,
}

/// A call as its worker's end is served.
#[derive(Debug)]
pub struct Attending {
    pub call: Call,
    /// What the worker is to be told.
    pub messages: mpsc::Receiver<ToWorker>,
    /// Why the call ends; dropped: this coordinator does not lead any more.
    pub end: oneshot::Receiver<Refused>,
    pub term: Term,
}

/// Something that a worker is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToWorker {
    Welcome,
    Alive,
    /// It owns a task.
    Grant {
        task: TaskId,
        epoch: Epoch,
        pipeline: Arc<PipelineRecord>,
    },
    /// It owns a task no more.
    Revoke {
        task: TaskId,
        /// If it owns it by this number, or a smaller one.
        epoch: Epoch,
        /// After a last commit.
        drain: bool,
        reason: String,
    },
}

impl From<News> for Event {
    fn from(news: News) -> Self {
        Self::Keeper(news)
    }
}

impl Which {
    /// Whether it is one of them.
    pub fn includes(&self, id: &PipelineId) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| *tenant == id.tenant)
            && self.name.as_ref().is_none_or(|name| *name == id.name)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.worker, self.number)
    }
}
