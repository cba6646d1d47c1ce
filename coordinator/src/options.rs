//! The coordinator's options.
//!
//! Nothing listens beyond this machine without TLS and tokens: with unsafe options the coordinator does not start.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use davy_proto::domain::IdentityFiles;

use crate::autoscale;
use crate::cluster::ClusterOptions;
use crate::limits::Limits;

#[derive(Clone, Debug)]
pub struct Options {
    /// Where gRPC listens. Default: `127.0.0.1:9640`. Beyond loopback it needs `tls` and `tokens`.
    pub listen: SocketAddr,
    /// Where HTTP listens: `/metrics`, `/healthz`, `/readyz`. Default: `127.0.0.1:9641`.
    pub http_listen: SocketAddr,
    /// Lets HTTP listen beyond loopback. Default: no.
    ///
    /// There `/healthz` and `/readyz` answer every caller, without a body, and `/metrics` answers callers with a token
    /// that may look at all tenants (`tenant = "*"`, any role but `worker`). HTTP has no TLS: the token, and names and numbers of all tenants' pipelines, can
    /// be read on the wire. Keep the port inside a network that you trust.
    pub http_beyond_loopback: bool,
    /// The address that a standby gives to clients. Default: where gRPC listens.
    pub advertise: Option<String>,
    /// Certificates. Default: none; then gRPC listens on loopback only.
    pub tls: Option<ServerTls>,
    /// File of tokens, in TOML. Default: none; then every caller on this machine is an administrator.
    pub tokens: Option<PathBuf>,
    pub limits: Limits,
    /// Timeouts of workers and tasks.
    pub cluster: ClusterOptions,
    /// How the desired number of workers follows the load.
    pub autoscale: autoscale::Options,
    /// How many tasks a new stage gets, if its topic has as many partitions. Default: 16.
    ///
    /// The number is fixed then: no more workers than that can share a stage.
    pub tasks_per_stage: NonZeroU32,
    /// How often workers report. Default: 1 s.
    pub heartbeat_interval: Duration,
    /// At shutdown: how long pending changes may take, and then open calls. Default: 10 s.
    pub shutdown_timeout: Duration,
}

/// Certificates and keys, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    pub identity: IdentityFiles,
    /// Roots of clients' certificates. With it, callers need a certificate in addition to a token.
    pub client_ca: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 9640).into(),
            http_listen: (Ipv4Addr::LOCALHOST, 9641).into(),
            http_beyond_loopback: false,
            advertise: None,
            tls: None,
            tokens: None,
            limits: Limits::default(),
            cluster: ClusterOptions::default(),
            autoscale: autoscale::Options::default(),
            tasks_per_stage: NonZeroU32::new(16).expect("16 is not 0"),
            heartbeat_interval: Duration::from_secs(1),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

impl Options {
    /// Refuses options that are unsafe, or cannot work.
    pub fn check(&self) -> Result<(), String> {
        let (grpc, http) = (self.listen, self.http_listen);
        let is_open = !grpc.ip().is_loopback();
        if is_open && self.tls.is_none() {
            return Err(format!(
                "gRPC would listen on {grpc}, beyond this machine, without TLS; \
                give a certificate and a key, or listen on 127.0.0.1"
            ));
        }
        if is_open && self.tokens.is_none() {
            return Err(format!(
                "gRPC would listen on {grpc}, beyond this machine, without tokens; \
                give a file of tokens, or listen on 127.0.0.1"
            ));
        }
        if !http.ip().is_loopback() && !self.http_beyond_loopback {
            return Err(format!(
                "HTTP would listen on {http}, beyond this machine; \
                allow that explicitly, or listen on 127.0.0.1"
            ));
        }
        if !http.ip().is_loopback() && self.tokens.is_none() {
            return Err(format!(
                "HTTP would listen on {http}, beyond this machine, without tokens for metrics; \
                give a file of tokens, or listen on 127.0.0.1"
            ));
        }
        self.autoscale.check()?;
        if self.heartbeat_interval.is_zero() || self.cluster.lease_timeout < self.heartbeat_interval * 2 {
            return Err(format!(
                "workers report every {:?} and count as lost after {:?}; \
                the second must be at least twice the first",
                self.heartbeat_interval, self.cluster.lease_timeout
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_options_are_refused() {
        let identity = IdentityFiles { certificate: "c.pem".into(), key: "k.pem".into() };
        let tls = ServerTls { identity, client_ca: None };
        let open: SocketAddr = "0.0.0.0:9640".parse().expect("an address");
        let six: SocketAddr = "[::]:9640".parse().expect("an address");
        let local = Options::default;
        let with_tls = |listen| Options { listen, tls: Some(tls.clone()), ..local() };
        let tokens: Option<PathBuf> = Some("t.toml".into());
        for (options, message) in [
            (local(), ""),
            (Options { listen: "[::1]:0".parse().expect("an address"), ..local() }, ""),
            (Options { listen: open, ..local() }, "without TLS"),
            (Options { listen: six, ..local() }, "without TLS"),
            (Options { listen: open, tokens: tokens.clone(), ..local() }, "without TLS"),
            (with_tls(open), "without tokens;"),
            (Options { tokens: tokens.clone(), ..with_tls(open) }, ""),
            (Options { http_listen: open, ..local() }, "allow that explicitly"),
            (Options { http_listen: open, http_beyond_loopback: true, ..local() }, "without tokens for metrics"),
            (Options { http_listen: open, http_beyond_loopback: true, tokens, ..local() }, ""),
            (Options { heartbeat_interval: Duration::ZERO, ..local() }, "workers report every"),
        ] {
            match options.check() {
                Ok(()) => assert_eq!(message, ""),
                Err(wrong) => assert!(!message.is_empty() && wrong.contains(message), "{wrong}"),
            }
        }
    }
}
