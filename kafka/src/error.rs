//! Errors, by what the caller does about them; and what a person can do about those that no retry fixes.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::KafkaConnection;

/// What went wrong, by what the caller does about it. Messages never show the values of properties.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The configuration, a right or a topic is wrong. No retry fixes that; the remedy says what does.
    #[error("{message}; {remedy}")]
    Invalid { message: String, remedy: String },
    /// A broker does not answer, or a transaction cannot continue: try again from the last commit.
    #[error("{0}")]
    Unavailable(String),
    /// A newer producer has the transactional id.
    #[error("{0}")]
    Fenced(String),
    /// The broker may have committed the transaction, and did not say so: read what is committed before anything is written again.
    #[error("{0}")]
    InDoubt(String),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn invalid(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), remedy: remedy.into() }
    }
}

/// The error of a call.
pub(crate) fn failed(what: &str, connection: &KafkaConnection, error: &KafkaError) -> Error {
    let message = format!("cannot {what} (Kafka at `{}`): {error}", connection.bootstrap_servers());
    match error {
        KafkaError::ClientConfig(_, description, property, _) => Error::invalid(
            format!("property `{property}` of the Kafka client is refused: {description}"),
            "see librdkafka's CONFIGURATION.md for its values",
        ),
        KafkaError::ClientCreation(why) if why.contains("ssl.") => Error::invalid(message, CERTIFICATES),
        KafkaError::ClientCreation(_) => {
            Error::invalid(message, "change what the client's properties set, or leave them out")
        }
        other => {
            code_of(other).map_or_else(|| Error::Unavailable(message.clone()), |code| classified(code, message.clone()))
        }
    }
}

/// An error by its code.
pub(crate) fn classified(code: RDKafkaErrorCode, message: String) -> Error {
    if is_fencing(code) {
        return Error::Fenced(message);
    }
    match remedy(code) {
        Some(remedy) => Error::invalid(message, remedy),
        None => Error::Unavailable(message),
    }
}

pub(crate) fn code_of(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::Transaction(error) => Some(error.code()),
        other => other.rdkafka_error_code(),
    }
}

/// Whether a newer producer has the transactional id. A broker that aborts a transaction by its timeout returns these too. No other
/// error says so, even if it is fatal to the client.
fn is_fencing(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch)
}

/// Whether the broker does not know a topic or a partition: never, not yet, or for the moment.
pub(crate) fn is_unknown_topic(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownPartition
    )
}

const CERTIFICATES: &str = "check `tls.ca`, `tls.certificate` and `tls.key` (librdkafka's properties `ssl.…`)";

/// What a person can do about an error that no retry fixes.
pub(crate) fn remedy(code: RDKafkaErrorCode) -> Option<&'static str> {
    match code {
        RDKafkaErrorCode::TopicAuthorizationFailed => Some(
            "grant this user DESCRIBE on the topic and READ to read it or WRITE to write it; \
             and CREATE and DESCRIBE_CONFIGS on topics that begin with `davy.`",
        ),
        RDKafkaErrorCode::GroupAuthorizationFailed => {
            Some("grant this user READ and DESCRIBE on groups that begin with `davy.`")
        }
        RDKafkaErrorCode::TransactionalIdAuthorizationFailed => {
            Some("grant this user WRITE and DESCRIBE on transactional ids that begin with `davy.`")
        }
        RDKafkaErrorCode::ClusterAuthorizationFailed => {
            Some("grant this user IDEMPOTENT_WRITE on the cluster, or CREATE on topics that begin with `davy.`")
        }
        RDKafkaErrorCode::SaslAuthenticationFailed | RDKafkaErrorCode::Authentication => {
            Some("check `sasl.mechanism` and its secrets: `sasl.username` and `sasl.password`, or `sasl.token`")
        }
        RDKafkaErrorCode::SSL => Some(CERTIFICATES),
        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => {
            Some("create the topic first, or check its name")
        }
        RDKafkaErrorCode::MessageSizeTooLarge => Some(
            "raise the topic's `max.message.bytes`, or lower `rows_per_message`; for a catalog, shorten the script",
        ),
        RDKafkaErrorCode::InvalidTimestamp => Some(
            "raise the topic's `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms`, or leave out the table's option \
             `timestamp`",
        ),
        RDKafkaErrorCode::InvalidTransactionTimeout => {
            Some("lower the client's `transaction.timeout.ms`, or raise the broker's `transaction.max.timeout.ms`")
        }
        _ => None,
    }
}
