//! A connection to whichever coordinator leads.

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use davy_engine::{Error, Result};
use davy_proto::v1::cluster_client::ClusterClient;
use davy_proto::v1::pipelines_client::PipelinesClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};
use tonic::{Code, Request, Response, Status};

use super::args::ConnectionArgs;
use super::status::explain;
use crate::output;

/// Where calls go out.
pub(super) type Service = InterceptedService<Channel, Headers>;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer, or the beginning of a stream of them, may take: planning and asking a slow broker is in it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A peer that has vanished without a word is noticed after so long.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Lists of pipelines hold their scripts.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

#[derive(Clone, Debug, Default)]
pub(super) struct Headers {
    authorization: Option<MetadataValue<Ascii>>,
    tenant: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (name, value) in [("authorization", &self.authorization), ("davy-tenant", &self.tenant)] {
            if let Some(value) = value {
                request.metadata_mut().insert(name, value.clone());
            }
        }
        Ok(request)
    }
}

/// All coordinators that were named, beginning with the one that answered last.
pub(super) struct Client {
    places: Vec<Place>,
    last: usize,
}

struct Place {
    url: String,
    service: Service,
}

impl Client {
    /// Reads files and checks addresses; connects when it is used first.
    pub(super) fn open(args: &ConnectionArgs) -> Result<Self> {
        let headers = headers(args)?;
        let mut places = Vec::new();
        for url in &args.coordinator {
            let channel = endpoint(url, args, headers.authorization.is_some())?.connect_lazy();
            let service = InterceptedService::new(channel, headers.clone());
            places.push(Place { url: url.clone(), service });
        }
        Ok(Self { places, last: 0 })
    }

    /// Calls each coordinator once, until one leads.
    pub(super) async fn call<T>(
        &mut self,
        ask: impl AsyncFn(Service) -> Result<Response<T>, Status>,
    ) -> Result<T, Status> {
        let mut refusals = Vec::new();
        for _ in 0..self.places.len() {
            let place = &self.places[self.last];
            match ask(place.service.clone()).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) if is_away(&status) => {
                    refusals.push(explain(&place.url, &status));
                    self.last = (self.last + 1) % self.places.len();
                }
                Err(status) => return Err(status),
            }
        }
        Err(Status::unavailable(refusals.join("; ")))
    }

    /// Calls until a coordinator leads, for half a minute at most. Only for what may be sent twice.
    pub(super) async fn change<T>(
        &mut self,
        ask: impl AsyncFn(Service) -> Result<Response<T>, Status>,
    ) -> Result<T, Status> {
        for delay in delays() {
            match self.call(&ask).await {
                Err(status) if status.code() == Code::Unavailable => {
                    output::say(&format!("{}; trying again", status.message()));
                    pause(delay).await;
                }
                answer => return answer,
            }
        }
        self.call(ask).await
    }
}

/// Whether another coordinator, or the same one later, may answer: it said so, or the connection broke, which only a status that was
/// made on this side can tell.
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

/// Pauses between attempts: half a minute in all, which is longer than a coordinator's place stays empty.
pub(super) fn delays() -> impl Iterator<Item = Duration> {
    const MILLIS: [u64; 12] = [100, 200, 400, 800, 1_500, 3_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_000];
    MILLIS.into_iter().map(Duration::from_millis)
}

#[expect(clippy::disallowed_methods, reason = "a call that is tried again has nothing to wait for but time")]
pub(super) async fn pause(delay: Duration) {
    tokio::time::sleep(delay).await;
}

fn endpoint(url: &str, args: &ConnectionArgs, has_token: bool) -> Result<Endpoint> {
    let wrong = |what: &str| Error::invalid(format!("coordinator `{url}` {what}"));
    let uri: Uri = url.parse().map_err(|_| wrong("is no URL").hint("write it as http://127.0.0.1:9640"))?;
    let is_tls = match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(_)) => false,
        _ => return Err(wrong("is no URL of http:// or https://").hint("write it as http://127.0.0.1:9640")),
    };
    if has_token && !is_tls && !uri.host().is_some_and(is_loopback) {
        let hint = "use https:// with --ca, or a tunnel to 127.0.0.1";
        return Err(wrong("would get the token over a network in clear text").hint(hint));
    }
    let endpoint = Endpoint::from(uri)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE);
    if !is_tls {
        return Ok(endpoint);
    }
    let tls = tls(url, args)?;
    endpoint.tls_config(tls).map_err(|error| wrong(&format!("cannot be reached with these certificates: {error}")))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn tls(url: &str, args: &ConnectionArgs) -> Result<ClientTlsConfig> {
    let Some(ca) = &args.ca else {
        return Err(Error::invalid(format!("coordinator `{url}` needs --ca"))
            .hint("name the file with the certificate of who vouches for it, or use http:// on this machine"));
    };
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("--ca", ca)?));
    match (&args.cert, &args.key) {
        (Some(cert), Some(key)) => Ok(tls.identity(Identity::from_pem(read("--cert", cert)?, read("--key", key)?))),
        _ => Ok(tls),
    }
}

fn headers(args: &ConnectionArgs) -> Result<Headers> {
    let authorization = match token(args)? {
        None => None,
        Some(token) => {
            let mut value = MetadataValue::try_from(format!("Bearer {token}"))
                .map_err(|_| Error::invalid("the token has characters that no token has").hint("look at its file"))?;
            value.set_sensitive(true);
            Some(value)
        }
    };
    let tenant = args.tenant.as_deref().map(MetadataValue::try_from).transpose();
    let tenant = tenant.map_err(|_| Error::invalid("`--tenant` has characters that no name has"))?;
    Ok(Headers { authorization, tenant })
}

/// The token, never from an argument: those can be read by everybody on the machine.
#[expect(clippy::disallowed_methods, reason = "as part of the command line; clap would need a flag for it")]
fn token(args: &ConnectionArgs) -> Result<Option<String>> {
    let text = match &args.token_file {
        Some(file) => String::from_utf8(read("--token-file", file)?)
            .map_err(|_| Error::invalid(format!("--token-file `{}` is no text", file.display())))?,
        None => std::env::var("DAVY_TOKEN").unwrap_or_default(),
    };
    let token = text.trim();
    if token.is_empty() && args.token_file.is_some() {
        return Err(Error::invalid("the file of `--token-file` is empty"));
    }
    Ok((!token.is_empty()).then(|| token.to_owned()))
}

fn read(option: &str, file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file)
        .map_err(|error| Error::invalid(format!("{option} `{}` cannot be read: {error}", file.display())))
}
