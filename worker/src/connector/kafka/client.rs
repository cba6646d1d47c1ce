//! librdkafka's clients: their configuration, what they tell of themselves, and their errors.
//!
//! A client that does not get through tries again for ever, and its calls only time out. It reports the reason as an event
//! when it is polled. So requests are sent in slices ([`ask`]), and a rejected password is an error within seconds.
#![allow(
    unsafe_code,
    reason = "a token has to be there before the first poll: the safe interface gives it with a poll"
)]

use std::error::Error as StdError;
use std::ffi::CString;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use davy_engine::{Error, Result};
use rdkafka::ClientContext;
use rdkafka::admin::AdminClient;
use rdkafka::client::{Client, OAuthToken};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext};
use rdkafka_sys as sys;
use tracing::{debug, warn};

use super::options::{Cluster, Security};
use crate::clock;

/// How long a question to a broker may take.
pub(crate) const ANSWER: Duration = Duration::from_secs(4);
/// How long a connection may stay without an answer that is owed.
pub(crate) const SOCKET: Duration = Duration::from_secs(10);
/// The wait before a request that failed with a retriable error is sent again.
const AGAIN: Duration = Duration::from_millis(50);
/// The slices of a request's timeout: together [`ANSWER`]. After each, the client's reported errors are checked.
const SLICES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(1), Duration::from_secs(2)];
/// How much of what a client has to tell is heard after a slice; a poll gives one event, and does not say whether there are more.
const EVENTS: usize = 256;
/// Who is refused for so long is refused for good. A broker that goes down in the middle of a handshake looks the same for a moment.
const REFUSED: Duration = Duration::from_secs(2);

/// What a client tells its owner.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    /// A request was late or a connection broke.
    trouble: Arc<AtomicBool>,
    /// Why a message could not be written.
    lost: Arc<Mutex<Option<String>>>,
    /// Why the client does not get through, as it has last reported.
    obstacle: Arc<Mutex<Option<(RDKafkaErrorCode, String)>>>,
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

    pub(crate) fn note_trouble(&self) {
        self.trouble.store(true, Ordering::Relaxed);
    }

    fn obstacle(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.obstacle.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn meet(&self, obstacle: Option<(RDKafkaErrorCode, String)>) {
        *self.obstacle.lock().unwrap_or_else(PoisonError::into_inner) = obstacle;
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
            self.watch.note_trouble();
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
        self.watch.note_trouble();
        debug!(%error, reason, "kafka client");
        // That all brokers are down says less than why the last of them was.
        if let Some(code) = error.rdkafka_error_code()
            && code != RDKafkaErrorCode::AllBrokersDown
        {
            // An alert is how the other side refuses a certificate; the library takes it for a connection that broke.
            let code = if reason.contains("SSL alert") { RDKafkaErrorCode::SSL } else { code };
            self.watch.meet(Some((code, without_state(reason).to_owned())));
        }
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
    config.set("socket.timeout.ms", SOCKET.as_millis().to_string());
    for (name, value) in &cluster.properties {
        config.set(name, value);
    }
    for (name, value) in &cluster.security.properties {
        config.set(*name, value);
    }
    config
}

/// librdkafka's reason without how long it took in which of its states, which changes from one try to the next.
fn without_state(reason: &str) -> &str {
    reason.split_once(" (after ").map_or(reason, |(reason, _)| reason)
}

pub(crate) fn consumer(cluster: &Cluster, config: &ClientConfig) -> Result<BaseConsumer<Context>> {
    let made: Result<BaseConsumer<Context>, _> = config.create_with_context(Context::new(cluster, Watch::default()));
    let client = made.map_err(|error| failed("make a consumer", cluster, &error))?;
    set_token(client.client())?;
    Ok(client)
}

/// A producer that tells `watch`.
pub(crate) fn producer(cluster: &Cluster, config: &ClientConfig, watch: Watch) -> Result<BaseProducer<Context>> {
    let made: Result<BaseProducer<Context>, _> = config.create_with_context(Context::new(cluster, watch));
    let client = made.map_err(|error| failed("make a producer", cluster, &error))?;
    set_token(client.client())?;
    Ok(client)
}

/// A client for topics and their records.
pub(crate) fn admin(cluster: &Cluster) -> Result<AdminClient<Context>> {
    let made: Result<AdminClient<Context>, _> =
        config(cluster).create_with_context(Context::new(cluster, Watch::default()));
    let client = made.map_err(|error| failed("make an admin client", cluster, &error))?;
    set_token(client.inner())?;
    Ok(client)
}

/// A consumer that asks for the ends of partitions, what is in open transactions included: to others a partition ends before the first
/// of these.
pub(crate) fn asking_beyond_transactions(cluster: &Cluster) -> Result<BaseConsumer<Context>> {
    let mut config = config(cluster);
    config.set("enable.auto.commit", "false").set("isolation.level", "read_uncommitted");
    consumer(cluster, &config)
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
    consumer(cluster, &config)
}

/// Gives a client its token. The library asks for it too, but hears the answer only when it is polled: a client that asks one
/// question never is, and one for topics and their records cannot be.
fn set_token(client: &Client<Context>) -> Result<()> {
    if client.context().security.token.is_none() {
        return Ok(());
    }
    let refused = |why: &dyn std::fmt::Display| Error::invalid(format!("`sasl.token` cannot be used: {why}"));
    let token = client.context().generate_oauth_token(None).map_err(|error| refused(&error))?;
    let text = CString::new(token.token).map_err(|_| refused(&"it has a NUL in it"))?;
    let principal = CString::new(token.principal_name).map_err(|_| refused(&"its owner has a NUL"))?;
    let mut why = [0; 256];
    // SAFETY: the client is alive, the texts end with NUL and live until the call returns, there are no extensions, and the reason
    // has the length that is passed.
    let code = unsafe {
        sys::rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            text.as_ptr(),
            token.lifetime_ms,
            principal.as_ptr(),
            ptr::null_mut(),
            0,
            why.as_mut_ptr(),
            why.len(),
        )
    };
    if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    Err(refused(&RDKafkaErrorCode::from(code))
        .hint("a token has one line of ASCII: check the file or variable it is from"))
}

