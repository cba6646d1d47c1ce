//! The HTTP port for monitoring: `/metrics`, `/healthz` (the process runs) and `/readyz` (it leads).
//!
//! It changes nothing, and shows only names and numbers of pipelines.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::{mpsc, watch};

use crate::auth::{Auth, Need, Scope};
use crate::error::{Kind, Refused};
use crate::metrics::{CONTENT_TYPE, Metrics};
use crate::service::connections::Connection;
use crate::service::role::CoordinatorRole;

#[derive(Clone)]
pub struct Monitoring {
    pub metrics: Arc<Metrics>,
    pub role: watch::Receiver<CoordinatorRole>,
    /// Checks callers of `/metrics`; `None`: no check, since the port is on loopback.
    pub auth: Option<Arc<Auth>>,
}

/// Connections, as axum takes them.
pub struct Accepted(pub mpsc::Receiver<Connection>);

/// Serves until `end` completes.
pub async fn serve(
    monitoring: Monitoring,
    connections: Accepted,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<(), std::io::Error> {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(StatusCode::OK))
        .route("/readyz", get(ready))
        .with_state(monitoring);
    axum::serve(connections, router).with_graceful_shutdown(end).await
}

async fn metrics(State(monitoring): State<Monitoring>, headers: HeaderMap) -> Response {
    if let Err(refused) = check(&monitoring, &headers) {
        let code = if refused.kind == Kind::Denied { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED };
        return (code, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response();
    }
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], monitoring.metrics.text()).into_response()
}

async fn ready(State(monitoring): State<Monitoring>) -> StatusCode {
    match monitoring.role.borrow().leads() {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn check(monitoring: &Monitoring, headers: &HeaderMap) -> Result<(), Refused> {
    let Some(auth) = &monitoring.auth else { return Ok(()) };
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let caller = auth.caller(authorization)?;
    caller.check(Need::Look)?;
    // Metrics name the pipelines of all tenants.
    match caller.scope {
        Scope::All => Ok(()),
        Scope::Tenant(_) => Err(Refused::new(Kind::Denied, "metrics need a token for all tenants")),
    }
}

impl axum::serve::Listener for Accepted {
    type Io = Connection;
    type Addr = ();

    async fn accept(&mut self) -> (Connection, ()) {
        match self.0.recv().await {
            Some(connection) => (connection, ()),
            // The acceptor has ended: the shutdown ends this too.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<()> {
        Ok(())
    }
}
