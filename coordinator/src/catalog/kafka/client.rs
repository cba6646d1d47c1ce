//! librdkafka's clients: their configuration, what they tell of themselves, and their errors.
//!
//! A client that does not get through tries again for ever, and its calls only time out. The reason arrives as an event when the
//! client is polled ([`Context::obstacle`]).

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, NoCustomPartitioner, ProducerContext};
use tracing::{debug, warn};

use super::KafkaCatalogOptions;
use crate::catalog::CatalogError;
use davy_proto::domain::is_name;

/// How much of what a client has to tell is heard at once; a poll gives one event, and does not say whether there are more.
pub(super) const EVENTS: usize = 64;
/// How long a question to a broker may take.
pub(super) const ANSWER: Duration = Duration::from_secs(4);
/// How long a connection may stay without an answer that is owed.
const SOCKET: Duration = Duration::from_secs(10);
/// The longest message: a script, and then some. Scripts are much shorter, and are refused before they get here.
pub(super) const MESSAGE_BYTES_MAX: &str = "8388608";

/// What the catalog relies on: with other values it would lose its place or its records.
const OURS: [&str; 13] = [
    "acks",
    "bootstrap.servers",
    "client.id",
    "enable.auto.commit",
    "enable.idempotence",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "heartbeat.interval.ms",
    "isolation.level",
    "partition.assignment.strategy",
    "transaction.timeout.ms",
    "transactional.id",
];

/// Where a member of the group stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Another one has the partition.
    #[default]
    Waits,
    Holds,
    /// This one had it. It stays so: who gets it back may have missed a leader in between.
    Lost,
}

#[derive(Debug, Default)]
pub(super) struct Context {
    /// A request was late or a connection broke.
    trouble: AtomicBool,
    /// Why the client does not get through, as it has last reported.
    obstacle: Mutex<Option<String>>,
    /// Why a message could not be written.
    undelivered: Mutex<Option<KafkaError>>,
    /// The offset of the last message that was written.
    offset: AtomicI64,
    place: Mutex<Place>,
}

impl Context {
    pub(super) fn had_trouble(&self) -> bool {
        self.trouble.load(Ordering::Relaxed)
    }

    pub(super) fn note_trouble(&self) {
        self.trouble.store(true, Ordering::Relaxed);
    }

    /// Forgets what was before a transaction.
    pub(super) fn clear(&self) {
        self.trouble.store(false, Ordering::Relaxed);
        *self.undelivered.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn obstacle(&self) -> Option<String> {
        self.obstacle.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn meet(&self, error: &KafkaError, reason: &str) {
        // That all brokers are down says less than why the last of them was.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.obstacle.lock().unwrap_or_else(PoisonError::into_inner) = Some(without_state(reason).to_owned());
        }
    }

    pub(super) fn undelivered(&self) -> Option<KafkaError> {
        self.undelivered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    pub(super) fn place(&self) -> Place {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn move_to(&self, place: Place) {
        let mut stands = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if *stands != Place::Lost {
            *stands = place;
        }
    }
}

/// The facilities of librdkafka's log that tell of late requests and broken connections.
const TROUBLE: [&str; 3] = ["REQTMOUT", "FAIL", "TXNERR"];

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if TROUBLE.contains(&facility) {
            self.note_trouble();
        }
        // A client retries by itself; what it cannot mend comes back as an error of the call.
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                warn!(facility, message, "kafka client");
            }
            _ => debug!(facility, message, "kafka client"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.note_trouble();
        debug!(%error, reason, "kafka client");
        self.meet(&error, reason);
    }
}

impl ConsumerContext for Context {
    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) if 0 < partitions.count() => {
                // The partition stands for a place, and is read by others.
                if let Err(error) = consumer.pause(partitions) {
                    debug!(%error, "the consumer still receives records that it does not need");
                }
                self.move_to(Place::Holds);
            }
            Rebalance::Revoke(partitions) if 0 < partitions.count() => self.move_to(Place::Lost),
            Rebalance::Assign(_) | Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => debug!(%error, "the group has no order"),
        }
    }
}

impl ProducerContext<NoCustomPartitioner> for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _opaque: Self::DeliveryOpaque) {
        match result {
            Ok(message) => self.offset.store(message.offset(), Ordering::Relaxed),
            Err((error, _)) => {
                let mut undelivered = self.undelivered.lock().unwrap_or_else(PoisonError::into_inner);
                undelivered.get_or_insert_with(|| error.clone());
            }
        }
    }
}

/// librdkafka's reason without how long it took in which of its states, which changes from one try to the next.
fn without_state(reason: &str) -> &str {
    reason.split_once(" (after ").map_or(reason, |(reason, _)| reason)
}