/// Asks a question that a broker answers; `question` gets how long it may wait.
pub(crate) fn ask<T>(
    client: &BaseConsumer<Context>,
    cluster: &Cluster,
    what: &str,
    question: impl Fn(Duration) -> Result<T, KafkaError>,
) -> Result<T> {
    let begun = clock::now();
    let watch = &client.context().watch;
    watch.meet(None);
    let [mut slice, rest @ ..] = SLICES;
    let mut slices = rest.into_iter();
    loop {
        let sent = clock::now();
        let error = match question(slice) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        // This client reads no messages: its events go to the context.
        (0..EVENTS).for_each(|_| drop(client.poll(Duration::ZERO)));
        let failure = failed(what, cluster, &error);
        if !matches!(failure, Error::Unavailable(_)) {
            return Err(failure);
        }
        let elapsed = clock::since(begun);
        let failure = match watch.obstacle() {
            None => failure,
            Some((code, reason)) => {
                let message = format!("cannot {what} (Kafka at `{}`): {reason}", cluster.bootstrap_servers);
                match remedy(code) {
                    Some(remedy) if REFUSED <= elapsed => return Err(Error::invalid(message).hint(remedy)),
                    _ => Error::Unavailable(message),
                }
            }
        };
        if ANSWER <= elapsed {
            return Err(failure);
        }
        if slice <= clock::since(sent) {
            slice = slices.next().unwrap_or(slice).min(ANSWER - elapsed);
        } else {
            // It was answered, but not yet by the right broker, or a partition has no leader now.
            clock::rest(AGAIN);
        }
    }
}

/// An error of a call, by what its receiver should do. Values of properties are never shown.
pub(crate) fn failed(what: &str, cluster: &Cluster, error: &KafkaError) -> Error {
    let servers = &cluster.bootstrap_servers;
    if let KafkaError::ClientConfig(_, description, property, _) = error {
        return Error::invalid(format!("property `{property}` of the Kafka client is refused: {description}"))
            .hint("see librdkafka's CONFIGURATION.md for its values");
    }
    if let KafkaError::ClientCreation(why) = error
        && why.contains("ssl.")
    {
        return Error::invalid(format!("cannot {what}: {why}")).hint("check `tls.ca`, `tls.certificate` and `tls.key`");
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
    matches!(
        code,
        RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch
            // A fenced producer returns this for every later call.
            | RDKafkaErrorCode::Fatal
    )
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
            Some("check `sasl.mechanism` and its secrets: `sasl.username` and `sasl.password`, or `sasl.token`")
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
