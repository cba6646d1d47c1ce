//! One session with a coordinator: register, report tasks with each heartbeat, carry out what the coordinator sends.
//!
//! The worker rejects messages from a stale term. A worker that stops drains its tasks within the session, so that the coordinator
//! can assign them at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use davy_engine::Result;
use davy_proto::domain::{Assignment, Revocation, TaskReport, Term};
use davy_proto::v1::coordinator_message::Kind as Received;
use davy_proto::v1::worker_message::Kind as Sent;
use davy_proto::v1::workers_client::WorkersClient;
use davy_proto::v1::{CoordinatorMessage, Heartbeat, Register, Welcome, WorkerMessage};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use tracing::{debug, info, warn};

use super::{Agent, CONNECT, KEEP_ALIVE, now};

/// Messages to the coordinator that may be queued.
const QUEUED_MAX: usize = 64;
/// No coordinator is sent heartbeats more often.
const HEARTBEAT_MIN_MS: u32 = 50;
/// How long the worker waits until the coordinator acknowledges the report that all tasks are released.
const LAST_ACKNOWLEDGEMENT: Duration = Duration::from_secs(1);

pub(super) enum Ended {
    /// The worker stops, and all its tasks have ended.
    Stopped,
    /// The session could not be opened, or broke.
    Broken(Status),
}

struct Session {
    outgoing: mpsc::Sender<WorkerMessage>,
    incoming: Streaming<CoordinatorMessage>,
    heartbeats: Interval,
    /// Whether the coordinator has answered the registration.
    is_registered: bool,
    /// Reports that the coordinator has not acknowledged, in order.
    unacknowledged: VecDeque<Vec<TaskReport>>,
    last_received: Instant,
    /// How long the coordinator may be silent.
    silence_max: Duration,
    draining: Option<Draining>,
}

#[derive(Clone, Copy)]
struct Draining {
    /// When tasks that have not ended are given up.
    deadline: Instant,
    /// Until when an acknowledgement is waited for, once all tasks have ended and the worker has reported that.
    last_wait: Option<Instant>,
}

impl Agent {
    /// One session, from connecting to its end. Errors are those that a retry cannot fix.
    pub(super) async fn session(&mut self, address: &str) -> Result<Ended> {
        let client = self.options.client(address)?;
        let channel = match client.connect().await {
            Ok(channel) => channel,
            Err(error) => return Ok(Ended::Broken(Status::unavailable(with_sources(&error)))),
        };
        let session = self.open(WorkersClient::new(channel)).await;
        let ended = match session {
            Ok(mut session) => self.talk(&mut session).await,
            Err(status) => Err(status),
        };
        Ok(ended.unwrap_or_else(Ended::Broken))
    }

    async fn open(&self, mut client: WorkersClient<davy_proto::client::Service>) -> Result<Session, Status> {
        let (outgoing, messages) = mpsc::channel(QUEUED_MAX);
        send(&outgoing, Sent::Register(self.registration()))?;
        // The coordinator answers after it has received the registration.
        let opened = timeout_at(now() + CONNECT, client.open_session(ReceiverStream::new(messages))).await;
        let opened = opened.map_err(|_| Status::deadline_exceeded("no answer to the registration"))?;
        Ok(Session {
            outgoing,
            incoming: opened?.into_inner(),
            heartbeats: heartbeats(KEEP_ALIVE),
            is_registered: false,
            unacknowledged: VecDeque::new(),
            last_received: now(),
            silence_max: 3 * KEEP_ALIVE,
            draining: None,
        })
    }

    async fn talk(&mut self, session: &mut Session) -> Result<Ended, Status> {
        let (changed, stop) = (Arc::clone(&self.changed), self.stop.clone());
        while !self.can_end(session)? {
            tokio::select! {
                received = timeout_at(session.wake_up(), session.incoming.message()) => match received {
                    Ok(message) => {
                        let message = message?.ok_or_else(|| Status::unavailable("the coordinator ended the session"))?;
                        self.handle(session, message)?;
                    }
                    Err(_) => session.check_silence()?,
                },
                _ = session.heartbeats.tick(), if session.is_registered => self.report(session)?,
                () = changed.notified(), if session.is_registered => self.report(session)?,
                () = stop.cancelled(), if session.draining.is_none() => self.drain(session)?,
            }
        }
        Ok(Ended::Stopped)
    }