/// Refuses options with which no broker could be used.
pub(super) fn check(options: &KafkaCatalogOptions) -> Result<(), CatalogError> {
    if !is_name(&options.cluster) {
        return Err(CatalogError::Corrupt(format!(
            "`{}` cannot be a cluster's name: use a-z, A-Z, 0-9, `_` and `-`, as a group and a topic are named after it",
            options.cluster
        )));
    }
    if let Some(name) = options.properties.keys().find(|name| OURS.contains(&name.as_str())) {
        return Err(CatalogError::Corrupt(format!(
            "property `{name}` of the catalog's Kafka client cannot be set: the catalog relies on its own; leave it out"
        )));
    }
    let made = config(options, &[]).create_native_config();
    made.map(drop).map_err(|error| failed("use the catalog's properties", options, &error))
}

/// The configuration that all clients share, and some more.
fn config(options: &KafkaCatalogOptions, more: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &options.servers);
    config.set("client.id", "davy-coordinator");
    // Requests of transactions wait for the end of the one before; 100 ms would be the default.
    config.set("retry.backoff.ms", "10");
    config.set("reconnect.backoff.ms", "50");
    config.set("reconnect.backoff.max.ms", "1000");
    config.set("socket.timeout.ms", SOCKET.as_millis().to_string());
    // The client reports broken connections in log lines only, and a writer has to know of them.
    config.set("log.connection.close", "true").set_log_level(RDKafkaLogLevel::Info);
    for (name, value) in &options.properties {
        config.set(name, value);
    }
    for (name, value) in more {
        config.set(*name, *value);
    }
    config
}

/// A client of any kind; `what` it is for.
pub(super) fn make<C: FromClientConfigAndContext<Context>>(
    options: &KafkaCatalogOptions,
    what: &str,
    more: &[(&str, &str)],
) -> Result<C, CatalogError> {
    let made = config(options, more).create_with_context(Context::default());
    made.map_err(|error| failed(what, options, &error))
}

/// An error of a call, by what its receiver should do. Values of properties are never shown.
pub(super) fn failed(what: &str, options: &KafkaCatalogOptions, error: &KafkaError) -> CatalogError {
    let servers = &options.servers;
    if let KafkaError::ClientConfig(_, description, property, _) = error {
        return CatalogError::Corrupt(format!(
            "cannot {what}: property `{property}` of the Kafka client is refused ({description}); see librdkafka's CONFIGURATION.md"
        ));
    }
    let code = code_of(error);
    let remedy = code.and_then(remedy).map(|remedy| format!("; {remedy}")).unwrap_or_default();
    let message = format!("cannot {what} (Kafka at `{servers}`): {error}{remedy}");
    match code {
        Some(code) if is_fenced(code) => CatalogError::Fenced(message),
        _ => CatalogError::Unavailable(message),
    }
}

fn code_of(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::Transaction(error) => Some(error.code()),
        other => other.rdkafka_error_code(),
    }
}

/// A newer owner of the transactional id, or a transaction that the broker has given up.
fn is_fenced(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch
            // A fenced producer returns this for every later call.
            | RDKafkaErrorCode::Fatal
    )
}

/// What a person can do about errors that no retry mends. They may do it while the coordinator tries on.
fn remedy(code: RDKafkaErrorCode) -> Option<&'static str> {
    match code {
        RDKafkaErrorCode::TopicAuthorizationFailed => {
            Some("grant this user CREATE, READ, WRITE and DESCRIBE_CONFIGS on the catalog's topic")
        }
        RDKafkaErrorCode::GroupAuthorizationFailed => Some("grant this user READ on groups that begin with `davy.`"),
        RDKafkaErrorCode::TransactionalIdAuthorizationFailed => {
            Some("grant this user WRITE on transactional ids that begin with `davy.`")
        }
        RDKafkaErrorCode::ClusterAuthorizationFailed => Some("grant this user IDEMPOTENT_WRITE on the cluster"),
        RDKafkaErrorCode::SaslAuthenticationFailed | RDKafkaErrorCode::Authentication => {
            Some("check the `sasl.` properties of the catalog")
        }
        RDKafkaErrorCode::SSL => Some("check the `ssl.` properties of the catalog"),
        RDKafkaErrorCode::MessageSizeTooLarge => Some("raise the topic's `max.message.bytes`, or shorten the script"),
        _ => None,
    }
}

/// The reason that a client without an answer has reported, as the end of a message.
pub(super) fn reason(context: &Context) -> String {
    context.obstacle().map(|obstacle| format!("; the client says: {obstacle}")).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "how long a broker may take is a matter of this edge only")]
pub(super) fn now() -> Instant {
    Instant::now()
}
