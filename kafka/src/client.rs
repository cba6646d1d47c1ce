//! What every client reports of itself, and requests that notice why a client cannot connect.
//!
//! A client that cannot connect tries again for ever, and its calls only time out. It reports the reason as an event when it is
//! polled. So requests are sent in slices ([`call`]), and a rejected password is an error within seconds.
#![allow(
    unsafe_code,
    reason = "a token has to be there before the first poll: the safe interface gives it with a poll"
)]

use std::error::Error as StdError;
use std::ffi::CString;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::admin::AdminClient;
use rdkafka::client::{Client, OAuthToken};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext};
use rdkafka_sys as sys;
use tracing::{debug, warn};

use crate::error::{Error, Result, classified, code_of, failed, is_unknown_topic};
use crate::membership::PartitionState;
use crate::{KafkaConnection, clock, features};

/// How long a request to a broker may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);
/// The slices of it. After each, [`call`] checks what the client has reported.
const SLICES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(1), Duration::from_secs(2)];
/// The wait before a request that failed with a retriable error is sent again.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// How many events are taken from a client at once; a poll returns one, and does not say whether there are more.
const N_EVENTS: usize = 256;
/// A client that is refused for this long is refused for good. A broker that stops during a handshake looks the same for a moment.
const REFUSED: Duration = Duration::from_secs(2);
/// The facilities of librdkafka's log that report late requests and broken connections.
const TROUBLE: [&str; 3] = ["REQTMOUT", "FAIL", TRANSACTION_FAILED];
/// The facility that reports that a transaction can only be aborted.
const TRANSACTION_FAILED: &str = "TXNERR";

/// The context of every client: what it has reported.
#[derive(Debug, Default)]
pub(crate) struct Context {
    token: Option<String>,
    trouble: AtomicBool,
    transaction_failed: AtomicBool,
    /// What the first broker has reported.
    checks_transactions: OnceLock<bool>,
    /// Why the client cannot connect, as it has last reported.
    obstacle: Mutex<Option<(RDKafkaErrorCode, String)>>,
    /// The first record that was not written: its topic, and why.
    undelivered: Mutex<Option<(String, KafkaError)>>,
    /// The offset of the last record that was written.
    written: Mutex<Option<u64>>,
    partition_state: Mutex<PartitionState>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Context {
    fn new(connection: &KafkaConnection) -> Self {
        Self { token: connection.token.clone(), ..Self::default() }
    }

    /// Whether a request was late or a connection broke.
    pub(crate) fn had_trouble(&self) -> bool {
        self.trouble.load(Ordering::Relaxed)
    }

    pub(crate) fn note_trouble(&self) {
        self.trouble.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_transaction_failed(&self) -> bool {
        self.transaction_failed.load(Ordering::Relaxed)
    }

    pub(crate) fn checks_transactions(&self) -> Option<bool> {
        self.checks_transactions.get().copied()
    }

    /// Forgets what was reported so far: what follows is another transaction, or another request.
    pub(crate) fn clear(&self) {
        self.trouble.store(false, Ordering::Relaxed);
        self.transaction_failed.store(false, Ordering::Relaxed);
        *lock(&self.obstacle) = None;
        *lock(&self.undelivered) = None;
        *lock(&self.written) = None;
    }

    pub(crate) fn obstacle(&self) -> Option<(RDKafkaErrorCode, String)> {
        lock(&self.obstacle).clone()
    }

    pub(crate) fn undelivered(&self) -> Option<(String, KafkaError)> {
        lock(&self.undelivered).clone()
    }

    pub(crate) fn written(&self) -> Option<u64> {
        *lock(&self.written)
    }

    pub(crate) fn partition_state(&self) -> PartitionState {
        *lock(&self.partition_state)
    }

    /// An error of a call, with the reason that the client has reported where the call only timed out.
    pub(crate) fn explained(&self, error: Error) -> Error {
        match (error, self.obstacle()) {
            (Error::Unavailable(message), Some((_, reason))) => Error::Unavailable(format!("{message}; {reason}")),
            (error, _) => error,
        }
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if TROUBLE.contains(&facility) {
            self.note_trouble();
        }
        if facility == TRANSACTION_FAILED {
            self.transaction_failed.store(true, Ordering::Relaxed);
        }
        if facility == features::FACILITY {
            if let Some(checks) = features::parse_checks(message) {
                self.checks_transactions.get_or_init(|| checks);
            }
            return;
        }
        // A client retries by itself; what it cannot fix comes back as an error of the call.
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
        // That all brokers are down says less than why the last of them was.
        if let Some(code) = error.rdkafka_error_code()
            && code != RDKafkaErrorCode::AllBrokersDown
        {
            // A broker refuses a certificate by an alert, and a client one that it does not trust; the library may take either for a
            // connection that broke.
            let is_refused = ["SSL alert", "certificate verify failed"].iter().any(|sign| reason.contains(sign));
            let code = if is_refused { RDKafkaErrorCode::SSL } else { code };
            // How long the client was in which of its states changes from one try to the next.
            let reason = reason.split_once(" (after ").map_or(reason, |(reason, _)| reason);
            *lock(&self.obstacle) = Some((code, reason.to_owned()));
        }
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        const LIFETIME: Duration = Duration::from_secs(3_600);
        let token = self.token.clone().ok_or("there is no `sasl.token`")?;
        let lifetime_ms = i64::try_from((clock::since_1970() + LIFETIME).as_millis())?;
        Ok(OAuthToken { token, principal_name: "davy".to_owned(), lifetime_ms })
    }
}

impl ConsumerContext for Context {
    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let mut state = lock(&self.partition_state);
        match rebalance {
            Rebalance::Assign(partitions) if 0 < partitions.count() => {
                // The partition makes its member the leader, and other clients read it.
                if let Err(error) = consumer.pause(partitions) {
                    debug!(%error, "the consumer still receives records that it does not need");
                }
                if *state != PartitionState::Lost {
                    *state = PartitionState::Holds;
                }
            }
            Rebalance::Revoke(partitions) if 0 < partitions.count() => *state = PartitionState::Lost,
            Rebalance::Assign(_) | Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => debug!(%error, "a rebalance of the group failed"),
        }
    }
}

impl ProducerContext<NoCustomPartitioner> for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _opaque: Self::DeliveryOpaque) {
        match result {
            Ok(message) => *lock(&self.written) = u64::try_from(message.offset()).ok(),
            Err((error, message)) => {
                lock(&self.undelivered).get_or_insert_with(|| (message.topic().to_owned(), error.clone()));
            }
        }
    }
}

