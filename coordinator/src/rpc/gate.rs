//! The gate that every call passes before its message is read: it checks the caller, its role, its rate and the call's duration.
//!
//! It also counts calls and writes the audit, since only the gate sees all of them, the refused ones included.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::body::Body;
use tonic::codegen::http::{Extensions, HeaderMap, Request, Response};
use tonic::transport::server::TlsConnectInfo;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::audit::{self, Subject};
use crate::auth::{Auth, Caller};
use crate::error::{Kind, Refused};
use crate::limits::{Limits, Rates};
use crate::metrics::Metrics;

use super::methods::{Access, CallKind, Method};
use super::server::Peer;
use super::status::{name, status};

/// Metadata that names a tenant.
const TENANT: &str = "davy-tenant";

/// A call, for its handler.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) caller: Caller,
    /// Streams and rates are counted for this key.
    pub(super) key: Arc<str>,
    /// The tenant that the call names.
    pub(super) tenant: Option<String>,
    subject: Arc<Mutex<Subject>>,
}

impl Call {
    /// Of a request that has passed the gate.
    pub(super) fn of<T>(request: &tonic::Request<T>) -> Result<Self, Status> {
        let missing = || status(&Refused::new(Kind::Internal, "a call has not passed the gate"));
        request.extensions().get::<Self>().cloned().ok_or_else(missing)
    }

    /// Notes what the call is about, for the audit.
    pub(super) fn is_about(&self, subject: Subject) {
        *self.subject.lock().unwrap_or_else(PoisonError::into_inner) = subject;
    }
}

#[derive(Clone)]
pub(super) struct Gate(Arc<GateState>);

struct GateState {
    auth: Arc<Auth>,
    /// Every client has a certificate that was checked.
    has_certificates: bool,
    rates: Rates,
    calls: Semaphore,
    call_timeout: Duration,
    metrics: Arc<Metrics>,
}

impl Gate {
    pub(super) fn new(auth: Arc<Auth>, limits: &Limits, metrics: Arc<Metrics>, has_certificates: bool) -> Self {
        Self(Arc::new(GateState {
            auth,
            has_certificates,
            rates: Rates::new(limits),
            calls: Semaphore::new(limits.calls),
            call_timeout: limits.call_timeout,
            metrics,
        }))
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { state: Arc::clone(&self.0), inner }
    }
}

/// What is behind the gate.
#[derive(Clone)]
pub(super) struct Gated<S> {
    state: Arc<GateState>,
    inner: S,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let clone = self.inner.clone();
        // The service that is ready is used, and its clone is kept.
        let inner = std::mem::replace(&mut self.inner, clone);
        let state = Arc::clone(&self.state);
        Box::pin(async move { Ok(state.pass(request, inner).await) })
    }
}

impl GateState {
    async fn pass<S>(&self, mut request: Request<Body>, inner: S) -> Response<Body>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let method = Method::of(request.uri().path());
        let peer = peer(request.extensions());
        let subject = Arc::<Mutex<Subject>>::default();
        let caller = self.known(method, request.headers());
        let mut response = match self.check(method, &caller, &peer) {
            Err(refused) => status(&refused).into_http(),
            Ok((caller, key)) => {
                let tenant =
                    request.headers().get(TENANT).map(|value| String::from_utf8_lossy(value.as_bytes()).into());
                let (caller, subject) = (caller.clone(), Arc::clone(&subject));
                request.extensions_mut().insert(Call { caller, key, tenant, subject });
                self.run(method, request, inner).await
            }
        };
        if code(&response) == Code::OutOfRange {
            response = status(&too_long()).into_http();
        }
        let code = name(code(&response));
        self.metrics.calls.with_label_values(&[method.name, code]).inc();
        if method.is_change() {
            let subject = subject.lock().unwrap_or_else(PoisonError::into_inner).clone();
            audit::write(caller.as_ref().ok(), &peer, method.name, &subject, code);
        }
        response
    }

    fn known(&self, method: Method, headers: &HeaderMap) -> Result<Caller, Refused> {
        match method.access {
            Access::Anybody => Ok(Caller::anybody()),
            Access::CertificateOrToken if self.has_certificates => Ok(Caller::anybody()),
            Access::CertificateOrToken | Access::Token(_) => {
                self.auth.caller(headers.get("authorization").and_then(|value| value.to_str().ok()))
            }
        }
    }

    /// Checks rate and role; returns the caller, and the key that the call is counted for.
    fn check<'a>(
        &self,
        method: Method,
        caller: &'a Result<Caller, Refused>,
        peer: &str,
    ) -> Result<(&'a Caller, Arc<str>), Refused> {
        let has_token = self.auth.is_on() && matches!(method.access, Access::Token(_));
        let key: Arc<str> = match caller {
            Ok(caller) if has_token => Arc::clone(&caller.name),
            // Also callers that guess tokens.
            Ok(_) | Err(_) => peer.into(),
        };
        self.rates.check(&key)?;
        let caller = caller.as_ref().map_err(Refused::clone)?;
        if let Access::Token(need) = method.access {
            caller.check(need)?;
        }
        Ok((caller, key))
    }

    async fn run<S>(&self, method: Method, request: Request<Body>, mut inner: S) -> Response<Body>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        if method.kind == CallKind::Stream {
            return answer(inner.call(request).await);
        }
        let _permit = match self.admit() {
            Ok(permit) => permit,
            Err(refused) => return status(&refused).into_http(),
        };
        match tokio::time::timeout(self.call_timeout, inner.call(request)).await {
            Ok(response) => answer(response),
            Err(_) => status(&self.too_slow()).into_http(),
        }
    }

    fn admit(&self) -> Result<SemaphorePermit<'_>, Refused> {
        self.calls.try_acquire().map_err(|_| {
            Refused::new(Kind::Exhausted, "too many calls are in progress").hint("wait a moment, and try again")
        })
    }

    fn too_slow(&self) -> Refused {
        let message = format!("the call took longer than {:?}; a change may still be made", self.call_timeout);
        Refused::new(Kind::TooSlow, message).hint("try again with the same request_id")
    }
}

fn answer(result: Result<Response<Body>, Infallible>) -> Response<Body> {
    match result {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// tonic reports a message that is too long by a code that no call here ends with.
fn too_long() -> Refused {
    Refused::new(Kind::Exhausted, "the message is longer than is allowed")
        .hint("split the script into several pipelines")
}

/// The code of a response that begins; a unary call has failed by now, or never will.
fn code(response: &Response<Body>) -> Code {
    match response.headers().get("grpc-status") {
        Some(code) => Code::from_bytes(code.as_bytes()),
        None => Code::Ok,
    }
}

fn peer(extensions: &Extensions) -> String {
    let plain = extensions.get::<Peer>();
    let secure = extensions.get::<TlsConnectInfo<Peer>>().map(TlsConnectInfo::get_ref);
    plain.or(secure).map_or_else(|| "unknown".to_owned(), |Peer(address)| address.ip().to_string())
}
