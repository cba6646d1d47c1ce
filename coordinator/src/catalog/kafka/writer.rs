//! Writes to the topic in transactions: all messages or none, and only until a newer writer takes over.
//!
//! Every call blocks. Before a commit the queue is emptied in short polls: `flush`, which a commit calls, waits in slices of 100 ms.
//! A commit that times out is called again; the library continues the same commit.

use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tracing::debug;

use super::client::{Context, EVENTS, MESSAGE_BYTES_MAX, failed, make, now, reason};
use super::codec::Message;
use super::{Halt, KafkaCatalogOptions};
use crate::catalog::CatalogError;

/// How long the broker lets a transaction be open: longer than the attempts to commit it. The next leader aborts it anyway.
const TRANSACTION_MS: &str = "60000";
/// How long taking over, or a commit, is tried. After it a commit is in doubt.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it is tried to send the messages: until then everything can be taken back.
const SEND: Duration = Duration::from_secs(10);
/// How long one try takes: after each the writer checks whether it should stop.
const SLICE: Duration = Duration::from_secs(1);
/// How long it is waited before a call is tried again that failed at once, or while messages are on their way.
const PAUSE: Duration = Duration::from_millis(1);
/// How long an abort may take; otherwise the next producer aborts the transaction.
const ABORT: Duration = Duration::from_secs(2);

/// The catalog's transactional client.
pub(super) struct Writer {
    options: KafkaCatalogOptions,
    producer: BaseProducer<Context>,
}

/// Why messages were not written.
pub(super) enum Failure {
    /// None of them is there, or ever will be.
    NotWritten(CatalogError),
    /// The broker may have committed, and did not answer.
    InDoubt(String),
}

impl From<CatalogError> for Failure {
    fn from(error: CatalogError) -> Self {
        Self::NotWritten(error)
    }
}

/// What to do about a commit that failed.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    AskAgain,
    Abort,
    GiveUp,
    StepDown,
}

impl Writer {
    /// Fences all earlier writers, and aborts the transaction that they left open.
    pub(super) fn init(options: &KafkaCatalogOptions, proceed: &dyn Fn() -> Result<(), Halt>) -> Result<Self, Halt> {
        let id = options.transactional_id();
        let what = format!("take over as `{id}`");
        let more = [
            ("transactional.id", id.as_str()),
            ("transaction.timeout.ms", TRANSACTION_MS),
            ("enable.idempotence", "true"),
            ("message.max.bytes", MESSAGE_BYTES_MAX),
            ("compression.type", "zstd"),
        ];
        let producer: BaseProducer<Context> = make(options, &what, &more)?;
        let deadline = now() + PATIENCE;
        loop {
            let Err(error) = producer.init_transactions(SLICE) else { break };
            proceed()?;
            producer.poll(PAUSE);
            if !is_retriable(&error) || deadline <= now() {
                let failure = failed(&what, options, &error);
                return Err(Halt::from(explained(failure, producer.context())));
            }
        }
        Ok(Self { options: options.clone(), producer })
    }

    /// Whether anything went wrong since the last write began: then the next one needs a fresh writer.
    pub(super) fn had_trouble(&self) -> bool {
        self.listen();
        self.producer.context().had_trouble()
    }

    /// Writes all of `messages`, which are not empty, and gives the offset of the last one.
    pub(super) fn write(&self, messages: &[Message]) -> Result<i64, Failure> {
        self.listen();
        self.producer.context().clear();
        self.producer.begin_transaction().map_err(|error| self.failed("begin a transaction", &error))?;
        if let Err(error) = self.send_all(messages) {
            self.abort();
            return Err(error.into());
        }
        self.commit()?;
        Ok(self.producer.context().offset())
    }

    /// Takes what the client has to tell.
    fn listen(&self) {
        (0..EVENTS).for_each(|_| self.producer.poll(Duration::ZERO));
    }

    fn send_all(&self, messages: &[Message]) -> Result<(), CatalogError> {
        let what = format!("write to topic `{}`", self.options.topic);
        let deadline = now() + SEND;
        for message in messages {
            self.send(message, deadline).map_err(|error| self.failed(&what, &error))?;
        }
        while 0 < self.producer.in_flight_count() {
            if deadline <= now() {
                let late = KafkaError::MessageProduction(RDKafkaErrorCode::OperationTimedOut);
                return Err(self.failed(&what, &late));
            }
            self.producer.poll(PAUSE);
        }
        self.producer.context().undelivered().map_or(Ok(()), |error| Err(self.failed(&what, &error)))
    }

    fn send(&self, message: &Message, deadline: Instant) -> Result<(), KafkaError> {
        let mut record = BaseRecord::<str, [u8]>::to(&self.options.topic).partition(0).key(&message.key);
        record.payload = message.value.as_deref();
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) if now() < deadline => {
                    self.producer.poll(PAUSE);
                    record = again;
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    fn commit(&self) -> Result<(), Failure> {
        let deadline = now() + PATIENCE;
        loop {
            let Err(error) = self.producer.commit_transaction(SLICE) else { return Ok(()) };
            self.producer.context().note_trouble();
            let failure = self.failed("commit", &error);
            match after_commit(&error) {
                Next::AskAgain if now() < deadline => self.producer.poll(PAUSE),
                Next::AskAgain | Next::GiveUp => return Err(Failure::InDoubt(failure.to_string())),
                Next::StepDown => return Err(failure.into()),
                Next::Abort => {
                    self.abort();
                    return Err(failure.into());
                }
            }
        }
    }

    fn abort(&self) {
        self.producer.context().note_trouble();
        if let Err(error) = self.producer.abort_transaction(ABORT) {
            debug!(%error, "the next producer will abort the transaction");
        }
    }

    fn failed(&self, what: &str, error: &KafkaError) -> CatalogError {
        self.producer.context().note_trouble();
        // Only `fatal_error` says that the producer was fenced.
        let fatal = self.producer.client().fatal_error();
        let failure = failed(what, &self.options, error);
        match fatal {
            Some((_, why)) => CatalogError::Fenced(format!("{failure} ({why})")),
            None => explained(failure, self.producer.context()),
        }
    }
}

fn explained(error: CatalogError, context: &Context) -> CatalogError {
    match error {
        CatalogError::Unavailable(message) => CatalogError::Unavailable(message + &reason(context)),
        other @ (CatalogError::Fenced(_) | CatalogError::Corrupt(_)) => other,
    }
}

fn is_retriable(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => error.is_retriable() && !error.txn_requires_abort() && !error.is_fatal(),
        _ => false,
    }
}

fn after_commit(error: &KafkaError) -> Next {
    match error {
        KafkaError::Transaction(error) if error.is_fatal() => Next::StepDown,
        KafkaError::Transaction(error) if error.txn_requires_abort() => Next::Abort,
        KafkaError::Transaction(error) if error.is_retriable() => Next::AskAgain,
        _ => Next::GiveUp,
    }
}
