//! The worker's side of the one call that it has with its coordinator: it dials out, and nobody dials it.
//!
//! A coordinator that is away stops no task. The agent tries its addresses in turn, and tells whoever answers what runs here. Whoever
//! has a lower term than one that was heard before is too old, and gets no ear.

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

use crate::http;
use crate::slots::{SlotOptions, Slots, TaskReport};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// How often a silent connection is tried, and how long an answer to that may take.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Between two tries to reach a coordinator, at first and at most.
const BACK_OFF_MIN: Duration = Duration::from_millis(200);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);
/// How often is looked whether someone asks to stop.
const GLANCE: Duration = Duration::from_millis(50);
/// Messages to the coordinator that may wait.
const WAITING: usize = 64;
/// How long a coordinator is waited for that was told that everything is released.
const FAREWELL: Duration = Duration::from_secs(1);

/// A name that no other process has.
pub fn unique_id(name: &str) -> String {
    format!("{name}-{:x}", crate::host::owner())
}

/// How a worker is run.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// Where coordinators may be, as `http://host:port` or `https://…`; tried in turn.
    pub coordinators: Vec<String>,
    /// What people call it, such as its host's name.
    pub name: String,
    /// Unique to this process.
    pub id: String,
    /// How many tasks it takes without being crowded.
    pub slots: u32,
    /// Such as `zone=a`.
    pub labels: BTreeMap<String, String>,
    /// A file with the token that says who it is; read again at each call.
    pub token_file: Option<PathBuf>,
    pub tls: TlsFiles,
    /// Where metrics and health are shown; beyond loopback only these two.
    pub http: Option<http::HttpOptions>,
    /// How long tasks may take to stop.
    pub grace: Duration,
}

#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// Whom to trust; without, nobody but with `http://`.
    pub ca: Option<PathBuf>,
    /// What shows who the worker is: certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Runs a worker until `stop` is true and all its tasks are over.
