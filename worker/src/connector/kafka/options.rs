//! The options of a Kafka table, checked.

use std::num::NonZeroU32;
use std::sync::Arc;

use davy_engine::connector::TableRequest;
use davy_engine::options::Options;
use davy_engine::{Error, Result};
use davy_kafka::connection::{ConnectionOptions, SaslMechanism, SaslOptions, TlsOptions};
use davy_kafka::producer::Compression;
use davy_kafka::{Isolation, KafkaConnection};

use super::of_kafka;
use super::ranges::Ranges;

/// Takes the options that every table has.
pub(super) fn connection(request: &TableRequest<'_>, options: &mut Options) -> Result<KafkaConnection> {
    let mechanisms = SaslMechanism::ALL.map(|mechanism| (mechanism.name(), mechanism));
    let given = ConnectionOptions {
        bootstrap_servers: options.require("bootstrap_servers")?,
        tls: TlsOptions {
            is_enabled: options.parse_bool("tls")?,
            ca: options.take("tls.ca"),
            certificate: options.take("tls.certificate"),
            key: options.take("tls.key"),
            key_password: options.take("tls.key_password"),
            accepts_any_host_name: options.parse_bool("tls.verify_hostname")? == Some(false),
        },
        sasl: SaslOptions {
            mechanism: options.parse_choice("sasl.mechanism", &mechanisms)?,
            username: options.take("sasl.username"),
            password: options.take("sasl.password"),
            token: options.take("sasl.token"),
        },
        properties: options.take_prefixed("kafka."),
    };
    given.check().map_err(|error| of_kafka(error).context(&format!("table `{}`", request.name)))
}

/// Where reading begins in a pipeline that starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Earliest,
    Latest,
    /// From the first message made at or after this, in milliseconds since 1970.
    Timestamp(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceOptions {
    pub(crate) start: Start,
    /// The partitions that are read, in this order; `None`: all.
    pub(crate) partitions: Option<Arc<[i32]>>,
    /// What is read of them before the run ends; `None`: everything, and the run goes on.
    pub(crate) ranges: Option<Ranges>,
    /// How many messages of a partition are read in a second, on average; `None`: as many as there are.
    pub(crate) messages_per_second: Option<NonZeroU32>,
    /// Whether messages that are gone may be done without.
    pub(crate) accepts_loss: bool,
    /// What of transactions is read.
    pub(crate) isolation: Isolation,
    /// Whether a broker may be used that does not check transactions.
    pub(crate) accepts_old_brokers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Rows, positions and state in one transaction: each row once, whatever happens, for readers of committed messages.
    ExactlyOnce,
    /// Written before the transaction, by an idempotent producer: none is lost, some may come again after a crash; readers see them
    /// at once.
    AtLeastOnce,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SinkOptions {
    /// As the script says; without a word, as good as the pipeline's source allows.
    pub(crate) delivery: Option<Delivery>,
    /// An SQL expression over the table's columns.
    pub(crate) key: Option<String>,
    /// Pairs of a header's name and an SQL expression.
    pub(crate) headers: Vec<(String, String)>,
    /// An SQL expression over the table's columns: when a message was made.
    pub(crate) timestamp: Option<String>,
    /// An SQL expression over the table's columns: the number of a message's partition.
    pub(crate) partition: Option<String>,
    pub(crate) rows_per_message: usize,
    pub(crate) compression: Compression,
}

impl SourceOptions {
    pub(crate) fn take(options: &mut Options, topic: &str) -> Result<Self> {
        let start = match options.take("source.offset") {
            None => Start::Earliest,
            Some(text) => start(&text).ok_or_else(|| {
                options.bad_value("source.offset", &text, "'earliest', 'latest' or 'timestamp:2026-01-31T12:00:00Z'")
            })?,
        };
        let on_loss = options.parse_choice("source.on_loss", &[("fail", false), ("continue", true)])?;
        let modes = [("read_committed", Isolation::ReadCommitted), ("read_uncommitted", Isolation::ReadUncommitted)];
        let isolation = options.parse_choice("source.read_mode", &modes)?.unwrap_or(Isolation::ReadCommitted);
        let old_brokers = options.parse_choice("source.old_brokers", &[("refuse", false), ("allow", true)])?;
        let messages_per_second = options.parse("source.messages_per_second", "a number of messages, at least 1")?;
        let ranges = Ranges::take(options, topic)?;
        let named = partitions(options)?;
        let ranged: Option<Arc<[i32]>> = ranges.as_ref().map(|ranges| ranges.partitions().into());
        if let (Some(ranged), Some(named)) = (&ranged, &named)
            && let Some(other) = ranged.iter().find(|number| !named.contains(number))
        {
            return Err(Error::invalid(format!(
                "`source.ranges` names partition {other}, which is not among `source.partitions`"
            )));
        }
        Ok(Self {
            start,
            partitions: ranged.or(named),
            ranges,
            messages_per_second,
            accepts_loss: on_loss.unwrap_or(false),
            isolation,
            accepts_old_brokers: old_brokers.unwrap_or(false),
        })
    }

    /// The index of a partition among those that are read; `None`: it is not one of them.
    pub(crate) fn index_among_read(&self, partition: i32) -> Option<usize> {
        match &self.partitions {
            None => usize::try_from(partition).ok(),
            Some(read) => read.iter().position(|number| *number == partition),
        }
    }
}

fn partitions(options: &mut Options) -> Result<Option<Arc<[i32]>>> {
    const NAME: &str = "source.partitions";
    let Some(text) = options.take(NAME) else { return Ok(None) };
    let number = |text: &str| text.trim().parse().ok().filter(|number: &i32| 0 <= *number);
    let numbers: Option<Arc<[i32]>> = text.split(',').map(number).collect();
    let is_twice = |numbers: &[i32]| (1..numbers.len()).any(|at| numbers[..at].contains(&numbers[at]));
    match numbers.filter(|numbers| !is_twice(numbers)) {
        Some(numbers) => Ok(Some(numbers)),
        None => Err(options.bad_value(NAME, &text, "numbers of partitions, each once, such as '3' or '0,4'")),
    }
}

fn start(text: &str) -> Option<Start> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("earliest") {
        return Some(Start::Earliest);
    }
    if text.eq_ignore_ascii_case("latest") {
        return Some(Start::Latest);
    }
    let (word, time) = text.split_once(':')?;
    if !word.eq_ignore_ascii_case("timestamp") {
        return None;
    }
    let time = time.trim();
    if let Ok(ms) = time.parse::<i64>() {
        return (0 <= ms).then_some(Start::Timestamp(ms));
    }
    let ns = davy_engine::time::parse_timestamp(time)?;
    Some(Start::Timestamp(ns.div_euclid(1_000_000)))
}

impl SinkOptions {
    pub(crate) fn take(options: &mut Options) -> Result<Self> {
        let deliveries = [("exactly_once", Delivery::ExactlyOnce), ("at_least_once", Delivery::AtLeastOnce)];
        let compressions = Compression::ALL.map(|compression| (compression.name(), compression));
        let rows_per_message = options.parse::<usize>("rows_per_message", "a number of rows")?;
        if rows_per_message == Some(0) {
            return Err(options.bad_value("rows_per_message", "0", "at least 1"));
        }
        Ok(Self {
            delivery: options.parse_choice("delivery", &deliveries)?,
            key: options.take("key"),
            headers: options.take_prefixed("header."),
            timestamp: options.take("timestamp"),
            partition: options.take("partition"),
            rows_per_message: rows_per_message.unwrap_or(1),
            compression: options.parse_choice("compression", &compressions)?.unwrap_or(Compression::Lz4),
        })
    }
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
