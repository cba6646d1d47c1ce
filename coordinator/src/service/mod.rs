//! The running coordinator: an event loop that decides, a thread that owns the catalog, and two ports.
//!
//! ```text
//! clients, workers ──▶ rpc ──▶ Event ──▶ driver ──▶ Action ──▶ rpc ──▶ workers
//!                                          │ ▲
//!                                 records  ▼ │ News
//!                                catalog_writer ──▶ catalog
//! ```
//!
//! A coordinator that stops leading stands by again: it closes all worker sessions; the workers keep their tasks and look for the next
//! leader.

mod catalog_writer;
pub mod change;
pub mod clock;
pub mod connections;
mod driver;
mod epochs;
pub mod event;
pub mod handle;
mod leader;
mod ports;
mod rate_limit;
pub mod role;
pub mod tasks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::auth::Auth;
use crate::autoscale::Wanted;
use crate::catalog::Catalog;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::planner::Planner;
use crate::rpc;

use catalog_writer::CatalogWriter;
use clock::Clock;
use driver::{Driver, EVENTS_MAX, Tools};
use event::Event;
use handle::{Handle, Planning};
use ports::{GrpcPort, HttpPort, listen, serve_grpc, serve_http, watch_tokens};
use role::CoordinatorRole;
use tasks::Tasks;

/// Why a coordinator did not start, or ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The options are wrong or not safe.
    #[error("{0}")]
    Options(String),
    /// The port is in use or not allowed.
    #[error("{0}")]
    Listen(String),
    /// The catalog needs a person.
    #[error("the catalog is broken: {0}")]
    Catalog(String),
    #[error("{0}")]
    Internal(String),
}

/// A coordinator that has its ports, and does not answer yet.
pub struct Service {
    options: Arc<Options>,
    auth: Arc<Auth>,
    tls: Option<rpc::Tls>,
    grpc: TcpListener,
    http: TcpListener,
    address: String,
    addresses: (SocketAddr, SocketAddr),
    planner: Arc<dyn Planner>,
    catalog: Box<dyn Catalog>,
}

impl Service {
    /// Binds, checks and runs: all that a process needs.
    pub async fn start(
        options: Options,
        planner: Arc<dyn Planner>,
        catalog: Box<dyn Catalog>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        Self::bind(options, planner, catalog).await?.run(shutdown).await
    }

    /// Checks options, reads files and takes the ports.
    pub async fn bind(options: Options, planner: Arc<dyn Planner>, catalog: Box<dyn Catalog>) -> Result<Self, Error> {
        options.check().map_err(Error::Options)?;
        let auth = match &options.tokens {
            Some(file) => Auth::from_file(file.clone()).map_err(Error::Options)?,
            None => Auth::open(),
        };
        let tls = options.tls.as_ref().map(rpc::Tls::read).transpose().map_err(Error::Options)?;
        let (grpc, grpc_address) = listen("gRPC", options.listen).await?;
        let (http, http_address) = listen("HTTP", options.http_listen).await?;
        Ok(Self {
            auth: Arc::new(auth),
            tls,
            grpc,
            http,
            address: options.advertise.clone().unwrap_or_else(|| grpc_address.to_string()),
            addresses: (grpc_address, http_address),
            options: Arc::new(options),
            planner,
            catalog,
        })
    }

    /// Where gRPC listens: with port 0 in the options, the port that was found.
    pub fn grpc_address(&self) -> SocketAddr {
        self.addresses.0
    }

    pub fn http_address(&self) -> SocketAddr {
        self.addresses.1
    }