pub(crate) fn consumer(connection: &KafkaConnection, config: &ClientConfig) -> Result<BaseConsumer<Context>> {
    let made: Result<BaseConsumer<Context>, _> = config.create_with_context(Context::new(connection));
    let client = made.map_err(|error| failed("make a consumer", connection, &error))?;
    set_token(client.client())?;
    Ok(client)
}

pub(crate) fn producer(connection: &KafkaConnection, config: &ClientConfig) -> Result<BaseProducer<Context>> {
    let made: Result<BaseProducer<Context>, _> = config.create_with_context(Context::new(connection));
    let client = made.map_err(|error| failed("make a producer", connection, &error))?;
    set_token(client.client())?;
    Ok(client)
}

pub(crate) fn admin(connection: &KafkaConnection) -> Result<AdminClient<Context>> {
    let made: Result<AdminClient<Context>, _> = connection.config().create_with_context(Context::new(connection));
    let client = made.map_err(|error| failed("make an admin client", connection, &error))?;
    set_token(client.inner())?;
    Ok(client)
}

/// Gives a client its token. The library requests it too, but takes the answer only when it is polled: a client that sends one
/// request never is, and an admin client cannot be.
fn set_token(client: &Client<Context>) -> Result<()> {
    if client.context().token.is_none() {
        return Ok(());
    }
    let refused = |why: &dyn std::fmt::Display| {
        Error::invalid(
            format!("`sasl.token` cannot be used: {why}"),
            "a token has one line of ASCII: check the file or variable it is from",
        )
    };
    let token = client.context().generate_oauth_token(None).map_err(|error| refused(&error))?;
    let text = CString::new(token.token).map_err(|_| refused(&"it contains a NUL"))?;
    let principal = CString::new(token.principal_name).map_err(|_| refused(&"its owner contains a NUL"))?;
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
    Err(refused(&RDKafkaErrorCode::from(code)))
}

/// Sends a request until a broker answers it; `request` gets how long it may wait.
pub(crate) fn call<T>(
    client: &BaseConsumer<Context>,
    connection: &KafkaConnection,
    what: &str,
    request: impl Fn(Duration) -> Result<T, KafkaError>,
) -> Result<T> {
    let begun = clock::now();
    let context = client.context();
    context.clear();
    let [mut slice, rest @ ..] = SLICES;
    let mut slices = rest.into_iter();
    loop {
        let sent = clock::now();
        let error = match request(slice) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        // This client reads no records: its events go to the context.
        (0..N_EVENTS).for_each(|_| drop(client.poll(Duration::ZERO)));
        let failure = failed(what, connection, &error);
        let elapsed = clock::since(begun);
        // A broker that has just started, or a topic that was just created, may be unknown for a moment.
        let may_pass = code_of(&error).is_some_and(is_unknown_topic) && elapsed < REQUEST_TIMEOUT;
        if !matches!(failure, Error::Unavailable(_)) && !may_pass {
            return Err(failure);
        }
        let failure = match context.obstacle() {
            None => failure,
            Some((code, reason)) => {
                let message = format!("cannot {what} (Kafka at `{}`): {reason}", connection.bootstrap_servers());
                match classified(code, message.clone()) {
                    refused @ Error::Invalid { .. } if REFUSED <= elapsed => return Err(refused),
                    _ => Error::Unavailable(message),
                }
            }
        };
        if REQUEST_TIMEOUT <= elapsed {
            return Err(failure);
        }
        if slice <= clock::since(sent) {
            slice = slices.next().unwrap_or(slice).min(REQUEST_TIMEOUT - elapsed);
        } else {
            // It was answered, but not yet by the right broker, or a partition has no leader now.
            clock::rest(RETRY_PAUSE);
        }
    }
}
