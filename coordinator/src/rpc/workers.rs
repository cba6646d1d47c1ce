//! `davy.v1.Workers`: one call for as long as a worker and this leader live.
//!
//! A task reads what the worker says; the call's stream gives what the worker is told. Each ends with the other.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use davy_proto::v1;
use davy_proto::v1::worker_message::Kind;
use davy_proto::v1::workers_server::Workers;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};
use tracing::debug;

use crate::audit::Subject;
use crate::options::Options;
use crate::service::error::{Kind as Why, Refused};
use crate::service::event::{Attending, Call as WorkerCall, ToWorker};
use crate::service::handle::Handle;
use crate::service::tasks::Tasks;
use davy_proto::domain::Term;

use super::convert;
use super::gate::Call;
use super::status::status;

/// A worker that begins a call says who it is at once.
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
        let first = first.await.map_err(|_| status(&not_registered("the worker says nothing")))??;
        let Some(v1::WorkerMessage { kind: Some(Kind::Register(register)) }) = first else {
            return Err(status(&not_registered("the first message is not Register")));
        };
        let begun = async {
            let (info, reports) = convert::register(register)?;
            call.is_about(Subject { name: info.id.to_string(), ..Subject::default() });
            self.handle.attend(info, reports).await
        };
        let Attending { call, messages, end, term } = begun.await.map_err(|refused| status(&refused))?;
        let (stays, left) = oneshot::channel();
        let (wrong, said_wrong) = oneshot::channel();
        self.tasks.spawn("attend", listen(self.handle.clone(), call, incoming, Line { left, wrong }));
        let welcome = self.welcome();
        Ok(Response::new(Outgoing { messages, end, said_wrong, welcome, term, is_over: false, _stays: stays }))
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
    Refused::new(Why::Invalid, message).hint("begin the call with Register")
}

/// What connects the task that listens with the stream that tells.
struct Line {
    /// Ends when the stream is dropped: the worker has left.
    left: oneshot::Receiver<()>,
    /// The worker has said something that makes no sense. Dropped: it says no more.
    wrong: oneshot::Sender<Refused>,
}

/// Listens to a worker until one of both ends goes away.
async fn listen(handle: Handle, call: WorkerCall, mut incoming: Streaming<v1::WorkerMessage>, line: Line) {
    let Line { mut left, wrong } = line;
    let why = loop {
        let message = tokio::select! {
            _ = &mut left => break None,
            message = incoming.message() => message,
        };
        let heartbeat = match message {
            Ok(Some(v1::WorkerMessage { kind: Some(Kind::Heartbeat(heartbeat)) })) => heartbeat,
            Ok(Some(_)) => {
                break Some(Refused::new(Why::Invalid, "a worker that has registered sends heartbeats only"));
            }
            Ok(None) => break None,
            Err(error) => {
                debug!(%call, %error, "a worker's call broke");
                break None;
            }
        };
        let reports = match convert::reports(&heartbeat.tasks) {
            Ok(reports) => reports,
            Err(refused) => break Some(refused),
        };
        if !handle.heard(call.clone(), reports, heartbeat.is_draining).await {
            break Some(leads_no_more());
        }
    };
    // Before the event loop hears of it, whose end of the call is dropped then.
    if let Some(why) = why {
        // The stream may be gone already.
        drop(wrong.send(why));
    }
    if !handle.hung_up(call).await {
        debug!("the event loop has ended before a call");
    }
}

/// What a worker is told.
pub(super) struct Outgoing {
    messages: mpsc::Receiver<ToWorker>,
    end: oneshot::Receiver<Refused>,
    said_wrong: oneshot::Receiver<Refused>,
    welcome: v1::Welcome,
    term: Term,
    is_over: bool,
    /// Dropped with the stream, so that nobody listens any more.
    _stays: oneshot::Sender<()>,
}

impl Outgoing {
    /// Why the call is over, if it is: `None` within if the worker wants no more.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Option<Refused>> {
        let end = Pin::new(&mut self.end).poll(cx);
        let said_wrong = Pin::new(&mut self.said_wrong).poll(cx);
        // What was said is why; a channel that was only dropped follows from what somebody else has said.
        match (said_wrong, end) {
            (Poll::Ready(Ok(why)), _) | (_, Poll::Ready(Ok(why))) => Poll::Ready(Some(why)),
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
        if let Poll::Ready(why) = this.poll_end(cx) {
            this.is_over = true;
            return Poll::Ready(why.map(|why| Err(status(&why))));
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
    Refused::new(Why::Unavailable, "this coordinator leads no more")
        .hint("keep the tasks, and attend the one that leads")
}