    /// Runs until `shutdown`, or until the catalog is broken. Then it answers pending calls, closes worker sessions and stops leading.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let parts = Parts::new(&self);
        let (grpc_address, http_address) = self.addresses;
        info!(%grpc_address, %http_address, "the coordinator listens");
        let Self { options, auth, tls, grpc, http, address, planner: _, catalog, .. } = self;
        let Parts { tools, handle, driver, wanted, waiting_ends } = parts;
        let end = CancellationToken::new();
        let writer = CatalogWriter {
            catalog,
            address: address.clone(),
            shutdown: waiting_ends.clone(),
            events: tools.events.clone(),
            metrics: Arc::clone(&tools.metrics),
            clock: tools.clock,
        };
        let guard = waiting_ends.drop_guard();
        let writer = spawn_writer(writer)?;
        let (finished, mut driver_result) = oneshot::channel();
        tools.tasks.spawn("driver", async move {
            // The receiver is gone when the coordinator has ended.
            drop(finished.send(driver.run().await));
        });
        tools.tasks.spawn("tokens", watch_tokens(Arc::clone(&auth), end.clone()));
        serve_http(
            &tools,
            &auth,
            HttpPort { listener: http, address: http_address, role: handle.role(), end: end.clone() },
        );
        let grpc_parts = rpc::Parts {
            options: Arc::clone(&options),
            handle,
            planning: tools.planning.clone(),
            auth,
            metrics: Arc::clone(&tools.metrics),
            wanted,
            address,
            clock: tools.clock,
            tasks: tools.tasks.clone(),
        };
        serve_grpc(&tools, grpc_parts, tls, GrpcPort { listener: grpc, end: end.clone() });
        let result = tokio::select! {
            result = &mut driver_result => Some(result),
            () = shutdown => None,
        };
        info!("the coordinator ends");
        drop(guard);
        drop(tools.events.send(Event::Stop).await);
        end.cancel();
        let ending = Ending { result, driver_result, timeout: options.shutdown_timeout, writer };
        let result = finish(&tools, ending).await;
        info!("the coordinator has ended");
        result
    }
}

type DriverResult = Result<Result<(), String>, oneshot::error::RecvError>;

/// What is made before anything runs.
struct Parts {
    tools: Tools,
    handle: Handle,
    driver: Driver,
    wanted: watch::Receiver<Option<Wanted>>,
    /// Cancelled when the catalog's thread should no longer wait to lead.
    waiting_ends: CancellationToken,
}

impl Parts {
    fn new(service: &Service) -> Self {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let (set_role, role) = watch::channel(CoordinatorRole::Standby { reason: None });
        let (want, wanted) = watch::channel(None);
        let tools = Tools {
            options: Arc::clone(&service.options),
            planning: Planning::new(Arc::clone(&service.planner), service.options.limits.plans),
            metrics: Arc::new(Metrics::new()),
            clock: Clock::new(),
            tasks: Tasks::default(),
            events: sender.clone(),
        };
        let driver = Driver::new(tools.clone(), events, set_role, want);
        let handle = Handle { events: sender, role };
        Self { tools, handle, driver, wanted, waiting_ends: CancellationToken::new() }
    }
}

/// A thread of its own: a catalog may block for as long as another coordinator leads.
fn spawn_writer(writer: CatalogWriter<Event>) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name("catalog".to_owned())
        .spawn(move || writer.run())
        .map_err(|error| Error::Internal(format!("no thread for the catalog: {error}")))
}

/// What is still running at shutdown.
struct Ending {
    /// The event loop's result, if it has ended.
    result: Option<DriverResult>,
    driver_result: oneshot::Receiver<Result<(), String>>,
    timeout: Duration,
    writer: JoinHandle<()>,
}

/// Waits for pending changes, stops leading, and waits for calls that have not ended.
async fn finish(tools: &Tools, ending: Ending) -> Result<(), Error> {
    let Ending { result, driver_result, timeout, writer } = ending;
    let result = match result {
        Some(result) => Some(result),
        None => tokio::time::timeout(timeout, driver_result).await.ok(),
    };
    // The end of the event loop ends this thread, which stops leading before longer calls have ended.
    let joined = tokio::task::spawn_blocking(move || writer.join());
    match tokio::time::timeout(timeout, joined).await {
        Ok(Ok(Ok(()))) => {}
        Ok(_) => error!("the thread of the catalog has panicked"),
        Err(_) => warn!("the catalog did not answer in time: leadership ends when the broker notices"),
    }
    if tokio::time::timeout(timeout, tools.tasks.ended()).await.is_err() {
        warn!(?timeout, "some calls did not end in time, and are cut off");
    }
    match result {
        Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err(why))) => Err(Error::Catalog(why)),
        Some(Err(_)) => Err(Error::Internal("the event loop has panicked".to_owned())),
        None => {
            warn!(?timeout, "some changes were not made in time; their clients were not answered");
            Ok(())
        }
    }
}
