//! The other components' handle on the event loop.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::autoscale::Decision;
use crate::cluster::{TaskView, WorkerInfo, WorkerView};
use crate::error::{Kind, Refused};
use crate::planner::{Planner, Refusal};
use crate::service::change::ChangeRequest;
use crate::service::event::{Event, PipelineView, Query, Reply, SessionId, Watching, Which, WorkerSession};
use crate::service::role::CoordinatorRole;
use davy_proto::domain::{PipelineId, TaskReport, Term};

/// Sends events to the event loop; clones send to the same one.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) events: mpsc::Sender<Event>,
    pub(super) role: watch::Receiver<CoordinatorRole>,
}

impl Handle {
    /// The term of this coordinator if it leads, else a refusal.
    pub fn leads(&self) -> Result<Term, Refused> {
        self.role.borrow().leads()
    }

    /// The role of this coordinator, and each change of it.
    pub fn role(&self) -> watch::Receiver<CoordinatorRole> {
        self.role.clone()
    }

    /// Makes a change; returns when it is durable.
    pub async fn change(&self, request: ChangeRequest) -> Result<PipelineView, Refused> {
        self.call(|reply| Event::Change(Box::new(request), reply)).await
    }

    pub async fn get(&self, id: PipelineId) -> Result<PipelineView, Refused> {
        self.call(|reply| Event::Query(Query::Get(id, reply))).await
    }

    /// In order of their ids.
    pub async fn list(&self, which: Which) -> Result<Vec<PipelineView>, Refused> {
        self.call(|reply| Event::Query(Query::List(which, reply))).await
    }

    pub async fn watch(&self, which: Which) -> Result<Watching, Refused> {
        self.call(|reply| Event::Query(Query::Watch(which, reply))).await
    }

    pub async fn workers(&self) -> Result<Vec<WorkerView>, Refused> {
        self.call(|reply| Event::Query(Query::Workers(reply))).await
    }

    pub async fn tasks(&self, which: Which) -> Result<Vec<TaskView>, Refused> {
        self.call(|reply| Event::Query(Query::Tasks(which, reply))).await
    }

    pub async fn scaling(&self) -> Result<Decision, Refused> {
        self.call(|reply| Event::Query(Query::Scaling(reply))).await
    }

    pub async fn open_session(&self, info: WorkerInfo, reports: Vec<TaskReport>) -> Result<WorkerSession, Refused> {
        self.call(|reply| Event::OpenSession { info, reports, reply }).await
    }

    /// Passes a worker's reports on. `false`: the event loop has ended.
    pub async fn heartbeat(&self, session: SessionId, reports: Vec<TaskReport>, is_draining: bool) -> bool {
        self.events.send(Event::Heartbeat { session, reports, is_draining }).await.is_ok()
    }

    /// Notes that a worker has ended its session. `false`: the event loop has ended.
    pub async fn session_closed(&self, session: SessionId) -> bool {
        self.events.send(Event::SessionClosed(session)).await.is_ok()
    }

    async fn call<T>(&self, event: impl FnOnce(Reply<T>) -> Event) -> Result<T, Refused> {
        self.leads()?;
        let (reply, answer) = oneshot::channel();
        let is_sent = self.events.send(event(reply)).await.is_ok();
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(self.unanswered(is_sent)),
        }
    }

    fn unanswered(&self, is_sent: bool) -> Refused {
        let message = if is_sent {
            "this coordinator stopped leading before it answered: a change may have been made, or not"
        } else {
            "this coordinator is ending"
        };
        Refused::new(Kind::Unavailable, message).hint("call the leader; a change may be sent again with its request_id")
    }
}

/// Runs the planner on threads for blocking work, a few calls at once.
#[derive(Clone)]
pub struct Planning {
    planner: Arc<dyn Planner>,
    permits: Arc<Semaphore>,
}

impl Planning {
    /// At most `n` calls at once.
    pub fn new(planner: Arc<dyn Planner>, n: usize) -> Self {
        Self { planner, permits: Arc::new(Semaphore::new(n)) }
    }

    /// Runs one call when fewer than the maximum run.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Planner) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refused> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        let planner = Arc::clone(&self.planner);
        let running = tokio::task::spawn_blocking(move || {
            let result = work(&*planner);
            // The caller may have given up; the permit is free only when the thread is.
            drop(permit);
            result
        });
        match running.await {
            Ok(result) => result.map_err(Refused::from),
            Err(_) => {
                Err(Refused::new(Kind::Internal, "the planner has panicked")
                    .hint("report this as a bug, with the script"))
            }
        }
    }
}
