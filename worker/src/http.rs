//! The HTTP endpoints of a worker, and of a process that runs pipelines by itself: metrics for Prometheus, liveness and readiness.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use davy_engine::{Error, Result};
use tokio::net::TcpListener;

use crate::exposition::CONTENT_TYPE;

#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// The address to listen at.
    pub address: SocketAddr,
    /// The token that readers of metrics send as `Authorization: Bearer …`; required beyond loopback.
    pub token: Option<String>,
}

/// What a process shows of itself.
pub(crate) trait Exported: Send + Sync + 'static {
    /// Why it is not ready.
    fn not_ready(&self) -> Option<String>;
    /// Its metrics as text.
    fn metrics(&self) -> Result<Vec<u8>>;
}

#[derive(Clone)]
struct Served {
    exported: Arc<dyn Exported>,
    token: Option<Arc<str>>,
}

/// Binds the address; the returned future serves, and ends only with an error.
pub(crate) async fn serve(
    options: HttpOptions,
    exported: Arc<dyn Exported>,
) -> Result<impl Future<Output = Error> + use<>> {
    let HttpOptions { address, token } = options;
    if !address.ip().is_loopback() && token.is_none() {
        return Err(Error::invalid(format!("metrics at `{address}` would be readable by everyone"))
            .hint("listen at 127.0.0.1, or give --http-token-file"));
    }
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| Error::invalid(format!("cannot listen at `{address}`: {error}")))?;
    let router = Router::new()
        .route("/metrics", get(scrape))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(Served { exported, token: token.map(Into::into) });
    Ok(async move {
        match axum::serve(listener, router).await {
            Ok(()) => Error::internal("the metrics' server has ended"),
            Err(error) => Error::Unavailable(format!("cannot serve metrics: {error}")),
        }
    })
}

async fn ready(State(served): State<Served>) -> Response {
    match served.exported.not_ready() {
        None => "ok\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn scrape(State(served): State<Served>, headers: HeaderMap) -> Response {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(token) = &served.token
        && !given.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|given| is_same(given, token))
    {
        return (StatusCode::UNAUTHORIZED, "metrics need a token: Authorization: Bearer …\n").into_response();
    }
    match served.exported.metrics() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Compares in constant time.
fn is_same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |all, (x, y)| all | (x ^ y)) == 0
}
