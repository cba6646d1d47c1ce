//! A coordinator on ports of its own.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use davy_coordinator::catalog::memory::MemoryCatalog;
use davy_coordinator::options::Options;
use davy_coordinator::service::{Error, Service};
use davy_proto::ErrorDetail;
use davy_proto::v1;
use davy_proto::v1::cluster_client::ClusterClient;
use davy_proto::v1::pipelines_client::PipelinesClient;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::planner::FakePlanner;

/// Long enough for a machine that builds something else at the same time; a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) type Pipelines = PipelinesClient<InterceptedService<Channel, Headers>>;

pub(super) struct Rig {
    pub(super) grpc: SocketAddr,
    pub(super) http: SocketAddr,
    pub(super) planner: Arc<FakePlanner>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<Result<(), Error>>>,
}

/// Scripts that wait would keep a test that fails from ending.
impl Drop for Rig {
    fn drop(&mut self) {
        self.planner.go_on();
    }
}

/// Sends a token and the name of a tenant.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers {
    pub(super) token: Option<&'static str>,
    pub(super) tenant: Option<&'static str>,
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = self.token {
            let value: MetadataValue<_> = format!("Bearer {token}").parse().expect("tokens of tests are ASCII");
            request.metadata_mut().insert("authorization", value);
        }
        if let Some(tenant) = self.tenant {
            request.metadata_mut().insert("davy-tenant", tenant.parse().expect("tenants of tests are ASCII"));
        }
        Ok(request)
    }
}

/// Options for tests: any port, no wait for workers of a leader before, and a rate that no test reaches by chance.
pub(super) fn options() -> Options {
    let mut options = Options {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        http_listen: (Ipv4Addr::LOCALHOST, 0).into(),
        ..Options::default()
    };
    options.cluster.startup_grace_period = Duration::ZERO;
    options.limits.calls_per_second = NonZeroU32::new(1_000_000).expect("not 0");
    options.limits.calls_burst = NonZeroU32::new(1_000_000).expect("not 0");
    options
}

/// With a limit of its own, for a test must not hang.
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens before long")
}

#[expect(clippy::disallowed_methods, reason = "a test's own tasks end with it")]
pub(super) fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

impl Rig {
    /// One that leads, with an empty catalog.
    pub(super) async fn new() -> Self {
        Self::with_leader(options(), &MemoryCatalog::new()).await
    }

    pub(super) async fn with_leader(options: Options, catalog: &MemoryCatalog) -> Self {
        let rig = Self::start(options, catalog).await.expect("it starts");
        rig.until_it_is(ServingStatus::Serving).await;
        rig
    }

    /// One that may lead or stand by.
    pub(super) async fn start(options: Options, catalog: &MemoryCatalog) -> Result<Self, Error> {
        let planner = Arc::new(FakePlanner::default());
        let service = Service::bind(options, Arc::clone(&planner) as _, Box::new(catalog.clone())).await?;
        let (grpc, http) = (service.grpc_address(), service.http_address());
        let (stop, stopped) = oneshot::channel();
        let running = spawn(service.run(async {
            // A rig that is dropped without being stopped stops as well.
            drop(stopped.await);
        }));
        Ok(Self { grpc, http, planner, stop: Some(stop), running: Some(running) })
    }

    pub(super) async fn stop(mut self) -> Result<(), Error> {
        self.begin_to_stop();
        self.ended().await
    }

    /// How it ends by itself.
    pub(super) async fn ended(mut self) -> Result<(), Error> {
        let running = self.running.take().expect("it is stopped once");
        soon(running).await.expect("it does not panic")
    }

    pub(super) fn begin_to_stop(&mut self) {
        // Dropped, it says the same as a message.
        self.stop = None;
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.grpc)).expect("an address")
    }

    pub(super) async fn channel(&self) -> Channel {
        self.endpoint().connect().await.expect("it listens")
    }

    pub(super) async fn pipelines(&self) -> Pipelines {
        self.pipelines_as(Headers::default()).await
    }

    pub(super) async fn pipelines_as(&self, headers: Headers) -> Pipelines {
        PipelinesClient::with_interceptor(self.channel().await, headers)
    }

    pub(super) async fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel().await)
    }

    /// Waits by a stream of the health service, which reports each change.
    pub(super) async fn until_it_is(&self, expected: ServingStatus) {
        until_health(health(self.channel().await).await, expected).await;
    }
}

/// Health as it changes, from now on.
pub(super) async fn health(channel: Channel) -> Streaming<HealthCheckResponse> {
    let watching = HealthClient::new(channel).watch(HealthCheckRequest::default()).await;
    watching.expect("it is served").into_inner()
}

pub(super) async fn until_health(mut health: Streaming<HealthCheckResponse>, expected: ServingStatus) {
    let ended = async {
        while let Some(answer) = health.message().await.expect("the call lasts") {
            if answer.status() == expected {
                return;
            }
        }
        panic!("the stream has ended");
    };
    soon(ended).await;
}

pub(super) fn submission(name: &str, sql: &str) -> v1::SubmitRequest {
    v1::SubmitRequest { name: name.to_owned(), sql: sql.to_owned(), ..v1::SubmitRequest::default() }
}

/// A refusal as a table shows it: code, message, location and hint of the ErrorDetail.
pub(super) fn show(status: &Status) -> String {
    let detail = ErrorDetail::of(status).unwrap_or_else(|| panic!("there is no ErrorDetail: {status:?}"));
    assert!(status.message().starts_with(&detail.message), "the sentence has what the detail has: {status:?}");
    let location = detail.location.map(|at| format!(" at {}:{}", at.line, at.column)).unwrap_or_default();
    format!("{:?}: {}{location} [{}]", status.code(), detail.message, detail.hint)
}

pub(super) fn code<T: std::fmt::Debug>(result: Result<T, Status>) -> Code {
    result.expect_err("it is refused").code()
}
