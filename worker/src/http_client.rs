//! HTTP requests from threads: one client for everything that Davy calls over HTTP. The only module that names ureq.
//!
//! Errors say what a caller can do: [`Error::Unavailable`] may go away by itself, anything else does not. A status is no error: only the
//! caller knows what one means.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use davy_engine::{Error, Result};
use ureq::http::{HeaderMap, Response, header};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

/// No answer that Davy reads is longer.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
const REDIRECTS_MAX: u32 = 3;

/// How servers are called; the files are PEM, and are read once.
#[derive(Clone, Debug)]
pub struct HttpClientOptions {
    /// How long a request may take, from looking up the name to the last byte of the answer.
    pub timeout: Duration,
    /// Certificate authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// The client's own certificate, with its chain, and its key.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// Sent as `Authorization: Bearer …`, to `https://` and to loopback only.
    pub token: Option<Secret>,
}

impl Default for HttpClientOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), ca: None, certificate: None, key: None, token: None }
    }
}

/// A text that is never printed.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// Keeps connections open between requests; clones share them.
#[derive(Clone, Debug)]
pub struct HttpClient {
    agent: Agent,
    token: Option<Secret>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// `Retry-After`, where it is a number of seconds.
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether the same request may succeed later: too slow, too many requests, and everything that is the server's own trouble.
    pub fn is_temporary(&self) -> bool {
        matches!(self.status, 408 | 425 | 429 | 500..)
    }
}