    fn handle(&mut self, session: &mut Session, message: CoordinatorMessage) -> Result<(), Status> {
        let term = Term(message.term);
        if term < self.term {
            let message = format!("term {term} is stale, the current one is {}", self.term);
            return Err(Status::failed_precondition(message));
        }
        self.term = term;
        session.last_received = now();
        match message.kind {
            Some(Received::Welcome(welcome)) => {
                info!(%term, "registered with the coordinator");
                self.metrics.connected.set(1);
                session.register(&welcome);
            }
            Some(Received::Grant(grant)) => match Assignment::try_from(grant) {
                Ok(assignment) => self.assign(assignment),
                Err(error) => warn!(%error, "ignores an invalid assignment"),
            },
            Some(Received::Revoke(revoke)) => match Revocation::try_from(revoke) {
                Ok(revocation) => {
                    debug!(task = %revocation.task, epoch = %revocation.epoch, release = ?revocation.release, "revoked");
                    self.slots().revoke(&revocation);
                }
                Err(error) => warn!(%error, "ignores an invalid revocation"),
            },
            Some(Received::Alive(_)) => {
                if let Some(reports) = session.unacknowledged.pop_front() {
                    self.slots().acknowledge(&reports);
                }
            }
            None => warn!("ignores an unknown message from the coordinator"),
        }
        Ok(())
    }

    fn assign(&self, assignment: Assignment) {
        debug!(task = %assignment.task, epoch = %assignment.epoch, "assigned");
        // A draining worker takes no new tasks. The coordinator sees that in the next heartbeat.
        if !self.stop.is_cancelled() {
            self.slots().assign(assignment);
        }
    }

    fn registration(&self) -> Register {
        Register {
            worker_id: self.options.id.clone(),
            name: self.options.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            slots: self.options.slots,
            labels: self.options.labels.clone().into_iter().collect(),
            tasks: self.slots().reports().into_iter().map(Into::into).collect(),
        }
    }

    fn report(&self, session: &mut Session) -> Result<(), Status> {
        let reports = self.slots().reports();
        let tasks = reports.iter().cloned().map(Into::into).collect();
        send(&session.outgoing, Sent::Heartbeat(Heartbeat { tasks, is_draining: self.stop.is_cancelled() }))?;
        session.unacknowledged.push_back(reports);
        Ok(())
    }

    fn drain(&self, session: &mut Session) -> Result<(), Status> {
        info!("draining: tasks make a last commit");
        self.slots().drain();
        session.draining = Some(Draining { deadline: now() + self.options.grace, last_wait: None });
        self.report(session)
    }

    /// Whether a draining worker can end. Reports once when all tasks have ended.
    fn can_end(&self, session: &mut Session) -> Result<bool, Status> {
        let Some(Draining { deadline, last_wait }) = session.draining else { return Ok(false) };
        if let Some(last_wait) = last_wait {
            return Ok(session.unacknowledged.is_empty() || last_wait <= now());
        }
        if self.slots().have_ended() {
            let last_wait = Some(now() + LAST_ACKNOWLEDGEMENT);
            session.draining = Some(Draining { deadline, last_wait });
            self.report(session)?;
            return Ok(false);
        }
        let is_late = deadline <= now();
        if is_late {
            warn!("some tasks did not stop in time; they resume from their last commit");
        }
        Ok(is_late)
    }
}

impl Session {
    fn register(&mut self, welcome: &Welcome) {
        let interval_ms = welcome.heartbeat_interval_ms.max(HEARTBEAT_MIN_MS);
        self.is_registered = true;
        self.heartbeats = heartbeats(Duration::from_millis(interval_ms.into()));
        self.silence_max = Duration::from_millis(welcome.lease_timeout_ms.into()).max(KEEP_ALIVE);
    }

    /// When something is due although no message has come.
    fn wake_up(&self) -> Instant {
        let silent = self.last_received + self.silence_max;
        let drained = self.draining.map(|draining| draining.last_wait.unwrap_or(draining.deadline));
        drained.map_or(silent, |drained| drained.min(silent))
    }

    fn check_silence(&self) -> Result<(), Status> {
        if self.silence_max <= now() - self.last_received {
            return Err(Status::deadline_exceeded("the coordinator is silent for too long"));
        }
        Ok(())
    }
}

fn send(outgoing: &mpsc::Sender<WorkerMessage>, kind: Sent) -> Result<(), Status> {
    let sent = outgoing.try_send(WorkerMessage { kind: Some(kind) });
    sent.map_err(|_| Status::unavailable("the coordinator does not read the worker's messages"))
}

fn heartbeats(period: Duration) -> Interval {
    let mut heartbeats = interval(period);
    heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeats
}

/// An error with its sources.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text += &format!(": {inner}");
        source = inner.source();
    }
    text
}
