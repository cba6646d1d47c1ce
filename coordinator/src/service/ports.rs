//! The two ports, and the file of tokens.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::auth::Auth;
use crate::http::{self, Accepted, Monitoring};
use crate::rpc;

use super::Error;
use super::connections::{self, Bounds};
use super::driver::Tools;
use super::role::CoordinatorRole;

/// How often the file of tokens is looked at.
const TOKENS_INTERVAL: Duration = Duration::from_secs(1);

/// Connections to the HTTP port.
const HTTP_CONNECTIONS_MAX: usize = 64;

/// Monitoring sends a request at least every minute; otherwise it connects again.
const HTTP_IDLE: Duration = Duration::from_secs(120);

pub(super) struct HttpPort {
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
    pub(super) role: watch::Receiver<CoordinatorRole>,
    pub(super) end: CancellationToken,
}

pub(super) struct GrpcPort {
    pub(super) listener: TcpListener,
    pub(super) end: CancellationToken,
}

pub(super) async fn listen(what: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let wrong = |error| Error::Listen(format!("{what} cannot listen on {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(wrong)?;
    let bound = listener.local_addr().map_err(wrong)?;
    Ok((listener, bound))
}

/// Reads tokens again when they change.
pub(super) async fn watch_tokens(auth: Arc<Auth>, end: CancellationToken) {
    let mut tick = tokio::time::interval(TOKENS_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            _ = tick.tick() => {}
        }
        let auth = Arc::clone(&auth);
        // It logs by itself what is wrong with the file.
        drop(tokio::task::spawn_blocking(move || auth.refresh()).await);
    }
}

/// Accepts connections to the HTTP port, and answers.
pub(super) fn serve_http(tools: &Tools, auth: &Arc<Auth>, port: HttpPort) {
    let HttpPort { listener, address, role, end } = port;
    let is_open = !address.ip().is_loopback();
    let monitoring = Monitoring { metrics: Arc::clone(&tools.metrics), role, auth: is_open.then(|| Arc::clone(auth)) };
    let refused = tools.metrics.connections_refused.with_label_values(&["http"]);
    let bounds = Bounds { connections: HTTP_CONNECTIONS_MAX, idle: HTTP_IDLE, refused };
    let (accepted, connections) = connections::channel();
    tools.tasks.spawn("http accept", connections::accept(listener, bounds, accepted));
    tools.tasks.spawn("http", async move {
        if let Err(error) = http::serve(monitoring, Accepted(connections), end.cancelled_owned()).await {
            error!(%error, "HTTP has ended");
        }
    });
}

/// Accepts connections to the gRPC port, and answers.
pub(super) fn serve_grpc(tools: &Tools, parts: rpc::Parts, tls: Option<rpc::Tls>, port: GrpcPort) {
    let GrpcPort { listener, end } = port;
    let limits = &parts.options.limits;
    let refused = tools.metrics.connections_refused.with_label_values(&["grpc"]);
    let bounds = Bounds { connections: limits.connections, idle: limits.connection_idle, refused };
    let (accepted, connections) = connections::channel();
    tools.tasks.spawn("grpc accept", connections::accept(listener, bounds, accepted));
    tools.tasks.spawn("grpc", async move {
        if let Err(error) = rpc::serve(parts, tls, connections, end.cancelled_owned()).await {
            error!(error, "gRPC has ended");
        }
    });
}
