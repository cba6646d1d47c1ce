//! librdkafka's clients: their configuration, what they tell of themselves, and their errors.

use std::error::Error as StdError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use davy_engine::{Error, Result};
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, NoCustomPartitioner, ProducerContext};
use tracing::{debug, warn};

use super::options::{Cluster, Security};
use crate::clock;

/// How long a question to a broker may take.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// What a client tells its owner.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    /// A request was late or a connection broke.
    trouble: Arc<AtomicBool>,
    /// Why a message could not be written.
    lost: Arc<Mutex<Option<String>>>,
}

impl Watch {
    pub(crate) fn had_trouble(&self) -> bool {
        self.trouble.load(Ordering::Relaxed)
    }

    pub(crate) fn clear(&self) {
        self.trouble.store(false, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self) -> Option<String> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn clear_lost(&self) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn mark(&self) {
        self.trouble.store(true, Ordering::Relaxed);
    }
}

/// The context of every client.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    security: Security,
    pub(crate) watch: Watch,
}

impl Context {
    pub(crate) fn new(cluster: &Cluster, watch: Watch) -> Self {
        Self { security: cluster.security.clone(), watch }
    }
}

/// The facilities of librdkafka's log that tell of late requests and broken connections.
const TROUBLE: [&str; 3] = ["REQTMOUT", "FAIL", "TXNERR"];

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if TROUBLE.contains(&facility) {
            self.watch.mark();
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
        self.watch.mark();
        debug!(%error, reason, "kafka client");
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        const LIFETIME: Duration = Duration::from_secs(3_600);
        let token = self.security.token.clone().ok_or("the table has no `sasl.token`")?;
        let lifetime_ms = i64::try_from((clock::since_1970() + LIFETIME).as_millis())?;
        Ok(OAuthToken { token, principal_name: "davy".to_owned(), lifetime_ms })
    }
}

impl ConsumerContext for Context {}

impl ProducerContext<NoCustomPartitioner> for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _opaque: Self::DeliveryOpaque) {
        if let Err((error, _)) = result {
            let mut lost = self.watch.lost.lock().unwrap_or_else(PoisonError::into_inner);
            lost.get_or_insert_with(|| error.to_string());
        }
    }
}

/// The configuration that all clients share.
pub(crate) fn config(cluster: &Cluster) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &cluster.bootstrap_servers);
    config.set("client.id", "davy");
    config.set("log.connection.close", "false");
    config.set("retry.backoff.ms", "10");
    config.set("reconnect.backoff.ms", "50");
    config.set("reconnect.backoff.max.ms", "1000");
    config.set("socket.timeout.ms", "10000");
    for (name, value) in &cluster.properties {
        config.set(name, value);
    }
    for (name, value) in &cluster.security.properties {
        config.set(*name, value);
    }
    config
}

/// A consumer that asks, and reads nothing. Its answers wait for transactions that are open.
pub(crate) fn asking(cluster: &Cluster, group: Option<&str>) -> Result<BaseConsumer<Context>> {
    asker(cluster, group, "read_committed")
}

/// One whose answers do not wait, and leave out what open transactions hold.
pub(crate) fn asking_at_once(cluster: &Cluster, group: &str) -> Result<BaseConsumer<Context>> {
    asker(cluster, Some(group), "read_uncommitted")
}

fn asker(cluster: &Cluster, group: Option<&str>, isolation: &str) -> Result<BaseConsumer<Context>> {
    let mut config = config(cluster);
    config.set("enable.auto.commit", "false").set("isolation.level", isolation);
    if let Some(group) = group {
        config.set("group.id", group).set("group.protocol", "classic");
    }
    config
        .create_with_context(Context::new(cluster, Watch::default()))
        .map_err(|error| failed("make a client", cluster, &error))
}

/// An error of a call, by what its receiver should do. Values of properties are never shown.
pub(crate) fn failed(what: &str, cluster: &Cluster, error: &KafkaError) -> Error {
    let servers = &cluster.bootstrap_servers;
    if let KafkaError::ClientConfig(_, description, property, _) = error {
        return Error::invalid(format!("property `{property}` of the Kafka client is refused: {description}"))
            .hint("see librdkafka's CONFIGURATION.md for its values");
    }
    let message = format!("cannot {what} (Kafka at `{servers}`): {error}");
    // Without threads it may work later; anything else is properties that do not go together, which no retry mends.
    if matches!(error, KafkaError::ClientCreation(description) if !description.contains("thread")) {
        return Error::invalid(message).hint("change what 'kafka.…' options of the table set, or leave them out");
    }
    let Some(code) = code_of(error) else { return Error::Unavailable(message) };
    if is_fenced(code) {
        return Error::Fenced(message);
    }
    match remedy(code) {
        Some(remedy) => Error::invalid(message).hint(remedy),
        None => Error::Unavailable(message),
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
    matches!(code, RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch)
}

/// What a person can do about errors that no retry mends.
fn remedy(code: RDKafkaErrorCode) -> Option<&'static str> {
    match code {
        RDKafkaErrorCode::TopicAuthorizationFailed => {
            Some("grant this user READ (sources) or WRITE (sinks) on the topic")
        }
        RDKafkaErrorCode::GroupAuthorizationFailed => Some("grant this user READ on groups that begin with `davy.`"),
        RDKafkaErrorCode::TransactionalIdAuthorizationFailed => {
            Some("grant this user WRITE on transactional ids that begin with `davy.`")
        }
        RDKafkaErrorCode::ClusterAuthorizationFailed => Some("grant this user IDEMPOTENT_WRITE on the cluster"),
        RDKafkaErrorCode::SaslAuthenticationFailed | RDKafkaErrorCode::Authentication => {
            Some("check `sasl.username`, `sasl.password` and `sasl.mechanism`")
        }
        RDKafkaErrorCode::SSL => Some("check `tls.ca`, `tls.certificate` and `tls.key`"),
        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => {
            Some("create the topic first, or check its name")
        }
        RDKafkaErrorCode::MessageSizeTooLarge => {
            Some("raise the topic's `max.message.bytes`, or lower `rows_per_message`")
        }
        RDKafkaErrorCode::InvalidTransactionTimeout => {
            Some("lower 'kafka.transaction.timeout.ms', or raise the broker's transaction.max.timeout.ms")
        }
        _ => None,
    }
}