pub fn run(options: AgentOptions, slots: SlotOptions, stop: Arc<AtomicBool>) -> Result<()> {
    let changed = Arc::new(Notify::new());
    let notify = Arc::clone(&changed);
    let slots = Arc::new(Mutex::new(Slots::new(slots, Arc::new(move || notify.notify_one()))));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Unavailable(format!("cannot start the worker: {error}")))?;
    let status = Arc::new(http::Status::default());
    let agent = Agent { options, slots: Arc::clone(&slots), changed, stop, status: Arc::clone(&status), term: 0 };
    runtime.block_on(async move {
        let shown = agent.options.http.clone();
        let mut agent = agent;
        match shown {
            None => agent.live().await,
            Some(shown) => {
                let served = http::serve(shown, slots, status).await?;
                tokio::select! {
                    outcome = agent.live() => outcome,
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
    status: Arc<http::Status>,
    /// The greatest that was heard.
    term: u64,
}

/// Why a call ended.
enum Ended {
    /// Asked to stop, and everything is released and told.
    Over,
    /// It never came about, or broke.
    Broken(Status),
}

impl Agent {
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    async fn live(&mut self) -> Result<()> {
        let mut back_off = BACK_OFF_MIN;
        for turn in 0.. {
            let address = self.options.coordinators[turn % self.options.coordinators.len()].clone();
            let was_welcome = self.term;
            let status = match self.attend(&address).await {
                Ok(Ended::Over) => return Ok(()),
                Ok(Ended::Broken(status)) => status,
                Err(error) => return Err(error),
            };
            self.status.set_attended(false);
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
            warn!(%address, code = ?status.code(), why = status.message(), "the coordinator is away; tasks go on");
            if self.term != was_welcome || status.code() == Code::FailedPrecondition {
                back_off = BACK_OFF_MIN;
            }
            let has_tried_all = (turn + 1).is_multiple_of(self.options.coordinators.len());
            if has_tried_all {
                self.rest(back_off).await;
                back_off = (2 * back_off).min(BACK_OFF_MAX);
            }
        }
        self.slots().drain();
        self.await_over(self.options.grace).await;
        Ok(())
    }

    /// Rests, unless someone asks to stop.
    async fn rest(&self, duration: Duration) {
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

    /// One call, from its beginning to its end. An error is one that trying again does not mend.
    async fn attend(&mut self, address: &str) -> Result<Ended> {
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
        // The coordinator answers when it has heard who calls.
        let mut call = Call { say, told: VecDeque::new(), silence: 3 * KEEP_ALIVE, has_left: None };
        let reports = self.slots().reports();
        if let Err(status) = call.say(Said::Register(self.register(&reports))) {
            return Ok(Ended::Broken(status));
        }
        let orders = match timeout_at(now() + CONNECT, WorkersClient::new(channel).attend(request)).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return Ok(Ended::Broken(status)),
            Err(_) => return Ok(Ended::Broken(Status::deadline_exceeded("no answer to a call"))),
        };
        Ok(self.talk(&mut call, orders).await.unwrap_or_else(Ended::Broken))
    }

    async fn talk(&mut self, call: &mut Call, mut orders: Streaming<CoordinatorMessage>) -> Result<Ended, Status> {
        let mut beats = interval(KEEP_ALIVE);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut glances = interval(GLANCE);
        let changed = Arc::clone(&self.changed);
        let mut heard = now();
        let mut is_welcome = false;
        loop {
            tokio::select! {
                order = orders.message() => {
                    let Some(order) = order? else { return Err(Status::unavailable("the coordinator ended the call")) };
                    heard = now();
                    if let Some(beat) = self.obey(call, order)? {
                        is_welcome = true;
                        beats = interval(beat);
                        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
                    }
                }
                _ = beats.tick(), if is_welcome => self.beat(call)?,
                () = changed.notified(), if is_welcome => self.beat(call)?,
                _ = glances.tick() => {
                    if call.silence < now() - heard {
                        return Err(Status::deadline_exceeded("nothing was heard of the coordinator for long"));
                    }
                    if self.is_stopping() && self.is_done(call)? {
                        return Ok(Ended::Over);
                    }
                }
            }
        }
    }

    /// Carries an order out; gives how often to report, if the order is about that.
    fn obey(&mut self, call: &mut Call, order: CoordinatorMessage) -> Result<Option<Duration>, Status> {
        if order.term < self.term {
            let message = format!("term {} is over, {} was heard since", order.term, self.term);
            return Err(Status::failed_precondition(message));
        }
        self.term = order.term;
        match order.kind {
            Some(Order::Welcome(welcome)) => {
                info!(term = self.term, "the coordinator knows this worker");
                self.status.set_attended(true);
                call.silence = Duration::from_millis(u64::from(welcome.lease_timeout_ms)).max(KEEP_ALIVE);
                return Ok(Some(Duration::from_millis(u64::from(welcome.heartbeat_interval_ms.max(50)))));
            }
            Some(Order::Grant(grant)) => {
                debug!(task = grant.task, epoch = grant.epoch, "granted");
                // Who leaves takes nothing new; the coordinator hears of that with the next report.
                if !self.is_stopping() {
                    self.slots().grant(wire::grant(grant));
                }
            }
            Some(Order::Revoke(revoke)) => {
                debug!(task = revoke.task, epoch = revoke.epoch, drain = revoke.drain, "revoked");
                self.slots().revoke(&revoke.task, revoke.epoch, revoke.drain);
            }
            Some(Order::Alive(_)) => {
                if let Some(reports) = call.told.pop_front() {
                    self.slots().heard(&reports);
                }
            }
            None => warn!("the coordinator says something that this build does not understand"),
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

    fn beat(&self, call: &mut Call) -> Result<(), Status> {
        let reports = self.slots().reports();
        let tasks = reports.iter().map(wire::report).collect();
        call.say(Said::Heartbeat(Heartbeat { tasks, is_draining: self.is_stopping() }))?;
        call.told.push_back(reports);
        Ok(())
    }

    /// Whether a worker that was asked to stop can go.
    fn is_done(&self, call: &mut Call) -> Result<bool, Status> {
        let Some(Leaving { asked, told }) = call.has_left else {
            info!("asked to stop: tasks make a last commit");
            self.slots().drain();
            self.beat(call)?;
            call.has_left = Some(Leaving { asked: now(), told: None });
            return Ok(false);
        };
        if self.options.grace < now() - asked {
            warn!("some tasks did not stop in time; they begin again at their last commit");
            return Ok(true);
        }
        match told {
            None if self.slots().is_over() => {
                self.beat(call)?;
                call.has_left = Some(Leaving { asked, told: Some(now()) });
                Ok(false)
            }
            None => Ok(false),
            Some(told) => Ok(call.told.is_empty() || FAREWELL < now() - told),
        }
    }
}

/// What a call remembers.
struct Call {
    say: mpsc::Sender<WorkerMessage>,
    /// Reports that were not yet answered.
    told: VecDeque<Vec<TaskReport>>,
    /// How long the coordinator may be silent.
    silence: Duration,
    has_left: Option<Leaving>,
}

#[derive(Clone, Copy)]
struct Leaving {
    asked: Instant,
    /// When it was told that everything is released.
    told: Option<Instant>,
}

impl Call {
    fn say(&self, kind: Said) -> Result<(), Status> {
        let said = self.say.try_send(WorkerMessage { kind: Some(kind) });
        said.map_err(|_| Status::unavailable("the coordinator does not take what it is told"))
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

/// An error with what is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text += &format!(": {inner}");
        source = inner.source();
    }
    text
}
