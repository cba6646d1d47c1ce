//! How others speak to the event loop.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::autoscale::Decision;
use crate::cluster::{Report, TaskView, WorkerInfo, WorkerView};
use crate::planner::{Planner, Refusal};
use crate::service::change::Asked;
use crate::service::error::{Kind, Refused};
use crate::service::event::{Attending, Call, Event, PipelineView, Question, Reply, Watching, Which};
use crate::service::standing::Standing;
use davy_proto::domain::{PipelineId, Term};

/// Speaks to the event loop; clones speak to the same.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) events: mpsc::Sender<Event>,
    pub(super) standing: watch::Receiver<Standing>,
}

impl Handle {
    /// The number of this coordinator if it leads; else the refusal.
    pub fn leads(&self) -> Result<Term, Refused> {
        self.standing.borrow().leads()
    }

    /// Whether this coordinator leads, and each change of that.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Makes a change; the answer comes when it is durable.
    pub async fn change(&self, asked: Asked) -> Result<PipelineView, Refused> {
        self.call(|reply| Event::Change(Box::new(asked), reply)).await
    }

    pub async fn get(&self, id: PipelineId) -> Result<PipelineView, Refused> {
        self.call(|reply| Event::Ask(Question::Get(id, reply))).await
    }

    /// Some pipelines, in order of their ids.
    pub async fn list(&self, which: Which) -> Result<Vec<PipelineView>, Refused> {
        self.call(|reply| Event::Ask(Question::List(which, reply))).await
    }

    /// Some pipelines, then each change of one.
    pub async fn watch(&self, which: Which) -> Result<Watching, Refused> {
        self.call(|reply| Event::Ask(Question::Watch(which, reply))).await
    }

    pub async fn workers(&self) -> Result<Vec<WorkerView>, Refused> {
        self.call(|reply| Event::Ask(Question::Workers(reply))).await
    }

    /// Tasks of some pipelines.
    pub async fn tasks(&self, which: Which) -> Result<Vec<TaskView>, Refused> {
        self.call(|reply| Event::Ask(Question::Tasks(which, reply))).await
    }

    /// How many workers are wanted.
    pub async fn scaling(&self) -> Result<Decision, Refused> {
        self.call(|reply| Event::Ask(Question::Scaling(reply))).await
    }

    /// Begins a worker's call.
    pub async fn attend(&self, info: WorkerInfo, reports: Vec<Report>) -> Result<Attending, Refused> {
        self.call(|reply| Event::Attend { info, reports, reply }).await
    }

    /// Tells what a worker has said. `false`: nobody listens any more.
    pub async fn heard(&self, call: Call, reports: Vec<Report>, is_draining: bool) -> bool {
        self.events.send(Event::Heard { call, reports, is_draining }).await.is_ok()
    }

    /// Tells that a worker's call has ended. `false`: nobody listens any more.
    pub async fn hung_up(&self, call: Call) -> bool {
        self.events.send(Event::HungUp(call)).await.is_ok()
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
        Refused::new(Kind::Unavailable, message)
            .hint("ask the one that leads; a change may be sent again with its request_id")
    }
}

/// Runs the planner, whose calls block, on threads for such: a few at once.
#[derive(Clone)]
pub struct Planning {
    planner: Arc<dyn Planner>,
    places: Arc<Semaphore>,
}

impl Planning {
    /// At most `n` calls at once.
    pub fn new(planner: Arc<dyn Planner>, n: usize) -> Self {
        Self { planner, places: Arc::new(Semaphore::new(n)) }
    }

    /// Runs one call when there is a place.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Planner) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refused> {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        self.run_in(place, work).await
    }

    /// Runs one call in a place that the caller counts.
    pub async fn run_in<T: Send + 'static>(
        &self,
        place: OwnedSemaphorePermit,
        work: impl FnOnce(&dyn Planner) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refused> {
        let planner = Arc::clone(&self.planner);
        let running = tokio::task::spawn_blocking(move || {
            let result = work(&*planner);
            // Who asked may have given up: the place is free only when the thread is.
            drop(place);
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
