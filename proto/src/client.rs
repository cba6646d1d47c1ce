//! Connections to a coordinator: address, certificates and token become a channel here, for workers and for the CLI.
//!
//! A token goes over TLS, or to this machine. In clear text over a network every host on its path could read it, so that such a
//! connection is refused before it is opened.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};
use tonic::{Request, Status};

use crate::domain::TlsFiles;

/// A channel that sends the caller's credentials with each call.
pub type Service = InterceptedService<Channel, Credentials>;

/// Why no connection can be opened; trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("coordinator `{address}` is no URL of http:// or https://")]
    Address { address: String },
    #[error("coordinator `{address}` would get the token over a network in clear text")]
    ClearText { address: String },
    #[error("coordinator `{address}` needs --ca")]
    NoAuthority { address: String },
    #[error("coordinator `{address}` cannot be reached with these certificates: {error}")]
    Tls { address: String, error: tonic::transport::Error },
    #[error("file `{}` cannot be read: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("file `{}` holds no token", path.display())]
    EmptyToken { path: PathBuf },
    #[error("the {what} has characters that cannot be sent")]
    Characters { what: &'static str },
}

/// What identifies the caller. Debug output shows no token.
#[derive(Clone, Default)]
pub struct Credentials {
    authorization: Option<MetadataValue<Ascii>>,
    tenant: Option<MetadataValue<Ascii>>,
}

/// A coordinator that can be connected to.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
    credentials: Credentials,
}

impl ClientError {
    /// How to fix it; may be empty.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Address { .. } => "write it as http://127.0.0.1:9640 or https://host:9640",
            Self::ClearText { .. } => "use https:// with --ca, or a tunnel to 127.0.0.1",
            Self::NoAuthority { .. } => {
                "name the file with the certificate authority that signed its certificate, or use http:// on this machine"
            }
            Self::EmptyToken { .. } | Self::Characters { .. } => "look at the token's file",
            Self::Tls { .. } | Self::File { .. } => "",
        }
    }
}

impl Credentials {
    /// Of a caller that has this token.
    pub fn with_token(token: &str) -> Result<Self, ClientError> {
        let mut value = MetadataValue::try_from(format!("Bearer {}", token.trim()))
            .map_err(|_| ClientError::Characters { what: "token" })?;
        value.set_sensitive(true);
        Ok(Self { authorization: Some(value), tenant: None })
    }

    /// Of a caller whose token is in a file.
    pub fn from_file(path: &Path) -> Result<Self, ClientError> {
        let token = read(path)?;
        let token = String::from_utf8(token).map_err(|_| ClientError::Characters { what: "token" })?;
        if token.trim().is_empty() {
            return Err(ClientError::EmptyToken { path: path.to_owned() });
        }
        Self::with_token(&token)
    }

    /// The same, acting for a tenant.
    pub fn for_tenant(self, tenant: &str) -> Result<Self, ClientError> {
        let tenant = MetadataValue::try_from(tenant).map_err(|_| ClientError::Characters { what: "tenant" })?;
        Ok(Self { tenant: Some(tenant), ..self })
    }
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (name, value) in [("authorization", &self.authorization), ("davy-tenant", &self.tenant)] {
            if let Some(value) = value {
                request.metadata_mut().insert(name, value.clone());
            }
        }
        Ok(request)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_token = self.authorization.is_some();
        f.debug_struct("Credentials").field("has_token", &has_token).field("tenant", &self.tenant).finish()
    }
}

impl Client {
    /// Checks the address and reads the certificates; connects to nothing yet.
    pub fn new(address: &str, tls: &TlsFiles, credentials: Credentials) -> Result<Self, ClientError> {
        let owned = || address.to_owned();
        let uri: Uri = address.parse().map_err(|_| ClientError::Address { address: owned() })?;
        let endpoint = match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(_)) => {
                let endpoint = Endpoint::from(uri).tls_config(tls_config(address, tls)?);
                endpoint.map_err(|error| ClientError::Tls { address: owned(), error })?
            }
            (Some("http"), Some(host)) if credentials.authorization.is_some() && !is_loopback(host) => {
                return Err(ClientError::ClearText { address: owned() });
            }
            (Some("http"), Some(_)) => Endpoint::from(uri),
            _ => return Err(ClientError::Address { address: owned() }),
        };
        Ok(Self { endpoint, credentials })
    }

    /// Sets timeouts and the like.
    #[must_use]
    pub fn configure(self, configure: impl FnOnce(Endpoint) -> Endpoint) -> Self {
        Self { endpoint: configure(self.endpoint), ..self }
    }

    pub async fn connect(self) -> Result<Service, tonic::transport::Error> {
        Ok(InterceptedService::new(self.endpoint.connect().await?, self.credentials))
    }

    /// Connects at the first call.
    pub fn connect_lazy(self) -> Service {
        InterceptedService::new(self.endpoint.connect_lazy(), self.credentials)
    }
}

fn tls_config(address: &str, files: &TlsFiles) -> Result<ClientTlsConfig, ClientError> {
    let Some(ca) = &files.ca else { return Err(ClientError::NoAuthority { address: address.to_owned() }) };
    let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?));
    match &files.identity {
        Some(own) => Ok(config.identity(Identity::from_pem(read(&own.certificate)?, read(&own.key)?))),
        None => Ok(config),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn read(path: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|error| ClientError::File { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(address: &str, credentials: Credentials) -> Result<Client, ClientError> {
        Client::new(address, &TlsFiles::default(), credentials)
    }

    fn token() -> Credentials {
        Credentials::with_token("secret").expect("a token")
    }

    #[test]
    fn a_token_is_not_sent_over_a_network_in_clear_text() {
        for address in
            ["http://10.0.0.7:9640", "http://davy:9640", "http://[2001:db8::1]:9640", "http://localhost.evil:1"]
        {
            assert!(matches!(open(address, token()), Err(ClientError::ClearText { .. })), "{address}");
            assert!(open(address, Credentials::default()).is_ok(), "{address}");
        }
        for address in ["http://127.0.0.1:9640", "http://localhost:9640", "http://[::1]:9640", "http://127.8.8.8:1"] {
            assert!(open(address, token()).is_ok(), "{address}");
        }
    }

    #[test]
    fn an_address_is_a_url() {
        for address in ["", "davy:9640", "ftp://davy:9640", "//davy", "http:// davy"] {
            assert!(matches!(open(address, token()), Err(ClientError::Address { .. })), "{address}");
        }
    }

    #[test]
    fn https_needs_an_authority_that_can_be_read() {
        assert!(matches!(open("https://davy:9640", token()), Err(ClientError::NoAuthority { .. })));
        let missing = TlsFiles { ca: Some("/nonexistent/ca.pem".into()), identity: None };
        let refused = Client::new("https://davy:9640", &missing, token()).expect_err("there is no such file");
        assert!(refused.to_string().starts_with("file `/nonexistent/ca.pem` cannot be read"), "{refused}");
    }

    #[test]
    fn credentials_are_sent_and_never_shown() {
        let mut credentials = Credentials::with_token(" secret\n").and_then(|one| one.for_tenant("soc")).expect("fine");
        let request = credentials.call(Request::new(())).expect("it refuses nothing");
        let sent = |name| request.metadata().get(name).and_then(|value| value.to_str().ok());
        assert_eq!((sent("authorization"), sent("davy-tenant")), (Some("Bearer secret"), Some("soc")));
        let client = open("http://127.0.0.1:9640", credentials).expect("fine");
        assert!(!format!("{client:?}").contains("secret"), "{client:?}");
        assert!(Credentials::with_token("two\nlines").is_err());
    }
}
