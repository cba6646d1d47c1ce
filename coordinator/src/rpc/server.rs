//! The gRPC port: TLS, the gate, and all services.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use davy_proto::keda::external_scaler_server::ExternalScalerServer;
use davy_proto::v1::cluster_server::ClusterServer;
use davy_proto::v1::pipelines_server::PipelinesServer;
use davy_proto::v1::workers_server::WorkersServer;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::auth::Auth;
use crate::autoscale::Wanted;
use crate::limits::Streams;
use crate::metrics::Metrics;
use crate::options::{Options, ServerTls};
use crate::service::clock::Clock;
use crate::service::connections::Connection;
use crate::service::handle::{Handle, Planning};
use crate::service::role::CoordinatorRole;
use crate::service::tasks::Tasks;

use super::cluster::ClusterService;
use super::gate::Gate;
use super::pipelines::PipelinesService;
use super::routes::Routes;
use super::scaler::Scaler;
use super::workers::WorkersService;

/// A connection whose client does not answer a ping for so long is closed.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// Calls of one connection at once.
const CALLS_PER_CONNECTION: u32 = 128;

/// Time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

pub struct Parts {
    pub options: Arc<Options>,
    pub handle: Handle,
    pub planning: Planning,
    pub auth: Arc<Auth>,
    pub metrics: Arc<Metrics>,
    pub wanted: watch::Receiver<Option<Wanted>>,
    /// Where clients reach this coordinator.
    pub address: String,
    pub clock: Clock,
    pub tasks: Tasks,
}

/// Certificates that were read and checked.
#[derive(Clone)]
pub struct Tls {
    config: ServerTlsConfig,
    has_client_ca: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

impl Tls {
    pub fn read(files: &ServerTls) -> Result<Self, String> {
        let read = |file: &std::path::Path| std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()));
        let identity = Identity::from_pem(read(&files.identity.certificate)?, read(&files.identity.key)?);
        let mut config = ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE_TIMEOUT);
        if let Some(roots) = &files.client_ca {
            config = config.client_ca_root(Certificate::from_pem(read(roots)?));
        }
        // Tried here, so that a wrong file stops the start.
        Server::builder().tls_config(config.clone()).map_err(|error| {
            format!("{} and {}: {}", files.identity.certificate.display(), files.identity.key.display(), chain(&error))
        })?;
        Ok(Self { config, has_client_ca: files.client_ca.is_some() })
    }
}

/// Serves until `end`, then until all calls have ended.
pub async fn serve(
    parts: Parts,
    tls: Option<Tls>,
    connections: mpsc::Receiver<Connection>,
    end: impl Future<Output = ()>,
) -> Result<(), String> {
    let limits = &parts.options.limits;
    let has_certificates = tls.as_ref().is_some_and(|tls| tls.has_client_ca);
    let gate = Gate::new(Arc::clone(&parts.auth), limits, Arc::clone(&parts.metrics), has_certificates);
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_INTERVAL))
        .max_concurrent_streams(CALLS_PER_CONNECTION)
        .layer(gate);
    if let Some(tls) = tls {
        server = server.tls_config(tls.config).map_err(|error| chain(&error))?;
    }
    let incoming = ReceiverStream::new(connections).map(Ok::<_, std::io::Error>);
    let routes = routes(&parts)?;
    server.serve_with_incoming_shutdown(routes, incoming, end).await.map_err(|error| chain(&error))
}

fn routes(parts: &Parts) -> Result<Routes, String> {
    let Parts { options, handle, planning, clock, tasks, address, .. } = parts;
    let max = options.limits.message_bytes;
    let pipelines = PipelinesService {
        handle: handle.clone(),
        planning: planning.clone(),
        limits: Arc::new(options.limits.clone()),
        streams: Streams::new(options.limits.streams_per_caller),
        tails: Arc::new(Semaphore::new(options.limits.tails)),
        clock: *clock,
        tasks: tasks.clone(),
    };
    let cluster = ClusterService { handle: handle.clone(), address: address.clone(), clock: *clock };
    let workers = WorkersService { handle: handle.clone(), options: Arc::clone(options), tasks: tasks.clone() };
    let scaler = Scaler::new(parts.wanted.clone(), |wanted| *wanted);
    let (reporter, health) = tonic_health::server::health_reporter();
    tasks.spawn("health", report_health(reporter, handle.role()));
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(davy_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(Routes::default()
        .with(PipelinesServer::new(pipelines).max_decoding_message_size(max))
        .with(ClusterServer::new(cluster).max_decoding_message_size(max))
        .with(WorkersServer::new(workers).max_decoding_message_size(max))
        .with(ExternalScalerServer::new(scaler).max_decoding_message_size(max))
        .with(health)
        .with(reflection().build_v1().map_err(|error| error.to_string())?)
        .with(reflection().build_v1alpha().map_err(|error| error.to_string())?))
}

/// Only the leader reports that it serves: clients that check health need answers.
async fn report_health(reporter: HealthReporter, mut role: watch::Receiver<CoordinatorRole>) {
    loop {
        let now = role.borrow_and_update().clone();
        let status = if now.leads().is_ok() { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in ["", "davy.v1.Pipelines", "davy.v1.Cluster", "davy.v1.Workers", "externalscaler.ExternalScaler"]
        {
            reporter.set_service_status(service, status).await;
        }
        let is_over = now == CoordinatorRole::Stopping || role.changed().await.is_err();
        if is_over {
            return;
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer(self.peer)
    }
}
