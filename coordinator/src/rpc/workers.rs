//! `davy.v1.Workers`: worker sessions.
//!
//! A spawned task reads the worker's messages; the session's stream sends the coordinator's. Each ends with the other.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use davy_proto::domain::Term;
use davy_proto::v1;
use davy_proto::v1::worker_message::Kind;
use davy_proto::v1::workers_server::Workers;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};
use tracing::debug;

use crate::audit::Subject;
use crate::error::{Kind as RefusedKind, Refused};
use crate::options::Options;
use crate::service::event::{SessionId, ToWorker, WorkerSession};
use crate::service::handle::Handle;
use crate::service::tasks::Tasks;

use super::convert;
use super::gate::Call;
use super::status::status;

/// How long a worker may take to register after it has opened a session.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct WorkersService {
    pub(super) handle: Handle,
    pub(super) options: Arc<Options>,
    pub(super) tasks: Tasks,
}

#[tonic::async_trait]
impl Workers for WorkersService {
    type OpenSessionStream = Outgoing;

    async fn open_session(&self, request: Request<Streaming<v1::WorkerMessage>>) -> Result<Response<Outgoing>, Status> {
        let call = Call::of(&request)?;
        let mut incoming = request.into_inner();
        let first = tokio::time::timeout(REGISTER_TIMEOUT, incoming.message());
        let first = first.await.map_err(|_| status(&not_registered("the worker sends nothing")))??;
        let Some(v1::WorkerMessage { kind: Some(Kind::Register(register)) }) = first else {
            return Err(status(&not_registered("the first message is not Register")));
        };
        let opened = async {
            let (info, reports) = convert::register(register)?;
            call.is_about(Subject { name: info.id.to_string(), ..Subject::default() });
            self.handle.open_session(info, reports).await
        };
        let WorkerSession { id, messages, end, term } = opened.await.map_err(|refused| status(&refused))?;
        let (stream_guard, stream_dropped) = oneshot::channel();
        let (refuse, refused) = oneshot::channel();
        let ends = Ends { stream_dropped, refuse };
        self.tasks.spawn("worker session", receive(self.handle.clone(), id, incoming, ends));
        let welcome = self.welcome();
        Ok(Response::new(Outgoing {
            messages,
            end,
            refused,
            welcome,
            term,
            is_over: false,
            _stream_guard: stream_guard,
        }))
    }
}

impl WorkersService {
    fn welcome(&self) -> v1::Welcome {
        let ms = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        v1::Welcome {
            heartbeat_interval_ms: ms(self.options.heartbeat_interval),
            lease_timeout_ms: ms(self.options.cluster.lease_timeout),
        }
    }
}

fn not_registered(message: &str) -> Refused {
    Refused::new(RefusedKind::Invalid, message).hint("begin the session with Register")
}

/// How the receiving task and the sending stream end each other.
struct Ends {
    /// Closed when the stream is dropped: the worker has left.
    stream_dropped: oneshot::Receiver<()>,
    /// Sends why the worker's message was refused. Dropped: the worker sends no more.
    refuse: oneshot::Sender<Refused>,
}

/// Receives a worker's messages until one of both ends closes.
async fn receive(handle: Handle, session: SessionId, mut incoming: Streaming<v1::WorkerMessage>, ends: Ends) {
    let Ends { mut stream_dropped, refuse } = ends;
    let reason = loop {
        let message = tokio::select! {
            _ = &mut stream_dropped => break None,
            message = incoming.message() => message,
        };
        let heartbeat = match message {
            Ok(Some(v1::WorkerMessage { kind: Some(Kind::Heartbeat(heartbeat)) })) => heartbeat,
            Ok(Some(_)) => {
                break Some(Refused::new(RefusedKind::Invalid, "a registered worker sends heartbeats only"));
            }
            Ok(None) => break None,
            Err(error) => {
                debug!(%session, %error, "a worker session broke");
                break None;
            }
        };
        let reports = match convert::reports(heartbeat.tasks) {
            Ok(reports) => reports,
            Err(refused) => break Some(refused),
        };
        if !handle.heartbeat(session.clone(), reports, heartbeat.is_draining).await {
            break Some(leads_no_more());
        }
    };
    // The reason goes first: the event loop drops its end of the session when it sees that the session is closed.
    if let Some(reason) = reason {
        // The stream may be gone already.
        drop(refuse.send(reason));
    }
    if !handle.session_closed(session).await {
        debug!("the event loop has ended before a worker session");
    }
}

/// The coordinator's messages to a worker.
pub(super) struct Outgoing {
    messages: mpsc::Receiver<ToWorker>,
    end: oneshot::Receiver<Refused>,
    refused: oneshot::Receiver<Refused>,
    welcome: v1::Welcome,
    term: Term,
    is_over: bool,
    /// Dropped with the stream, which ends the receiving task.
    _stream_guard: oneshot::Sender<()>,
}

impl Outgoing {
    /// Ready when the session is over: `None` within if the worker has ended it.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Option<Refused>> {
        let end = Pin::new(&mut self.end).poll(cx);
        let refused = Pin::new(&mut self.refused).poll(cx);
        // A reason that was sent counts; a channel that was only dropped follows from the other's reason.
        match (refused, end) {
            (Poll::Ready(Ok(reason)), _) | (_, Poll::Ready(Ok(reason))) => Poll::Ready(Some(reason)),
            (Poll::Ready(Err(_)), _) => Poll::Ready(None),
            (Poll::Pending, Poll::Ready(Err(_))) => Poll::Ready(Some(leads_no_more())),
            (Poll::Pending, Poll::Pending) => Poll::Pending,
        }
    }
}

impl Stream for Outgoing {
    type Item = Result<v1::CoordinatorMessage, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(reason) = this.poll_end(cx) {
            this.is_over = true;
            return Poll::Ready(reason.map(|reason| Err(status(&reason))));
        }
        this.messages.poll_recv(cx).map(|message| {
            let Some(message) = message else {
                this.is_over = true;
                return Some(Err(status(&leads_no_more())));
            };
            let kind = Some(convert::to_worker(message, this.welcome));
            Some(Ok(v1::CoordinatorMessage { term: this.term.0, kind }))
        })
    }
}

fn leads_no_more() -> Refused {
    Refused::new(RefusedKind::Unavailable, "this coordinator no longer leads")
        .hint("keep the tasks, and open a session with the leader")
}
