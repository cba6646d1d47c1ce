//! A coordinator with prepared answers, which records the requests it receives.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use davy_proto::v1::cluster_server::{Cluster, ClusterServer};
use davy_proto::v1::pipelines_server::{Pipelines, PipelinesServer};
use davy_proto::v1::*;
use davy_proto::{ErrorDetail, Location};
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};

/// What a coordinator answers.
#[derive(Clone, Default)]
pub(super) struct Answers {
    /// Before anything else, one for each call.
    pub(super) refusals: Vec<Status>,
    pub(super) pipelines: Vec<Pipeline>,
    /// The states that each Watch call reports, one after the other; then the call breaks. The last call never ends.
    pub(super) watches: Vec<Vec<Pipeline>>,
    pub(super) tail: Vec<TailResponse>,
    pub(super) tasks: Vec<Task>,
    pub(super) workers: Vec<Worker>,
    pub(super) scaling: Scaling,
}

/// A running coordinator; it ends when it is dropped.
pub(super) struct Coordinator {
    pub(super) url: String,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    answers: Answers,
    refusals: VecDeque<Status>,
    watches: VecDeque<Vec<Pipeline>>,
    requests: Vec<String>,
    metadata: Vec<(String, String)>,
}

impl Coordinator {
    pub(super) fn start(answers: Answers) -> Self {
        Self::serve(answers, None)
    }

    /// With TLS; only clients whose certificate `ca` has signed are let in.
    pub(super) fn start_with_tls(answers: Answers, identity: Identity, ca: Certificate) -> Self {
        Self::serve(answers, Some(ServerTlsConfig::new().identity(identity).client_ca_root(ca)))
    }

    fn serve(answers: Answers, tls: Option<ServerTlsConfig>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (refusals, watches) = (answers.refusals.clone().into(), answers.watches.clone().into());
        let state = Arc::new(Mutex::new(State { answers, refusals, watches, ..State::default() }));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("not blocking");
        let url = format!("{scheme}://127.0.0.1:{}", listener.local_addr().expect("an address").port());
        let (stop, stopped) = oneshot::channel();
        let scripted = Scripted(Arc::clone(&state));
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let mut server = Server::builder();
                if let Some(tls) = tls {
                    server = server.tls_config(tls).expect("TLS");
                }
                let both =
                    Both { pipelines: PipelinesServer::new(scripted.clone()), cluster: ClusterServer::new(scripted) };
                let served = server.serve_with_incoming(both, TcpListenerStream::new(listener));
                // Streams that never end must not keep it: it goes as a process would that is killed.
                tokio::select! {
                    served = served => served.expect("it serves"),
                    stopped = stopped => stopped.expect("it is stopped by who holds it"),
                }
            });
        };
        let thread = std::thread::Builder::new().name("coordinator".to_owned()).spawn(run).expect("a thread");
        Self { url, state, stop: Some(stop), thread: Some(thread) }
    }

    /// The requests it has received, each as text.
    pub(super) fn requests(&self) -> Vec<String> {
        self.state.lock().expect("no panic").requests.clone()
    }

    /// The token and the tenant of each call.
    pub(super) fn metadata(&self) -> Vec<(String, String)> {
        self.state.lock().expect("no panic").metadata.clone()
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        let is_signalled = self.stop.take().is_some_and(|stop| stop.send(()).is_ok());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || (is_signalled && matches!(ended, Some(Ok(())))), "the coordinator broke");
    }
}

/// Both services at one address.
#[derive(Clone)]
struct Both {
    pipelines: PipelinesServer<Scripted>,
    cluster: ClusterServer<Scripted>,
}

impl Service<http::Request<Body>> for Both {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path().starts_with("/davy.v1.Cluster/") {
            self.cluster.call(request)
        } else {
            self.pipelines.call(request)
        }
    }
}

