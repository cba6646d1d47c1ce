//! The worker's session with its coordinator: one call that the worker opens.
//!
//! Tasks go on while no coordinator is reachable. The agent tries the addresses in turn and registers with its running tasks. It
//! rejects messages from a stale term.

mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use davy_engine::{Error, Result};
use davy_proto::v1::coordinator_message::Kind as Order;
use davy_proto::v1::worker_message::Kind as Said;
use davy_proto::v1::workers_client::WorkersClient;
use davy_proto::v1::{CoordinatorMessage, Heartbeat, Register, WorkerMessage};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status, Streaming};
use tracing::{debug, info, warn};

use crate::exposition::WorkerMetrics;
use crate::http;
use crate::slots::{SlotOptions, Slots, TaskReport};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How often a silent connection is probed, and how long the answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// The first and the longest pause after all coordinators were tried.
const BACK_OFF_MIN: Duration = Duration::from_millis(200);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);
/// How often the stop flag is read.
const GLANCE: Duration = Duration::from_millis(50);
/// Messages to the coordinator that may be queued.
const WAITING: usize = 64;
/// How long the worker waits until the coordinator acknowledges the report that all tasks are released.
const LAST_ACKNOWLEDGEMENT: Duration = Duration::from_secs(1);

/// An id that is unique to this process.
pub fn unique_id(name: &str) -> String {
    format!("{name}-{:x}", crate::host::owner())
}

#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// URLs of coordinators, `http://host:port` or `https://…`; tried in turn.
    pub coordinators: Vec<String>,
    /// For people, such as the host's name.
    pub name: String,
    /// Unique to this process.
    pub id: String,
    /// How many tasks it runs without being overloaded.
    pub slots: u32,
    /// Such as `zone=a`.
    pub labels: BTreeMap<String, String>,
    /// A file with the worker's token; read again for each session.
    pub token_file: Option<PathBuf>,
    pub tls: TlsFiles,
    /// The endpoints for metrics and health.
    pub http: Option<http::HttpOptions>,
    /// How long tasks may take for their last commits.
    pub grace: Duration,
}

#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// Certificate authorities that the worker trusts. Without it, only `http://` addresses are allowed.
    pub ca: Option<PathBuf>,
    /// Client certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Runs a worker until `stop` is true and all its tasks have ended.
pub fn run(options: AgentOptions, slots: SlotOptions, stop: Arc<AtomicBool>) -> Result<()> {
    let changed = Arc::new(Notify::new());
    let notify = Arc::clone(&changed);
    let slots = Arc::new(Mutex::new(Slots::new(slots, Arc::new(move || notify.notify_one()))));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Unavailable(format!("cannot start the worker: {error}")))?;
    let metrics = Arc::new(WorkerMetrics::new()?);
    let agent = Agent { options, slots: Arc::clone(&slots), changed, stop, metrics: Arc::clone(&metrics), term: 0 };
    runtime.block_on(async move {
        let shown = agent.options.http.clone();
        let mut agent = agent;
        match shown {
            None => agent.run().await,
            Some(shown) => {
                let served = http::serve(shown, slots, metrics).await?;
                tokio::select! {
                    outcome = agent.run() => outcome,
                    error = served => Err(error),
                }
            }
        }
    })
}

struct Agent {
    options: AgentOptions,
    slots: Arc<Mutex<Slots>>,
    changed: Arc<Notify>,
    stop: Arc<AtomicBool>,
    metrics: Arc<WorkerMetrics>,
    /// The greatest term of any coordinator so far.
    term: u64,
}

/// Why a session ended.
enum Ended {
    /// The worker stops, and all its tasks are released.
    Stopped,
    /// The session could not be opened, or broke.
    Broken(Status),
}