impl HttpClient {
    pub fn new(options: &HttpClientOptions) -> Result<Self> {
        let roots = match &options.ca {
            Some(path) => {
                let found = certificates(path)?;
                RootCerts::Specific(Arc::new(found))
            }
            None => RootCerts::PlatformVerifier,
        };
        let own = match (&options.certificate, &options.key) {
            (Some(certificate), Some(key)) => {
                let key_pem = PrivateKey::from_pem(&read(key)?).map_err(|error| unusable(key, &error.to_string()))?;
                Some(ClientCert::new_with_certs(&certificates(certificate)?, key_pem))
            }
            (None, None) => None,
            _ => return Err(Error::invalid("a client certificate and its key are given together or not at all")),
        };
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(roots)
            .client_cert(own)
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(options.timeout))
            .http_status_as_error(false)
            .max_redirects(REDIRECTS_MAX)
            .user_agent(concat!("davy/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.new_agent(), token: options.token.clone() })
    }

    pub fn get(&self, url: &str) -> Result<Answer> {
        let mut request = self.agent.get(url).header(header::ACCEPT, "application/json");
        if let Some(authorization) = self.authorization(url)? {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        request.call().map_err(|error| failed(&error)).and_then(answer)
    }

    /// Sends `body` with these headers.
    pub fn post(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let mut request = self.agent.post(url);
        if let Some(authorization) = self.authorization(url)? {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send(body).map_err(|error| failed(&error)).and_then(answer)
    }

    fn authorization(&self, url: &str) -> Result<Option<String>> {
        let Some(Secret(token)) = &self.token else { return Ok(None) };
        if !is_private(url) {
            return Err(Error::invalid("a token for an address without TLS could be read on the way")
                .hint("use https:// wherever a token is sent"));
        }
        Ok(Some(format!("Bearer {token}")))
    }
}

/// Refuses what is no address of a server that this client can call. The error does not show it: an address may contain a secret.
pub fn check_url(url: &str) -> Result<()> {
    let wrong = |why: &str| Err(Error::invalid(format!("the address {why}")));
    let is_blank = |c: char| c.is_whitespace() || c.is_control();
    if url.contains(is_blank) {
        return wrong("has blanks, which an address cannot have");
    }
    if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
        return wrong("begins with neither http:// nor https://");
    }
    let Ok(uri) = url.parse::<ureq::http::Uri>() else { return wrong("is no URL") };
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => {
            wrong("contains a user name: credentials do not belong into an address")
        }
        Some(authority) if authority.as_str() != authority.host() && authority.port_u16().is_none() => {
            wrong("has a port that is no number")
        }
        Some(authority) if !authority.host().is_empty() => Ok(()),
        _ => wrong("names no server"),
    }
}

/// Whether only the server itself reads what is sent there.
fn is_private(url: &str) -> bool {
    let Ok(uri) = url.parse::<ureq::http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    uri.scheme_str() == Some("https") || matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

fn answer(mut response: Response<Body>) -> Result<Answer> {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
    Ok(Answer { status, retry_after, body: body.map_err(|error| failed(&error))? })
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// Only what a connection does may go away by itself.
fn failed(error: &ureq::Error) -> Error {
    match error {
        ureq::Error::BadUri(_)
        | ureq::Error::Http(_)
        | ureq::Error::TooManyRedirects
        | ureq::Error::RedirectFailed
        | ureq::Error::InvalidProxyUrl
        | ureq::Error::BodyExceedsLimit(_)
        | ureq::Error::RequireHttpsOnly(_) => Error::invalid(error.to_string()),
        // An untrusted certificate too: its renewal needs no restart of Davy.
        _ => Error::Unavailable(error.to_string()),
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let pem = read(path)?;
    let mut found = Vec::new();
    for item in parse_pem(&pem) {
        if let ureq::tls::PemItem::Certificate(certificate) =
            item.map_err(|error| unusable(path, &error.to_string()))?
        {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(unusable(path, "it has no certificate"));
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| unusable(path, &error.to_string()))
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::invalid(format!("cannot use `{}`: {why}", path.display())).hint("it should be a file in the format PEM")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_server_and_no_credentials() {
        let cases = [
            ("http://tenants/7", None),
            ("https://10.0.0.1:8080/api/tenants/?id=7", None),
            ("http://[::1]:80/7", None),
            ("ftp://tenants/7", Some("neither http:// nor https://")),
            ("tenants/7", Some("neither http:// nor https://")),
            ("http://", Some("is no URL")),
            ("http://tenants:x/7", Some("a port that is no number")),
            ("http://tenants/7\r\nX: y", Some("has blanks")),
            ("http://me:secret@tenants/7", Some("user name")),
        ];
        for (url, expected) in cases {
            let found = check_url(url).err().map(|error| error.to_string());
            assert!(!found.iter().any(|said| said.contains("secret")), "{found:?}");
            let is_expected = match (expected, &found) {
                (None, None) => true,
                (Some(expected), Some(found)) => found.contains(expected),
                _ => false,
            };
            assert!(is_expected, "{url}: {found:?}");
        }
    }

    #[test]
    fn a_token_goes_where_only_the_server_reads_it() {
        let options = HttpClientOptions { token: Some(Secret::new("t0k3n")), ..HttpClientOptions::default() };
        assert!(!format!("{options:?}").contains("t0k3n"));
        let client = HttpClient::new(&options).expect("a client");
        for (url, expected) in [("https://siem/x", true), ("http://127.0.0.1:1/x", true), ("http://siem/x", false)] {
            let error = client.authorization(url).err().map(|error| error.to_string());
            assert_eq!(error.is_none(), expected, "{url}: {error:?}");
            assert!(!error.unwrap_or_default().contains("t0k3n"));
        }
    }

    #[test]
    fn files_that_are_no_certificates_are_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = Some(file.path().to_owned());
        let base = HttpClientOptions::default();
        let cases = [
            (HttpClientOptions { ca: path.clone(), ..base.clone() }, "it has no certificate"),
            (HttpClientOptions { ca: Some("none.pem".into()), ..base.clone() }, "none.pem"),
            (HttpClientOptions { certificate: path.clone(), ..base.clone() }, "given together"),
            (HttpClientOptions { certificate: path.clone(), key: path, ..base }, "in the format PEM"),
        ];
        for (options, expected) in cases {
            let error = HttpClient::new(&options).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
