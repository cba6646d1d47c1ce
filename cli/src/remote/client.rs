//! A connection to whichever coordinator leads.

use std::error::Error as _;
use std::time::Duration;

use davy_engine::Result;
use davy_proto::client::{self, ClientError, Credentials, Service};
use davy_proto::domain::TlsFiles;
use davy_proto::v1::cluster_client::ClusterClient;
use davy_proto::v1::pipelines_client::PipelinesClient;
use davy_worker::agent::client_error;
use tonic::{Code, Response, Status};

use super::args::ConnectionArgs;
use super::status::explain;
use crate::cluster::worker::identity_files;
use crate::output;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer, or the beginning of a stream of them, may take: this includes planning and requests to a slow broker.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Notices a peer that has vanished without closing the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Lists of pipelines hold their scripts.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// All coordinators that were named, beginning with the one that answered last.
pub(super) struct Client {
    endpoints: Vec<Endpoint>,
    last: usize,
}

struct Endpoint {
    url: String,
    service: Service,
}

impl Client {
    /// Reads files and checks addresses; connects when it is used first.
    pub(super) fn open(args: &ConnectionArgs) -> Result<Self> {
        let endpoint = |url: &String| Ok(Endpoint { url: url.clone(), service: service(url, args)? });
        let endpoints: Result<Vec<Endpoint>, ClientError> = args.coordinator.iter().map(endpoint).collect();
        Ok(Self { endpoints: endpoints.map_err(|error| client_error(&error))?, last: 0 })
    }

    /// Calls each coordinator once, until one leads.
    pub(super) async fn call<T>(
        &mut self,
        request: impl AsyncFn(Service) -> Result<Response<T>, Status>,
    ) -> Result<T, Status> {
        let mut refusals = Vec::new();
        for _ in 0..self.endpoints.len() {
            let endpoint = &self.endpoints[self.last];
            match request(endpoint.service.clone()).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) if is_away(&status) => {
                    refusals.push(explain(&endpoint.url, &status));
                    self.last = (self.last + 1) % self.endpoints.len();
                }
                Err(status) => return Err(status),
            }
        }
        Err(Status::unavailable(refusals.join("; ")))
    }

    /// Calls until a coordinator leads, for half a minute at most. Only for what may be sent twice.
    pub(super) async fn change<T>(
        &mut self,
        request: impl AsyncFn(Service) -> Result<Response<T>, Status>,
    ) -> Result<T, Status> {
        for delay in delays() {
            match self.call(&request).await {
                Err(status) if status.code() == Code::Unavailable => {
                    output::say(&format!("{}; trying again", status.message()));
                    pause(delay).await;
                }
                answer => return answer,
            }
        }
        self.call(request).await
    }
}

/// Whether another coordinator, or the same one later, may answer: the coordinator is unavailable, or the connection broke. In that
/// case the status was made on this side, and has a source.
pub(super) fn is_away(status: &Status) -> bool {
    let is_local = status.source().is_some();
    match status.code() {
        Code::Unavailable => true,
        Code::Unknown | Code::Internal | Code::Cancelled => is_local,
        _ => false,
    }
}

pub(super) fn pipelines(service: Service) -> PipelinesClient<Service> {
    PipelinesClient::new(service).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

pub(super) fn cluster(service: Service) -> ClusterClient<Service> {
    ClusterClient::new(service).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// Pauses between attempts: half a minute in all, which is longer than a cluster is without a leader.
pub(super) fn delays() -> impl Iterator<Item = Duration> {
    const MILLIS: [u64; 12] = [100, 200, 400, 800, 1_500, 3_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_000];
    MILLIS.into_iter().map(Duration::from_millis)
}

#[expect(clippy::disallowed_methods, reason = "a call that is tried again has nothing to wait for but time")]
pub(super) async fn pause(delay: Duration) {
    tokio::time::sleep(delay).await;
}

fn service(url: &str, args: &ConnectionArgs) -> Result<Service, ClientError> {
    let tls = TlsFiles { ca: args.ca.clone(), identity: identity_files(args.cert.as_ref(), args.key.as_ref()) };
    let client = client::Client::new(url, &tls, credentials(args)?)?;
    let client = client.configure(|endpoint| {
        endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(ANSWER_TIMEOUT).http2_keep_alive_interval(KEEP_ALIVE)
    });
    Ok(client.connect_lazy())
}

/// The token is never an argument: every user of the machine can read those.
#[expect(clippy::disallowed_methods, reason = "as part of the command line; clap would need a flag for it")]
fn credentials(args: &ConnectionArgs) -> Result<Credentials, ClientError> {
    let credentials = match (&args.token_file, std::env::var("DAVY_TOKEN")) {
        (Some(file), _) => Credentials::from_file(file)?,
        (None, Ok(token)) if !token.trim().is_empty() => Credentials::with_token(&token)?,
        (None, _) => Credentials::default(),
    };
    match &args.tenant {
        Some(tenant) => credentials.for_tenant(tenant),
        None => Ok(credentials),
    }
}
