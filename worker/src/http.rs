//! A worker's HTTP endpoints: metrics for Prometheus, liveness, and readiness (connected to a coordinator).

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use davy_engine::{Error, Result};
use tokio::net::TcpListener;

use crate::exposition::{CONTENT_TYPE, WorkerMetrics};
use crate::slots::Slots;

#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// The address to listen at.
    pub address: SocketAddr,
    /// The token that readers of metrics send as `Authorization: Bearer …`; required beyond loopback.
    pub token: Option<String>,
}

#[derive(Clone)]
struct Shown {
    slots: Arc<Mutex<Slots>>,
    metrics: Arc<WorkerMetrics>,
    token: Option<Arc<str>>,
}

/// Binds the address; the returned future serves, and ends only with an error.
pub(crate) async fn serve(
    options: HttpOptions,
    slots: Arc<Mutex<Slots>>,
    metrics: Arc<WorkerMetrics>,
) -> Result<impl Future<Output = Error>> {
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
        .with_state(Shown { slots, metrics, token: token.map(Into::into) });
    Ok(async move {
        match axum::serve(listener, router).await {
            Ok(()) => Error::internal("the metrics' server has ended"),
            Err(error) => Error::Unavailable(format!("cannot serve metrics: {error}")),
        }
    })
}

async fn ready(State(shown): State<Shown>) -> Response {
    if shown.metrics.connected.get() == 1 {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "no coordinator knows this worker\n").into_response()
}

async fn scrape(State(shown): State<Shown>, headers: HeaderMap) -> Response {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(token) = &shown.token
        && !given.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|given| is_same(given, token))
    {
        return (StatusCode::UNAUTHORIZED, "metrics need a token: Authorization: Bearer …\n").into_response();
    }
    let slots = shown.slots.lock().unwrap_or_else(PoisonError::into_inner);
    let (registries, tasks) = (slots.registries(), slots.snapshot());
    drop(slots);
    match shown.metrics.text(&registries, &tasks) {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Compares in constant time.
fn is_same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |all, (x, y)| all | (x ^ y)) == 0
}
