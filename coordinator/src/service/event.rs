//! Everything that can wake the event loop.

use std::fmt;
use std::sync::Arc;

use davy_proto::domain::{Assignment, DataflowShape, PipelineId, Revocation, TaskReport, Term, WorkerId};
use tokio::sync::{mpsc, oneshot};

use crate::autoscale::Decision;
use crate::cluster::{PipelineStatus, TaskView, WorkerInfo, WorkerView};
use crate::error::Refused;
use crate::model::PipelineRecord;
use crate::service::catalog_writer::News;
use crate::service::change::ChangeRequest;

/// Where an answer goes. The caller sees it dropped when this coordinator stops leading.
pub type Reply<T> = oneshot::Sender<Result<T, Refused>>;

#[derive(Debug)]
pub enum Event {
    Catalog(News),
    /// The script of a change was planned, in this term of this coordinator.
    Planned {
        term: Term,
        id: PipelineId,
        result: Result<Vec<DataflowShape>, Refused>,
    },
    /// A client requests a change.
    Change(Box<ChangeRequest>, Reply<PipelineView>),
    /// A client reads pipelines, workers or tasks.
    Query(Query),
    /// A worker opens a session; `reports` has the tasks that it runs already.
    OpenSession {
        info: WorkerInfo,
        reports: Vec<TaskReport>,
        reply: Reply<WorkerSession>,
    },
    /// A worker reports all its tasks.
    Heartbeat {
        session: SessionId,
        reports: Vec<TaskReport>,
        is_draining: bool,
    },
    SessionClosed(SessionId),
    /// The process is shutting down.
    Stop,
}

#[derive(Debug)]
pub enum Query {
    Get(PipelineId, Reply<PipelineView>),
    List(Which, Reply<Vec<PipelineView>>),
    /// The present pipelines, then each change of one.
    Watch(Which, Reply<Watching>),
    Workers(Reply<Vec<WorkerView>>),
    Tasks(Which, Reply<Vec<TaskView>>),
    Scaling(Reply<Decision>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which {
    pub tenant: Option<Arc<str>>,
    pub name: Option<Arc<str>>,
    pub with_stopped: bool,
}

/// A pipeline: its desired state, and its current one.
#[derive(Clone, Debug)]
pub struct PipelineView {
    pub record: Arc<PipelineRecord>,
    pub status: Option<PipelineStatus>,
    /// How many workers this pipeline alone needs.
    pub scaling: Option<Decision>,
}

/// Pipelines as they are, and their changes. A watcher that reads too slowly finds `changes` at its end.
#[derive(Debug)]
pub struct Watching {
    pub pipelines: Vec<PipelineView>,
    pub changes: mpsc::Receiver<PipelineView>,
}

/// One session of a worker; it may have had others before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionId {
    pub worker: WorkerId,
    /// Grows with each session of this coordinator.
    pub number: u64,
}

/// A worker session, as its gRPC stream serves it.
#[derive(Debug)]
pub struct WorkerSession {
    pub id: SessionId,
    pub messages: mpsc::Receiver<ToWorker>,
    /// Why the coordinator closes the session. Dropped: this coordinator no longer leads.
    pub end: oneshot::Receiver<Refused>,
    pub term: Term,
}

/// A message to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToWorker {
    Welcome,
    Alive,
    Grant(Assignment),
    Revoke(Revocation),
}

impl From<News> for Event {
    fn from(news: News) -> Self {
        Self::Catalog(news)
    }
}

impl Which {
    /// Whether it is one of them.
    pub fn includes(&self, id: &PipelineId) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| *tenant == id.tenant)
            && self.name.as_ref().is_none_or(|name| *name == id.name)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.worker, self.number)
    }
}
