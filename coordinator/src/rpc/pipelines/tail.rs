//! `Tail`: rows of a topic as they are committed, on a thread of their own, since reading blocks.

use std::sync::Arc;
use std::time::Duration;

use davy_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::planner::{Script, Tail};
use crate::rpc::convert;
use crate::rpc::gate::Call;
use crate::rpc::sample::Sampler;
use crate::rpc::status::status;
use crate::service::clock::Clock;
use crate::service::error::{Kind, Refused};
use crate::service::handle::Handle;

use super::{PipelinesService, Rows, id};

/// Answers that a client has not read; then rows are skipped.
const ANSWERS_MAX: usize = 8;

/// How long a thread waits for rows before it looks whether anybody still wants them.
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
        let place = Arc::clone(&self.tails).try_acquire_owned().map_err(|_| {
            Refused::new(Kind::Exhausted, "too many topics are looked at")
                .hint("end some Tail calls, or try again later")
        })?;
        let view = self.handle.get(id(call, &name)?).await?;
        let script = Script { sql: view.record.sql.clone(), settings: view.record.settings.clone() };
        let tail = self
            .planning
            .run(move |planner| {
                let table = (!table.is_empty()).then_some(table.as_str());
                planner.tail(&script, table, from_beginning)
            })
            .await?;
        let (answers, receiver) = mpsc::channel(ANSWERS_MAX);
        let sampler = Sampler::new(limit, rows_per_second);
        let pump = Pump { tail, sampler, answers, handle: self.handle.clone(), clock: self.clock };
        self.tasks.spawn_blocking("tail", move || {
            pump.run();
            drop(place);
        });
        // The stream counts until its client goes away, or it ends.
        Ok(Box::pin(ReceiverStream::new(receiver).map(move |answer| {
            let _ = &open;
            answer
        })))
    }
}

impl Pump {
    /// Until all was sent, nobody reads any more, or this coordinator leads no more.
    fn run(mut self) {
        while !self.sampler.is_done() && !self.answers.is_closed() {
            let rows = match self.handle.leads() {
                Ok(_) => self.tail.next(WAIT).map_err(Refused::from),
                Err(refused) => Err(refused),
            };
            match rows {
                Ok(rows) => self.send(rows),
                Err(refused) => {
                    // A client that has gone needs no reason.
                    drop(self.answers.blocking_send(Err(status(&refused))));
                    return;
                }
            }
        }
    }

    fn send(&mut self, rows: Vec<crate::planner::TopicRow>) {
        let chosen = self.sampler.choose(rows, self.clock.now());
        if chosen.is_empty() {
            return;
        }
        let (n_rows, skipped) = (chosen.len(), self.sampler.take_skipped());
        let answer = v1::TailResponse { rows: chosen.into_iter().map(convert::row).collect(), skipped };
        if self.answers.try_send(Ok(answer)).is_err() {
            self.sampler.give_back(n_rows, skipped);
        }
    }
}
