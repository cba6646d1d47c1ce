//! What a broker can do, by the versions of requests that it offers.
//!
//! The library requests them from a broker when it connects, and only writes them to its log; so they are read from there.

use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::KafkaConnection;
use crate::client;
use crate::error::Result;

/// The facility of librdkafka's log that reports the versions.
pub(crate) const FACILITY: &str = "APIVERSION";
/// The request by which partitions join a transaction.
const JOIN_TRANSACTION: &str = "AddPartitionsToTxn";
/// Since this version, a broker checks with the transaction's coordinator whether a record belongs to an open transaction (KIP-890).
const CHECKED: i16 = 4;

/// The most lines that are read.
const N_LINES: usize = 4_096;

/// Whether the broker refuses a record of a transaction that has ended. One that does not may add a record that was delayed in the network
/// to the next transaction of the same producer, or leave a transaction open for ever. Kafka does so since 3.6.
pub fn checks_transactions(connection: &KafkaConnection) -> Result<bool> {
    let mut config = connection.config();
    config.set("debug", "feature").set_log_level(RDKafkaLogLevel::Debug);
    let consumer = client::consumer(connection, &config)?;
    client::call(&consumer, connection, "read the broker's version", |wait: Duration| {
        let unanswered = KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
        consumer.client().fetch_cluster_id(wait).ok_or(unanswered)
    })?;
    // The log comes with the client's events, a line for each request that a broker knows.
    let reported = (0..N_LINES).find_map(|_| {
        drop(consumer.poll(Duration::ZERO));
        consumer.client().context().checks_transactions()
    });
    Ok(reported.unwrap_or(false))
}

/// Whether the broker checks transactions, by a line of the log; `None` where it is about something else.
pub(crate) fn parse_checks(line: &str) -> Option<bool> {
    let (_, rest) = line.split_once(JOIN_TRANSACTION)?;
    let (_, latest) = rest.rsplit_once("..")?;
    Some(CHECKED <= latest.trim().parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::parse_checks;

    #[test]
    fn the_versions_are_read_from_the_log() {
        let line = |latest: &str| {
            format!("[thrd:127.0.0.1:9092/bootstrap]: ApiKey AddPartitionsToTxn (24) Versions 0..{latest}")
        };
        let cases = [
            (line("5"), Some(true)),
            (line("4"), Some(true)),
            (line("3"), Some(false)),
            (line("x"), None),
            ("ApiKey AddOffsetsToTxn (25) Versions 0..4".to_owned(), None),
            ("Broker API support:".to_owned(), None),
        ];
        for (line, expected) in cases {
            assert_eq!(parse_checks(&line), expected, "{line}");
        }
    }
}