impl Agent {
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    async fn run(&mut self) -> Result<()> {
        let mut back_off = BACK_OFF_MIN;
        for turn in 0.. {
            let address = self.options.coordinators[turn % self.options.coordinators.len()].clone();
            let term_before = self.term;
            let status = match self.session(&address).await {
                Ok(Ended::Stopped) => return Ok(()),
                Ok(Ended::Broken(status)) => status,
                Err(error) => return Err(error),
            };
            self.metrics.connected.set(0);
            if self.is_stopping() {
                break;
            }
            if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) && self.term == 0 {
                return Err(Error::invalid(format!(
                    "coordinator `{address}` refuses this worker: {}",
                    status.message()
                ))
                .hint("give it the token of a worker: --token-file"));
            }
            warn!(%address, code = ?status.code(), why = status.message(), "no session with the coordinator; tasks go on");
            if self.term != term_before || status.code() == Code::FailedPrecondition {
                back_off = BACK_OFF_MIN;
            }
            let has_tried_all = (turn + 1).is_multiple_of(self.options.coordinators.len());
            if has_tried_all {
                self.pause(back_off).await;
                back_off = (2 * back_off).min(BACK_OFF_MAX);
            }
        }
        self.slots().drain();
        self.await_over(self.options.grace).await;
        Ok(())
    }

    /// Returns early when the worker is to stop.
    async fn pause(&self, duration: Duration) {
        let until = now() + duration;
        let mut ticks = interval(GLANCE);
        while now() < until && !self.is_stopping() {
            ticks.tick().await;
        }
    }

    async fn await_over(&self, limit: Duration) {
        let until = now() + limit;
        let mut ticks = interval(GLANCE);
        while now() < until && !self.slots().is_over() {
            ticks.tick().await;
        }
    }

    fn endpoint(&self, address: &str) -> Result<Endpoint> {
        let wrong = |error: &dyn std::fmt::Display| {
            Error::invalid(format!("`{address}` is no coordinator's address: {error}"))
                .hint("write http://host:9640, or https://host:9640")
        };
        let endpoint = Channel::from_shared(address.to_owned()).map_err(|error| wrong(&error))?;
        let endpoint = endpoint
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        if !address.starts_with("https://") {
            return Ok(endpoint);
        }
        let mut tls = ClientTlsConfig::new();
        if let Some(ca) = &self.options.tls.ca {
            tls = tls.ca_certificate(Certificate::from_pem(read(ca)?));
        }
        if let Some((certificate, key)) = &self.options.tls.identity {
            tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        endpoint.tls_config(tls).map_err(|error| wrong(&error))
    }

    fn token(&self) -> Result<Option<MetadataValue<Ascii>>> {
        let Some(path) = &self.options.token_file else { return Ok(None) };
        let bearer = format!("Bearer {}", read(path)?.trim());
        let mut value = MetadataValue::try_from(bearer)
            .map_err(|_| Error::invalid(format!("`{}` holds no token", path.display())))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// One session, from connecting to its end. Errors are those that a retry cannot fix.
    async fn session(&mut self, address: &str) -> Result<Ended> {
        let (endpoint, token) = (self.endpoint(address)?, self.token()?);
        let channel = match endpoint.connect().await {
            Ok(channel) => channel,
            Err(error) => return Ok(Ended::Broken(Status::unavailable(chain(&error)))),
        };
        let (say, said) = mpsc::channel(WAITING);
        let mut request = Request::new(ReceiverStream::new(said));
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", token);
        }
        // The coordinator answers after it has received the registration.
        let mut session = Session { say, unacknowledged: VecDeque::new(), silence: 3 * KEEP_ALIVE, draining: None };
        let reports = self.slots().reports();
        if let Err(status) = session.say(Said::Register(self.register(&reports))) {
            return Ok(Ended::Broken(status));
        }
        let orders = match timeout_at(now() + CONNECT, WorkersClient::new(channel).open_session(request)).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return Ok(Ended::Broken(status)),
            Err(_) => return Ok(Ended::Broken(Status::deadline_exceeded("no answer to the registration"))),
        };
        Ok(self.talk(&mut session, orders).await.unwrap_or_else(Ended::Broken))
    }

    async fn talk(
        &mut self,
        session: &mut Session,
        mut orders: Streaming<CoordinatorMessage>,
    ) -> Result<Ended, Status> {
        let mut beats = interval(KEEP_ALIVE);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut glances = interval(GLANCE);
        let changed = Arc::clone(&self.changed);
        let mut last_received = now();
        let mut is_welcome = false;
        loop {
            tokio::select! {
                order = orders.message() => {
                    let Some(order) = order? else { return Err(Status::unavailable("the coordinator ended the session")) };
                    last_received = now();
                    if let Some(beat) = self.handle(session, order)? {
                        is_welcome = true;
                        beats = interval(beat);
                        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
                    }
                }
                _ = beats.tick(), if is_welcome => self.beat(session)?,
                () = changed.notified(), if is_welcome => self.beat(session)?,
                _ = glances.tick() => {
                    if session.silence < now() - last_received {
                        return Err(Status::deadline_exceeded("the coordinator is silent for too long"));
                    }
                    if self.is_stopping() && self.can_end(session)? {
                        return Ok(Ended::Stopped);
                    }
                }
            }
        }
    }

    /// Carries out a message; returns the heartbeat interval that a welcome contains.
    fn handle(&mut self, session: &mut Session, order: CoordinatorMessage) -> Result<Option<Duration>, Status> {
        if order.term < self.term {
            let message = format!("term {} is stale, the current one is {}", order.term, self.term);
            return Err(Status::failed_precondition(message));
        }
        self.term = order.term;
        match order.kind {
            Some(Order::Welcome(welcome)) => {
                info!(term = self.term, "registered with the coordinator");
                self.metrics.connected.set(1);
                session.silence = Duration::from_millis(u64::from(welcome.lease_timeout_ms)).max(KEEP_ALIVE);
                return Ok(Some(Duration::from_millis(u64::from(welcome.heartbeat_interval_ms.max(50)))));
            }
            Some(Order::Grant(grant)) => {
                debug!(task = grant.task, epoch = grant.epoch, "granted");
                // A draining worker takes no new tasks; the next heartbeat tells the coordinator.
                if !self.is_stopping() {
                    self.slots().grant(wire::grant(grant));
                }
            }
            Some(Order::Revoke(revoke)) => {
                debug!(task = revoke.task, epoch = revoke.epoch, drain = revoke.drain, "revoked");
                self.slots().revoke(&revoke.task, revoke.epoch, revoke.drain);
            }
            Some(Order::Alive(_)) => {
                if let Some(reports) = session.unacknowledged.pop_front() {
                    self.slots().acknowledge(&reports);
                }
            }
            None => warn!("unknown message from the coordinator"),
        }
        Ok(None)
    }

    fn register(&self, reports: &[TaskReport]) -> Register {
        Register {
            worker_id: self.options.id.clone(),
            name: self.options.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            slots: self.options.slots,
            labels: self.options.labels.clone().into_iter().collect(),
            tasks: reports.iter().map(wire::report).collect(),
        }
    }

    fn beat(&self, session: &mut Session) -> Result<(), Status> {
        let reports = self.slots().reports();
        let tasks = reports.iter().map(wire::report).collect();
        session.say(Said::Heartbeat(Heartbeat { tasks, is_draining: self.is_stopping() }))?;
        session.unacknowledged.push_back(reports);
        Ok(())
    }

    /// Whether a stopping worker can end.
    fn can_end(&self, session: &mut Session) -> Result<bool, Status> {
        let Some(Draining { since, released }) = session.draining else {
            info!("draining: tasks make a last commit");
            self.slots().drain();
            self.beat(session)?;
            session.draining = Some(Draining { since: now(), released: None });
            return Ok(false);
        };
        if self.options.grace < now() - since {
            warn!("some tasks did not stop in time; they resume from their last commit");
            return Ok(true);
        }
        match released {
            None if self.slots().is_over() => {
                self.beat(session)?;
                session.draining = Some(Draining { since, released: Some(now()) });
                Ok(false)
            }
            None => Ok(false),
            Some(released) => Ok(session.unacknowledged.is_empty() || LAST_ACKNOWLEDGEMENT < now() - released),
        }
    }
}

struct Session {
    say: mpsc::Sender<WorkerMessage>,
    unacknowledged: VecDeque<Vec<TaskReport>>,
    /// How long the coordinator may be silent.
    silence: Duration,
    draining: Option<Draining>,
}

#[derive(Clone, Copy)]
struct Draining {
    since: Instant,
    /// When the worker reported that all tasks are released.
    released: Option<Instant>,
}

impl Session {
    fn say(&self, kind: Said) -> Result<(), Status> {
        let said = self.say.try_send(WorkerMessage { kind: Some(kind) });
        said.map_err(|_| Status::unavailable("the coordinator does not read the worker's messages"))
    }
}

#[expect(clippy::disallowed_methods, reason = "the worker is where processing time comes from")]
fn now() -> Instant {
    Instant::now()
}

fn read(path: &std::path::Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| Error::invalid(format!("file `{}` cannot be read: {error}", path.display())))
}

/// An error with its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text += &format!(": {inner}");
        source = inner.source();
    }
    text
}
