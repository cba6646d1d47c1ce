//! `davy coordinator`.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use davy_coordinator::autoscale;
use davy_coordinator::catalog::Catalog;
use davy_coordinator::catalog::file::FileCatalog;
use davy_coordinator::catalog::kafka::{KafkaCatalog, KafkaCatalogOptions};
use davy_coordinator::catalog::memory::MemoryCatalog;
use davy_coordinator::cluster::ClusterOptions;
use davy_coordinator::options::{Options, ServerTls};
use davy_coordinator::service::{self, Service};
use davy_engine::{Error, Result};
use davy_proto::domain::IdentityFiles;
use davy_worker::connector::LocalConnectors;
use tokio_util::sync::CancellationToken;

use super::args::{CatalogKind, CoordinatorArgs};
use super::planner::LocalPlanner;
use super::worker::{connectors, read_token};
use crate::output;
use crate::signals::listen;

/// The longest time that a worker needs to notice that its coordinator is gone, and to reconnect.
const RECONNECT_MAX: Duration = Duration::from_secs(10);

/// Runs until a signal stops it.
pub(crate) fn run(args: &CoordinatorArgs) -> Result<ExitCode> {
    let signals = listen()?;
    let options = Options { listen: with_port(args.listen)?, http_listen: with_port(args.http)?, ..options(args) };
    let address = options.advertise.clone().unwrap_or_else(|| options.listen.to_string());
    let catalog = catalog(args, &address)?;
    serve(options, connectors(&args.machine, args.tokens.is_some()), catalog, signals.token, |grpc, http| {
        output::print(&format!("listening grpc={grpc} http={http}\n"))
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Serves until `stop` is cancelled; calls `listening` once it can be reached.
pub(crate) fn serve(
    options: Options,
    connectors: LocalConnectors,
    catalog: Box<dyn Catalog>,
    stop: CancellationToken,
    listening: impl FnOnce(SocketAddr, SocketAddr) -> Result<()>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Error::Unavailable(format!("cannot start the coordinator: {error}")))?;
    runtime.block_on(async {
        let service =
            Service::bind(options, Arc::new(LocalPlanner { connectors }), catalog).await.map_err(of_service)?;
        listening(service.grpc_address(), service.http_address())?;
        service.run(stop.cancelled_owned()).await.map_err(of_service)
    })
}

fn of_service(error: service::Error) -> Error {
    match error {
        service::Error::Options(message) | service::Error::Listen(message) => Error::invalid(message),
        service::Error::Catalog(message) => Error::Unavailable(format!("the catalog is broken: {message}")),
        service::Error::Internal(message) => Error::Internal(message),
    }
}

/// Replaces port 0 by a free port, so that it can be given to others before the server listens.
pub(crate) fn with_port(address: SocketAddr) -> Result<SocketAddr> {
    if address.port() != 0 {
        return Ok(address);
    }
    let found = TcpListener::bind(address).and_then(|listener| listener.local_addr());
    found.map_err(|error| Error::invalid(format!("cannot listen at `{address}`: {error}")))
}

fn options(args: &CoordinatorArgs) -> Options {
    let usual = Options::default();
    let tls = args.tls_cert.clone().zip(args.tls_key.clone());
    Options {
        http_beyond_loopback: args.http_beyond_loopback,
        advertise: args.advertise.clone(),
        tls: tls.map(|(certificate, key)| ServerTls {
            identity: IdentityFiles { certificate, key },
            client_ca: args.client_ca.clone(),
        }),
        tokens: args.tokens.clone(),
        cluster: ClusterOptions {
            lease_timeout: args.lease_timeout,
            startup_grace_period: args.startup_grace_period.unwrap_or(args.lease_timeout.max(RECONNECT_MAX)),
            ..ClusterOptions::default()
        },
        autoscale: autoscale::Options {
            workers_min: args.workers_min,
            workers_max: args.workers_max,
            ..autoscale::Options::default()
        },
        tasks_per_stage: args.tasks,
        heartbeat_interval: args.heartbeat,
        ..usual
    }
}

fn catalog(args: &CoordinatorArgs, address: &str) -> Result<Box<dyn Catalog>> {
    match (args.catalog, &args.catalog_file, &args.bootstrap_servers) {
        (CatalogKind::File, Some(path), _) => {
            let opened = FileCatalog::open(path);
            Ok(Box::new(opened.map_err(|error| Error::invalid(error.to_string()))?))
        }
        (CatalogKind::Kafka, _, Some(servers)) => {
            let mut options = KafkaCatalogOptions::new(servers, &args.cluster, address);
            options.topic = args.catalog_topic.clone().unwrap_or_else(|| format!("davy.catalog.{}", args.cluster));
            for (name, value) in &args.kafka_properties {
                let value = match value.strip_prefix('@') {
                    Some(path) => read_token(path.as_ref())?,
                    None => value.clone(),
                };
                options.properties.insert(name.clone(), value);
            }
            let catalog = KafkaCatalog::new(options);
            Ok(Box::new(catalog.map_err(|error| Error::invalid(error.to_string()))?))
        }
        (CatalogKind::File | CatalogKind::Kafka, ..) => {
            Err(Error::invalid("--catalog file needs --catalog-file, --catalog kafka needs --bootstrap-servers"))
        }
        (CatalogKind::Memory, ..) => Ok(Box::new(MemoryCatalog::new())),
    }
}
