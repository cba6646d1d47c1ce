//! Workers' calls: who is told what, and when one is hung up.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, warn};

use crate::cluster::{Action, Report, WorkerInfo};
use crate::service::error::{Kind, Refused};
use crate::service::event::{Attending, Call, Reply, ToWorker};
use davy_proto::domain::WorkerId;

use super::Leading;
use super::changes::answer;

/// Calls that are open.
#[derive(Default)]
pub(super) struct Calls {
    open: BTreeMap<WorkerId, Line>,
    /// Of the last call.
    number: u64,
}

/// The coordinator's end of a call. Dropped, it says that this coordinator does not lead any more.
struct Line {
    number: u64,
    messages: mpsc::Sender<ToWorker>,
    end: oneshot::Sender<Refused>,
}

impl Leading {
    /// A worker begins a call; an older one of the same worker ends.
    pub(super) fn attend(&mut self, info: WorkerInfo, reports: Vec<Report>, reply: Reply<Attending>) {
        let worker = info.id.clone();
        let limits = &self.tools.options.limits;
        if !self.calls.open.contains_key(&worker) && limits.workers <= self.calls.open.len() {
            let n = self.calls.open.len();
            let refused = Refused::new(Kind::Exhausted, format!("{n} workers attend, which is the limit"));
            return answer(reply, Err(refused.hint("give workers more slots instead")));
        }
        let (messages, receiver) = mpsc::channel(limits.worker_queue.max(1));
        let (end, why) = oneshot::channel();
        self.calls.number += 1;
        let number = self.calls.number;
        let call = Call { worker: worker.clone(), number };
        info!(worker = %worker, name = info.name, version = info.version, slots = info.slots, n_tasks = reports.len(), "a worker attends");
        self.cluster.register(info, reports, self.tools.clock.now());
        if let Some(older) = self.calls.open.insert(worker.clone(), Line { number, messages, end }) {
            older.end(Refused::new(Kind::Unavailable, format!("worker `{worker}` has begun a newer call")));
        }
        answer(reply, Ok(Attending { call, messages: receiver, end: why, term: self.term }));
        self.tell(&worker, ToWorker::Welcome);
    }

    /// A worker has reported.
    pub(super) fn heard(&mut self, call: &Call, reports: Vec<Report>, is_draining: bool) {
        if !self.calls.has(call) {
            return;
        }
        match self.cluster.hear(&call.worker, reports, is_draining, self.tools.clock.now()) {
            Ok(()) => self.tell(&call.worker, ToWorker::Alive),
            Err(unknown) => {
                let refused = Refused::new(Kind::Precondition, unknown.to_string());
                self.hang_up(&call.worker, refused.hint("register the worker again"));
            }
        }
    }

    /// A worker's call has ended.
    pub(super) fn hung_up(&mut self, call: &Call) {
        if self.calls.has(call) {
            info!(worker = %call.worker, "a worker's call has ended");
            self.calls.open.remove(&call.worker);
            self.cluster.hang_up(&call.worker, self.tools.clock.now());
        }
    }

    /// Tells a worker what was decided.
    pub(super) fn carry_out(&mut self, action: Action, now: Duration) {
        match action {
            Action::Grant { worker, task, epoch, spec_version, reason } => {
                let Some(pipeline) = self.records.get(&task.pipeline).cloned() else {
                    // The next decision takes it back, since nobody wants it.
                    return warn!(%task, "a task without a pipeline was granted");
                };
                debug_assert_eq!(pipeline.spec_version, spec_version, "what is visible is what is decided on");
                info!(%task, %epoch, %worker, reason, "granted");
                self.tools.metrics.grants.inc();
                self.tell(&worker, ToWorker::Grant { task, epoch, pipeline });
            }
            Action::Revoke { worker, task, epoch, drain, reason } => {
                info!(%task, %epoch, %worker, drain, reason, after = ?now, "revoked");
                self.tools.metrics.revocations.inc();
                self.tell(&worker, ToWorker::Revoke { task, epoch, drain, reason });
            }
        }
    }

    /// Never waits: a worker that does not read what it is told is hung up, and begins again when it can.
    fn tell(&mut self, worker: &WorkerId, message: ToWorker) {
        let Some(line) = self.calls.open.get(worker) else {
            return debug!(%worker, ?message, "a worker was to be told something after it had hung up");
        };
        match line.messages.try_send(message) {
            Ok(()) => {}
            // Its end is gone; the event that says so is on its way.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.tools.metrics.workers_hung_up.inc();
                let n = self.tools.options.limits.worker_queue;
                let message = format!("worker `{worker}` has not read {n} messages");
                self.hang_up(worker, Refused::new(Kind::Exhausted, message).hint("register the worker again"));
            }
        }
    }

    fn hang_up(&mut self, worker: &WorkerId, why: Refused) {
        warn!(%worker, %why, "a worker was hung up");
        if let Some(line) = self.calls.open.remove(worker) {
            line.end(why);
        }
        self.cluster.hang_up(worker, self.tools.clock.now());
    }
}

impl Calls {
    fn has(&self, call: &Call) -> bool {
        self.open.get(&call.worker).is_some_and(|line| line.number == call.number)
    }
}

impl Line {
    fn end(self, why: Refused) {
        // Its end may be gone already.
        drop(self.end.send(why));
    }
}