#[derive(Clone)]
struct Scripted(Arc<Mutex<State>>);

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Scripted {
    fn note<T: std::fmt::Debug>(&self, request: &Request<T>) -> Result<Answers, Status> {
        let mut state = self.0.lock().expect("no panic");
        state.requests.push(format!("{:?}", request.get_ref()));
        let header = |name| request.metadata().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        state.metadata.push((header("authorization").to_owned(), header("davy-tenant").to_owned()));
        match state.refusals.pop_front() {
            Some(status) => Err(status),
            None => Ok(state.answers.clone()),
        }
    }

    fn pipeline<T: std::fmt::Debug>(&self, request: &Request<T>) -> Result<Response<Pipeline>, Status> {
        let mut pipelines = self.note(request)?.pipelines;
        if pipelines.is_empty() {
            Err(Status::not_found("no such pipeline"))
        } else {
            Ok(Response::new(pipelines.remove(0)))
        }
    }
}

#[tonic::async_trait]
impl Pipelines for Scripted {
    async fn submit(&self, request: Request<SubmitRequest>) -> Result<Response<Pipeline>, Status> {
        self.pipeline(&request)
    }

    async fn validate(&self, _: Request<ValidateRequest>) -> Result<Response<ValidateResponse>, Status> {
        Err(Status::unimplemented("validate"))
    }

    async fn explain(&self, _: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        Err(Status::unimplemented("explain"))
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let pipelines = self.note(&request)?.pipelines;
        Ok(Response::new(ListResponse { pipelines }))
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<Pipeline>, Status> {
        self.pipeline(&request)
    }

    async fn pause(&self, request: Request<PauseRequest>) -> Result<Response<Pipeline>, Status> {
        self.pipeline(&request)
    }

    async fn resume(&self, request: Request<ResumeRequest>) -> Result<Response<Pipeline>, Status> {
        self.pipeline(&request)
    }

    async fn stop(&self, request: Request<StopRequest>) -> Result<Response<Pipeline>, Status> {
        self.pipeline(&request)
    }

    async fn update(&self, request: Request<UpdateRequest>) -> Result<Response<Pipeline>, Status> {
        self.pipeline(&request)
    }

    type WatchStream = Events<PipelineEvent>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        self.note(&request)?;
        let (watch, is_last) = {
            let mut state = self.0.lock().expect("no panic");
            let watch = state.watches.pop_front().unwrap_or_default();
            (watch, state.watches.is_empty())
        };
        let events =
            watch.into_iter().map(|pipeline| Ok(PipelineEvent { pipeline: Some(pipeline), is_caught_up: true }));
        let events = tokio_stream::iter(events);
        Ok(Response::new(if is_last { Box::pin(events.chain(tokio_stream::pending())) } else { Box::pin(events) }))
    }

    type TailStream = Events<TailResponse>;

    async fn tail(&self, request: Request<TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        let rows = self.note(&request)?.tail;
        Ok(Response::new(Box::pin(tokio_stream::iter(rows.into_iter().map(Ok)))))
    }
}

#[tonic::async_trait]
impl Cluster for Scripted {
    async fn list_workers(
        &self,
        request: Request<ListWorkersRequest>,
    ) -> Result<Response<ListWorkersResponse>, Status> {
        let workers = self.note(&request)?.workers;
        Ok(Response::new(ListWorkersResponse { workers }))
    }

    async fn list_tasks(&self, request: Request<ListTasksRequest>) -> Result<Response<ListTasksResponse>, Status> {
        let tasks = self.note(&request)?.tasks;
        Ok(Response::new(ListTasksResponse { tasks }))
    }

    async fn get_scaling(&self, request: Request<GetScalingRequest>) -> Result<Response<Scaling>, Status> {
        Ok(Response::new(self.note(&request)?.scaling))
    }

    async fn get_leader(&self, _: Request<GetLeaderRequest>) -> Result<Response<GetLeaderResponse>, Status> {
        Err(Status::unimplemented("leader"))
    }
}

/// A status as the coordinator makes it.
pub(super) fn refusal(code: Code, message: &str, location: (u64, u64), hint: &str) -> Status {
    let location = Some(Location { line: location.0, column: location.1 }).filter(|location| location.line > 0);
    let (message, hint) = (message.to_owned(), hint.to_owned());
    ErrorDetail { reason: "TEST".to_owned(), message, location, hint }.to_status(code)
}
