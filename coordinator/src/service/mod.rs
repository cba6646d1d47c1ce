//! The coordinator as it runs: an event loop that decides, a thread that owns the catalog, and two ports.
//!
//! ```text
//! clients, workers ──▶ rpc ──▶ Event ──▶ driver ──▶ Action ──▶ rpc ──▶ workers
//!                                          │ ▲
//!                                 records  ▼ │ News
//!                                        keeper ──▶ catalog
//! ```
//!
//! A coordinator that loses its place stands by again: it ends all calls of workers, who keep their tasks and look for the next leader.

pub mod change;
pub mod clock;
pub mod connections;
mod driver;
mod epochs;
pub mod error;
pub mod event;
pub mod handle;
mod keeper;
mod leading;
mod pace;
mod ports;
pub mod standing;
pub mod tasks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

use crate::auth::Auth;
use crate::catalog::Catalog;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::planner::Planner;
use crate::rpc;

use clock::Clock;
use driver::{Driver, EVENTS_MAX, Tools};
use event::Event;
use handle::{Handle, Planning};
use keeper::Keeper;
use ports::{listen, serve_grpc, serve_http, watch_tokens};
use standing::Standing;
use tasks::Tasks;

/// Why a coordinator did not start, or ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What was asked for cannot be, or is not safe.
    #[error("{0}")]
    Options(String),
    /// Somebody else has the port, or it may not be used.
    #[error("{0}")]
    Listen(String),
    /// A person has to look at the catalog.
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

    /// Where gRPC listens: the port that was found, if any was asked for.
    pub fn grpc_address(&self) -> SocketAddr {
        self.addresses.0
    }

    pub fn http_address(&self) -> SocketAddr {
        self.addresses.1
    }

    /// Until `shutdown`, or until a person has to look at the catalog.
    ///
    /// Then answers on their way are given, calls of workers end, and leadership is given up.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let parts = Parts::new(&self);
        let (grpc_address, http_address) = self.addresses;
        info!(%grpc_address, %http_address, "the coordinator listens");
        let Self { options, auth, tls, grpc, http, address, planner: _, catalog, .. } = self;
        let Parts { tools, handle, driver, wanted, is_over } = parts;
        let (end, ended) = watch::channel(false);
        let keeper = Keeper {
            catalog,
            address: address.clone(),
            is_over: Arc::clone(&is_over.0),
            events: tools.events.clone(),
            metrics: Arc::clone(&tools.metrics),
            clock: tools.clock,
        };
        let keeper = spawn_keeper(keeper)?;
        let (finished, mut driver_result) = oneshot::channel();
        tools.tasks.spawn("driver", async move {
            // Nobody waits for it any more if all has ended.
            drop(finished.send(driver.run().await));
        });
        tools.tasks.spawn("tokens", watch_tokens(Arc::clone(&auth), ended.clone()));
        serve_http(&tools, &auth, (http, http_address), (handle.standing(), ended.clone()));
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
        serve_grpc(&tools, grpc_parts, tls, (grpc, ended));
        let result = tokio::select! {
            result = &mut driver_result => Some(result),
            () = shutdown => None,
        };
        info!("the coordinator ends");
        is_over.set();
        drop(tools.events.send(Event::Stop).await);
        end.send_replace(true);
        let result = finish(&tools, result, driver_result, (options.shutdown_timeout, keeper)).await;
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
    wanted: watch::Receiver<Option<rpc::scaler::Wanted>>,
    is_over: Over,
}

/// Set when the coordinator ends, or is dropped before.
struct Over(Arc<AtomicBool>);

impl Over {
    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for Over {
    fn drop(&mut self) {
        self.set();
    }
}

impl Parts {
    fn new(service: &Service) -> Self {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let (stand, standing) = watch::channel(Standing::Standby { why: None });
        let (want, wanted) = watch::channel(None);
        let tools = Tools {
            options: Arc::clone(&service.options),
            planning: Planning::new(Arc::clone(&service.planner), service.options.limits.plans),
            metrics: Arc::new(Metrics::new()),
            clock: Clock::new(),
            tasks: Tasks::new(),
            events: sender.clone(),
        };
        let driver = Driver::new(tools.clone(), events, stand, want);
        let handle = Handle { events: sender, standing };
        Self { tools, handle, driver, wanted, is_over: Over(Arc::default()) }
    }
}

/// A thread of its own: a catalog may block for as long as another coordinator leads.
fn spawn_keeper(keeper: Keeper<Event>) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name("catalog".to_owned())
        .spawn(move || keeper.run())
        .map_err(|error| Error::Internal(format!("no thread for the catalog: {error}")))
}

/// Waits for changes on their way, gives up leadership, and waits for calls that have not ended.
async fn finish(
    tools: &Tools,
    result: Option<DriverResult>,
    driver_result: oneshot::Receiver<Result<(), String>>,
    (timeout, keeper): (Duration, JoinHandle<()>),
) -> Result<(), Error> {
    let result = match result {
        Some(result) => Some(result),
        None => tokio::time::timeout(timeout, driver_result).await.ok(),
    };
    // The end of the event loop ends this thread, which gives up leadership before calls that last longer have ended.
    let joined = tokio::task::spawn_blocking(move || keeper.join());
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
