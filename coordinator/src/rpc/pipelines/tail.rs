//! `Tail`: rows of a topic as they are committed, on a thread of their own, since reading blocks.

use std::sync::Arc;
use std::time::Duration;

use davy_proto::domain::TailRow;
use davy_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::error::{Kind, Refused};
use crate::planner::Tail;
use crate::rpc::gate::Call;
use crate::rpc::sample::Sampler;
use crate::rpc::status::status;
use crate::service::clock::Clock;
use crate::service::handle::Handle;

use super::{PipelinesService, Rows, id};

/// Answers that a client has not read; then rows are skipped.
const ANSWERS_MAX: usize = 8;

/// How long a thread waits for rows before it checks whether the client is still there.
const WAIT: Duration = Duration::from_millis(200);

/// Reads rows, and sends some of them.
struct Pump {
    tail: Box<dyn Tail>,
    sampler: Sampler,
    answers: mpsc::Sender<Result<v1::TailResponse, Status>>,
    handle: Handle,
    clock: Clock,
}

impl PipelinesService {
    pub(super) async fn begin_tail(&self, call: &Call, request: v1::TailRequest) -> Result<Rows, Refused> {
        let v1::TailRequest { name, table, limit, rows_per_second, from_beginning } = request;
        let open = self.streams.open(&call.key)?;
        let permit = Arc::clone(&self.tails).try_acquire_owned().map_err(|_| {
            Refused::new(Kind::Exhausted, "too many Tail calls are open")
                .hint("end some Tail calls, or try again later")
        })?;
        let view = self.handle.get(id(call, &name)?).await?;
        let spec = Arc::clone(&view.record.spec);
        let tail = self
            .planning
            .run(move |planner| {
                let table = (!table.is_empty()).then_some(table.as_str());
                planner.tail(&spec.script, table, from_beginning)
            })
            .await?;
        let (answers, receiver) = mpsc::channel(ANSWERS_MAX);
        let sampler = Sampler::new(limit, rows_per_second);
        let pump = Pump { tail, sampler, answers, handle: self.handle.clone(), clock: self.clock };
        self.tasks.spawn_blocking("tail", move || {
            pump.run();
            drop(permit);
        });
        // The stream counts until its client goes away, or it ends.
        Ok(Box::pin(ReceiverStream::new(receiver).map(move |answer| {
            let _ = &open;
            answer
        })))
    }
}

impl Pump {
    /// Runs until all rows were sent, the client has left, or this coordinator no longer leads.
    fn run(mut self) {
        while !self.sampler.is_done() && !self.answers.is_closed() {
            let rows = match self.handle.leads() {
                Ok(_) => self.tail.next(WAIT).map_err(Refused::from),
                Err(refused) => Err(refused),
            };
            match rows {
                Ok(rows) => self.send(rows),
                Err(refused) => {
                    // The client may have left.
                    drop(self.answers.blocking_send(Err(status(&refused))));
                    return;
                }
            }
        }
    }

    fn send(&mut self, rows: Vec<TailRow>) {
        let chosen = self.sampler.choose(rows, self.clock.now());
        if chosen.is_empty() {
            return;
        }
        let (n_rows, skipped) = (chosen.len(), self.sampler.take_skipped());
        let answer = v1::TailResponse { rows: chosen.into_iter().map(v1::TailRow::from).collect(), skipped };
        if self.answers.try_send(Ok(answer)).is_err() {
            self.sampler.give_back(n_rows, skipped);
        }
    }
}
