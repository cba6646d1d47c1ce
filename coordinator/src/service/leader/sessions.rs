//! Worker sessions: what the coordinator sends to each worker, and when it closes a session.

use std::collections::BTreeMap;
use std::time::Duration;

use davy_proto::domain::{Assignment, Release, Revocation, TaskReport, WorkerId};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, warn};

use crate::cluster::{Action, WorkerInfo};
use crate::error::{Kind, Refused};
use crate::service::event::{Reply, SessionId, ToWorker, WorkerSession};

use super::LeaderState;
use super::changes::answer;

/// At most one session per worker: a new one replaces the one before.
#[derive(Default)]
pub(super) struct Sessions {
    open: BTreeMap<WorkerId, OpenSession>,
    /// Number of the session that was opened last.
    number: u64,
}

/// The coordinator's end of a session. The worker's end sees it dropped when this coordinator stops leading.
struct OpenSession {
    number: u64,
    messages: mpsc::Sender<ToWorker>,
    end: oneshot::Sender<Refused>,
}

impl LeaderState {
    /// Opens a session, and ends an older one of the same worker.
    pub(super) fn open_session(&mut self, info: WorkerInfo, reports: Vec<TaskReport>, reply: Reply<WorkerSession>) {
        let worker = info.id.clone();
        let limits = &self.tools.options.limits;
        if !self.sessions.open.contains_key(&worker) && limits.workers <= self.sessions.open.len() {
            let n = self.sessions.open.len();
            let refused = Refused::new(Kind::Exhausted, format!("{n} workers have a session, which is the limit"));
            return answer(reply, Err(refused.hint("give workers more slots instead")));
        }
        let (messages, receiver) = mpsc::channel(limits.worker_queue.max(1));
        let (end, ended) = oneshot::channel();
        self.sessions.number += 1;
        let number = self.sessions.number;
        let id = SessionId { worker: worker.clone(), number };
        info!(worker = %worker, name = info.name, version = info.version, slots = info.slots, n_tasks = reports.len(), "worker registered");
        self.cluster.register(info, reports, self.tools.clock.now());
        if let Some(older) = self.sessions.open.insert(worker.clone(), OpenSession { number, messages, end }) {
            older.end(Refused::new(Kind::Unavailable, format!("worker `{worker}` has opened a newer session")));
        }
        answer(reply, Ok(WorkerSession { id, messages: receiver, end: ended, term: self.term }));
        self.send(&worker, ToWorker::Welcome);
    }

    /// Notes what a worker has reported, and answers it.
    pub(super) fn heartbeat(&mut self, session: &SessionId, reports: Vec<TaskReport>, is_draining: bool) {
        if !self.sessions.has(session) {
            return;
        }
        match self.cluster.heartbeat(&session.worker, reports, is_draining, self.tools.clock.now()) {
            Ok(()) => self.send(&session.worker, ToWorker::Alive),
            Err(unknown) => {
                let refused = Refused::new(Kind::Precondition, unknown.to_string());
                self.close_session(&session.worker, refused.hint("register the worker again"));
            }
        }
    }

    /// A worker has ended its session.
    pub(super) fn session_closed(&mut self, session: &SessionId) {
        if self.sessions.has(session) {
            info!(worker = %session.worker, "worker session closed");
            self.sessions.open.remove(&session.worker);
            self.cluster.close_session(&session.worker);
        }
    }

    /// Sends a decision to its worker.
    pub(super) fn carry_out(&mut self, action: Action, now: Duration) {
        match action {
            Action::Grant { worker, task, epoch, spec_version, reason } => {
                let Some(record) = self.records.get(&task.pipeline) else {
                    // The next decision revokes it, since it belongs to no pipeline.
                    return warn!(%task, "a task without a pipeline was granted");
                };
                debug_assert_eq!(record.spec.spec_version, spec_version, "decisions are about visible records");
                let pipeline = std::sync::Arc::clone(&record.spec);
                info!(%task, %epoch, %worker, reason, "granted");
                self.tools.metrics.grants.inc();
                self.send(&worker, ToWorker::Grant(Assignment { task, epoch, pipeline }));
            }
            Action::Revoke { worker, task, epoch, release, reason } => {
                let drain = release == Release::Drain;
                info!(%task, %epoch, %worker, drain, reason, after = ?now, "revoked");
                self.tools.metrics.revocations.inc();
                self.send(&worker, ToWorker::Revoke(Revocation { task, epoch, release, reason }));
            }
        }
    }

    /// Never waits: the coordinator closes the session of a worker that does not read its messages; the worker can open another one.
    fn send(&mut self, worker: &WorkerId, message: ToWorker) {
        let Some(session) = self.sessions.open.get(worker) else {
            return debug!(%worker, ?message, "a message was dropped, since its worker has no session");
        };
        match session.messages.try_send(message) {
            Ok(()) => {}
            // The event that reports the end of the session is on its way.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.tools.metrics.workers_hung_up.inc();
                let n = self.tools.options.limits.worker_queue;
                let message = format!("worker `{worker}` has not read {n} messages");
                self.close_session(worker, Refused::new(Kind::Exhausted, message).hint("register the worker again"));
            }
        }
    }

    fn close_session(&mut self, worker: &WorkerId, reason: Refused) {
        warn!(%worker, %reason, "the coordinator closed a worker session");
        if let Some(session) = self.sessions.open.remove(worker) {
            session.end(reason);
        }
        self.cluster.close_session(worker);
    }
}

impl Sessions {
    fn has(&self, id: &SessionId) -> bool {
        self.open.get(&id.worker).is_some_and(|session| session.number == id.number)
    }
}

impl OpenSession {
    fn end(self, reason: Refused) {
        // The worker's end may be gone already.
        drop(self.end.send(reason));
    }
}
