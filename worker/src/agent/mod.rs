//! Connects a worker to its coordinator: the worker opens the sessions, the coordinator never calls a worker.
//!
//! Tasks go on while no coordinator is reachable. The agent tries the addresses in turn; a new session begins with a report of the
//! tasks that still run. [`session`] is one session.

mod session;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use davy_engine::{Error, Result};
use davy_proto::client::{Client, ClientError, Credentials};
use davy_proto::domain::{Term, TlsFiles};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tracing::warn;

use crate::exposition::WorkerMetrics;
use crate::http;
use crate::slots::{SlotOptions, Slots};
use session::Ended;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How often a silent connection is probed, and how long the answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// The first and the longest pause after all coordinators were tried.
const BACK_OFF_MIN: Duration = Duration::from_millis(200);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

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
    /// Unique to this process: a restarted worker has another id.
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

impl AgentOptions {
    fn client(&self, address: &str) -> Result<Client> {
        let credentials = self.token_file.as_deref().map(Credentials::from_file).transpose();
        let client = credentials.and_then(|found| Client::new(address, &self.tls, found.unwrap_or_default()));
        let client = client.map_err(|error| client_error(&error))?;
        Ok(client.configure(|endpoint| {
            endpoint
                .connect_timeout(CONNECT)
                .http2_keep_alive_interval(KEEP_ALIVE)
                .keep_alive_timeout(KEEP_ALIVE)
                .keep_alive_while_idle(true)
        }))
    }
}

/// Why no coordinator can be called.
pub fn client_error(error: &ClientError) -> Error {
    let refused = Error::invalid(error.to_string());
    if error.hint().is_empty() { refused } else { refused.hint(error.hint()) }
}

/// Runs a worker until `stop` is cancelled and all its tasks have ended.
pub fn run(options: AgentOptions, slots: SlotOptions, stop: CancellationToken) -> Result<()> {
    // An address that cannot be used is an error at the start, not when its turn comes.
    for address in &options.coordinators {
        options.client(address)?;
    }
    let changed = Arc::new(Notify::new());
    let notify = Arc::clone(&changed);
    let slots = Arc::new(Mutex::new(Slots::new(slots, Arc::new(move || notify.notify_one()))));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Unavailable(format!("cannot start the worker: {error}")))?;
    let metrics = Arc::new(WorkerMetrics::new()?);
    let http = options.http.clone();
    let mut agent =
        Agent { options, slots: Arc::clone(&slots), changed, stop, metrics: Arc::clone(&metrics), term: Term(0) };
    runtime.block_on(async move {
        let Some(http) = http else { return agent.run().await };
        let served = http::serve(http, Arc::new(OfWorker { slots, metrics })).await?;
        tokio::select! {
            outcome = agent.run() => outcome,
            error = served => Err(error),
        }
    })
}

/// What a worker's endpoints show.
struct OfWorker {
    slots: Arc<Mutex<Slots>>,
    metrics: Arc<WorkerMetrics>,
}

impl http::Exported for OfWorker {
    fn not_ready(&self) -> Option<String> {
        (self.metrics.connected.get() != 1).then(|| "no coordinator knows this worker".to_owned())
    }

    fn metrics(&self) -> Result<Vec<u8>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let (registries, tasks) = (slots.registries(), slots.snapshot());
        drop(slots);
        self.metrics.text(&registries, &tasks)
    }
}

struct Agent {
    options: AgentOptions,
    slots: Arc<Mutex<Slots>>,
    /// Notified when the status of a task changes.
    changed: Arc<Notify>,
    stop: CancellationToken,
    metrics: Arc<WorkerMetrics>,
    /// The greatest term of any coordinator so far.
    term: Term,
}

impl Agent {
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One session after the other, until the worker stops. Errors are those that a retry cannot fix.
    async fn run(&mut self) -> Result<()> {
        let mut back_off = BACK_OFF_MIN;
        for turn in 0.. {
            let address = self.options.coordinators[turn % self.options.coordinators.len()].clone();
            let term_before = self.term;
            let status = match self.session(&address).await? {
                Ended::Stopped => return Ok(()),
                Ended::Broken(status) => status,
            };
            self.metrics.connected.set(0);
            if self.stop.is_cancelled() {
                break;
            }
            self.check_admitted(&address, &status)?;
            warn!(%address, code = ?status.code(), why = status.message(), "no session with the coordinator; tasks go on");
            if self.term != term_before || status.code() == Code::FailedPrecondition {
                back_off = BACK_OFF_MIN;
            }
            let has_tried_all = (turn + 1).is_multiple_of(self.options.coordinators.len());
            // Stopping ends the pause.
            if has_tried_all && timeout(back_off, self.stop.cancelled()).await.is_err() {
                back_off = (2 * back_off).min(BACK_OFF_MAX);
            }
        }
        self.end_tasks().await;
        Ok(())
    }

    /// A worker whose token was never accepted ends; one that worked before waits for its token to be accepted again.
    fn check_admitted(&self, address: &str, status: &Status) -> Result<()> {
        let is_refused = matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied);
        if is_refused && self.term == Term(0) {
            let message = format!("coordinator `{address}` refuses this worker: {}", status.message());
            return Err(Error::invalid(message).hint("give it the token of a worker: --token-file"));
        }
        Ok(())
    }

    /// Ends all tasks without a coordinator.
    async fn end_tasks(&self) {
        self.slots().drain();
        let ended = async {
            while !self.slots().have_ended() {
                self.changed.notified().await;
            }
        };
        if timeout(self.options.grace, ended).await.is_err() {
            warn!("some tasks did not stop in time; they resume from their last commit");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the worker is where processing time comes from")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::LocalConnectors;
    use crate::host::HostOptions;

    #[test]
    fn a_worker_with_a_token_refuses_clear_text_beyond_loopback_at_its_start() {
        let token = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(token.path(), "secret").expect("written");
        let options = AgentOptions {
            coordinators: vec!["http://127.0.0.1:9640".to_owned(), "http://davy.example:9640".to_owned()],
            name: "w".to_owned(),
            id: "w".to_owned(),
            slots: 1,
            labels: BTreeMap::new(),
            token_file: Some(token.path().to_owned()),
            tls: TlsFiles::default(),
            http: None,
            grace: Duration::ZERO,
        };
        let slots = SlotOptions { connectors: LocalConnectors::default(), host: HostOptions::default() };
        let refused = run(options, slots, CancellationToken::new()).expect_err("it does not start").to_string();
        let expected = "coordinator `http://davy.example:9640` would get the token over a network in clear text; use https:// with --ca";
        assert!(refused.starts_with(expected), "{refused}");
    }
}
