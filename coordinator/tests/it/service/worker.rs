//! A worker that follows all orders at once.

use std::collections::BTreeMap;

use davy_proto::v1;
use davy_proto::v1::coordinator_message::Kind;
use davy_proto::v1::worker_message;
use davy_proto::v1::workers_client::WorkersClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::rig::{Headers, soon};

pub(super) struct Worker {
    pub(super) sender: mpsc::Sender<v1::WorkerMessage>,
    pub(super) incoming: Streaming<v1::CoordinatorMessage>,
    /// The tasks that it has, as last reported.
    pub(super) tasks: BTreeMap<String, v1::TaskReport>,
    /// Orders, in order: `grant <task>` and `revoke <task>`, with the epoch.
    pub(super) orders: Vec<(String, u64)>,
    pub(super) term: u64,
}

pub(super) fn register(id: &str) -> v1::Register {
    v1::Register { worker_id: id.to_owned(), name: format!("host-{id}"), slots: 8, ..v1::Register::default() }
}

pub(super) fn message(kind: worker_message::Kind) -> v1::WorkerMessage {
    v1::WorkerMessage { kind: Some(kind) }
}

/// A session that begins with this message.
pub(super) async fn open_session(
    channel: Channel,
    headers: Headers,
    first: v1::WorkerMessage,
) -> Result<(mpsc::Sender<v1::WorkerMessage>, Streaming<v1::CoordinatorMessage>), Status> {
    let (sender, receiver) = mpsc::channel(16);
    sender.send(first).await.expect("there is room");
    let mut client: WorkersClient<InterceptedService<Channel, Headers>> =
        WorkersClient::with_interceptor(channel, headers);
    let incoming = soon(client.open_session(ReceiverStream::new(receiver))).await?.into_inner();
    Ok((sender, incoming))
}

impl Worker {
    /// Opens a session, which the coordinator must accept.
    pub(super) async fn begin(channel: Channel, register: v1::Register) -> Self {
        let tasks = register.tasks.iter().map(|report| (report.task.clone(), report.clone())).collect();
        let first = message(worker_message::Kind::Register(register));
        let (sender, mut incoming) = open_session(channel, Headers::default(), first).await.expect("a session");
        let welcome = soon(incoming.message()).await.expect("the call lasts").expect("a message");
        assert!(matches!(welcome.kind, Some(Kind::Welcome(_))), "{welcome:?}");
        Self { sender, incoming, tasks, orders: Vec::new(), term: welcome.term }
    }

    /// Reports, and takes all orders until the report is answered.
    pub(super) async fn report(&mut self) -> Result<(), Status> {
        let tasks = self.tasks.values().cloned().collect();
        let heartbeat = worker_message::Kind::Heartbeat(v1::Heartbeat { tasks, is_draining: false });
        if self.sender.send(message(heartbeat)).await.is_err() {
            let gone = Status::cancelled("the call has ended");
            return Err(self.end().await.unwrap_or(gone));
        }
        let is_over = |report: &v1::TaskReport| report.state() == v1::TaskState::Released;
        self.tasks.retain(|_, report| !is_over(report));
        loop {
            let message =
                soon(self.incoming.message()).await?.ok_or_else(|| Status::cancelled("the call has ended"))?;
            assert_eq!(message.term, self.term, "{message:?}");
            match message.kind.expect("it says something") {
                Kind::Alive(_) => return Ok(()),
                kind => self.take(kind),
            }
        }
    }

    /// Reports and listens until it has so many tasks that run, and no others.
    pub(super) async fn until_it_runs(&mut self, n_tasks: usize) {
        loop {
            self.report().await.expect("the call lasts");
            if self.tasks.len() == n_tasks {
                self.report().await.expect("the call lasts");
                if self.tasks.len() == n_tasks {
                    return;
                }
            }
            self.listen_or_report().await;
        }
    }

    /// What the call ends with.
    pub(super) async fn end(&mut self) -> Option<Status> {
        loop {
            match soon(self.incoming.message()).await {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(status) => return Some(status),
            }
        }
    }

    /// Epochs of the grants of a task.
    pub(super) fn epochs(&self, task: &str) -> Vec<u64> {
        let grant = format!("grant {task}");
        self.orders.iter().filter(|(what, _)| *what == grant).map(|(_, epoch)| *epoch).collect()
    }

    /// A decision follows what was heard, so that something may come at once, or nothing at all.
    async fn listen_or_report(&mut self) {
        let wait = std::time::Duration::from_millis(50);
        if let Ok(Ok(Some(message))) = tokio::time::timeout(wait, self.incoming.message()).await {
            self.take(message.kind.expect("it says something"));
        }
    }

    fn take(&mut self, kind: Kind) {
        match kind {
            Kind::Grant(v1::Grant { task, epoch, pipeline }) => {
                let spec = pipeline.expect("a grant says what to run");
                self.orders.push((format!("grant {task}"), epoch));
                let state = v1::TaskState::Running.into();
                let spec_version = spec.spec_version;
                let report =
                    v1::TaskReport { task: task.clone(), epoch, state, spec_version, ..v1::TaskReport::default() };
                self.tasks.insert(task, report);
            }
            Kind::Revoke(v1::Revoke { task, epoch, .. }) => {
                self.orders.push((format!("revoke {task}"), epoch));
                if let Some(report) = self.tasks.get_mut(&task).filter(|report| report.epoch <= epoch) {
                    report.set_state(v1::TaskState::Released);
                }
            }
            Kind::Alive(_) => {}
            Kind::Welcome(_) => panic!("welcome twice"),
        }
    }
}
