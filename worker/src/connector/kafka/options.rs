//! The options of a Kafka table, checked, and librdkafka's configuration made from them.
//!
//! Secrets stay in [`Security`], which never prints them; librdkafka's own errors name the property only.

use std::collections::BTreeMap;
use std::fmt;

use davy_engine::connector::TableRequest;
use davy_engine::options::Options;
use davy_engine::{Error, Result};

/// What every client of a table needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) bootstrap_servers: String,
    pub(crate) security: Security,
    /// Further librdkafka properties, from [`ALLOWED`].
    pub(crate) properties: BTreeMap<String, String>,
}

#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Security {
    /// Properties of librdkafka, secrets among them.
    pub(crate) properties: BTreeMap<&'static str, String>,
    pub(crate) token: Option<String>,
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.properties.keys().copied().collect();
        write!(f, "Security({}; values are not shown)", names.join(", "))
    }
}

/// Where reading begins in a pipeline that starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Earliest,
    Latest,
    /// From the first message made at or after this, in milliseconds since 1970.
    Timestamp(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceOptions {
    pub(crate) start: Start,
    /// Whether messages that are gone may be done without.
    pub(crate) accepts_loss: bool,
    /// Whether messages of open and aborted transactions are read too.
    pub(crate) reads_uncommitted: bool,
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
    pub(crate) rows_per_message: usize,
    pub(crate) compression: Compression,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// librdkafka's properties that a script may set by `'kafka.<property>'`: those that tune. What makes exactly-once what it is,
/// where a client connects to and who it is, is not among them.
const ALLOWED: [&str; 34] = [
    "batch.num.messages",
    "batch.size",
    "broker.address.family",
    "broker.address.ttl",
    "check.crcs",
    "client.id",
    "client.rack",
    "compression.level",
    "connections.max.idle.ms",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "linger.ms",
    "max.partition.fetch.bytes",
    "message.max.bytes",
    "message.timeout.ms",
    "metadata.max.age.ms",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "socket.keepalive.enable",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.timeout.ms",
    "transaction.timeout.ms",
];

impl Cluster {
    /// Takes what every table has.
    pub(crate) fn take(request: &TableRequest<'_>, options: &mut Options) -> Result<Self> {
        let bootstrap_servers = options.require("bootstrap_servers")?;
        if bootstrap_servers.split(',').any(|server| server.trim().is_empty()) {
            return Err(options.bad_value("bootstrap_servers", &bootstrap_servers, "'host:port', several with commas"));
        }
        let security = Security::take(request, options)?;
        let mut properties = BTreeMap::new();
        for (name, value) in options.take_prefixed("kafka.") {
            if !ALLOWED.contains(&name.as_str()) {
                return Err(Error::invalid(format!(
                    "table `{}`: property `kafka.{name}` may not be set",
                    request.name
                ))
                .hint(format!("those that may are {}", ALLOWED.join(", "))));
            }
            properties.insert(name, value);
        }
        Ok(Self { bootstrap_servers, security, properties })
    }
}

impl Security {
    fn take(request: &TableRequest<'_>, options: &mut Options) -> Result<Self> {
        let mut properties = BTreeMap::new();
        let mut take = |option: &'static str, property: &'static str, options: &mut Options| {
            if let Some(value) = options.take(option) {
                properties.insert(property, value);
            }
        };
        take("tls.ca", "ssl.ca.location", options);
        take("tls.certificate", "ssl.certificate.location", options);
        take("tls.key", "ssl.key.location", options);
        take("tls.key_password", "ssl.key.password", options);
        take("sasl.username", "sasl.username", options);
        take("sasl.password", "sasl.password", options);
        let token = options.take("sasl.token");
        let needs_tls = properties.keys().any(|property| property.starts_with("ssl."));
        let tls = options.parse_bool("tls")?;
        if tls == Some(false) && needs_tls {
            return Err(Error::invalid(format!("table `{}`: tls = 'false' with options of TLS", request.name))
                .hint("leave out either"));
        }
        let has_tls = tls.unwrap_or(needs_tls);
        if options.parse_bool("tls.verify_hostname")? == Some(false) {
            properties.insert("ssl.endpoint.identification.algorithm", "none".to_owned());
        }
        let mechanisms =
            ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"].map(|mechanism| (mechanism, mechanism));
        let mechanism = options.parse_choice("sasl.mechanism", &mechanisms)?;
        check_mechanism(request, mechanism, &properties, token.is_some())?;
        if let Some(mechanism) = mechanism {
            properties.insert("sasl.mechanism", mechanism.to_owned());
        }
        let protocol = match (has_tls, mechanism.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        };
        properties.insert("security.protocol", protocol.to_owned());
        Ok(Self { properties, token })
    }
}

/// Each mechanism needs its own secrets, and nothing but those.
fn check_mechanism(
    request: &TableRequest<'_>,
    mechanism: Option<&str>,
    properties: &BTreeMap<&str, String>,
    has_token: bool,
) -> Result<()> {
    let name = request.name;
    let (has_user, has_password) = (properties.contains_key("sasl.username"), properties.contains_key("sasl.password"));
    match mechanism {
        None if has_user || has_password || has_token => {
            Err(Error::invalid(format!("table `{name}`: `sasl.mechanism` is missing"))
                .hint("add 'sasl.mechanism' = 'SCRAM-SHA-512', 'SCRAM-SHA-256', 'PLAIN' or 'OAUTHBEARER'"))
        }
        None => Ok(()),
        Some("OAUTHBEARER") if has_token && !has_user && !has_password => Ok(()),
        Some("OAUTHBEARER") => {
            Err(Error::invalid(format!("table `{name}`: OAUTHBEARER takes `sasl.token`, nothing else"))
                .hint("add 'sasl.token' = '${file:/path/to/token}'"))
        }
        Some(_) if has_user && has_password && !has_token => Ok(()),
        Some(mechanism) => {
            Err(Error::invalid(format!("table `{name}`: {mechanism} takes `sasl.username` and `sasl.password`"))
                .hint("add 'sasl.password' = '${env:KAFKA_PASSWORD}'"))
        }
    }
}

impl SourceOptions {
    pub(crate) fn take(options: &mut Options) -> Result<Self> {
        let start = match options.take("source.offset") {
            None => Start::Earliest,
            Some(text) => start(&text).ok_or_else(|| {
                options.bad_value("source.offset", &text, "'earliest', 'latest' or 'timestamp:2026-01-31T12:00:00Z'")
            })?,
        };
        let on_loss = options.parse_choice("source.on_loss", &[("fail", false), ("continue", true)])?;
        let read_mode =
            options.parse_choice("source.read_mode", &[("read_committed", false), ("read_uncommitted", true)])?;
        Ok(Self { start, accepts_loss: on_loss.unwrap_or(false), reads_uncommitted: read_mode.unwrap_or(false) })
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
    let ns = arrow::compute::kernels::cast_utils::string_to_timestamp_nanos(time).ok()?;
    Some(Start::Timestamp(ns.div_euclid(1_000_000)))
}

impl SinkOptions {
    pub(crate) fn take(options: &mut Options) -> Result<Self> {
        let deliveries = [("exactly_once", Delivery::ExactlyOnce), ("at_least_once", Delivery::AtLeastOnce)];
        let compressions = [
            ("none", Compression::None),
            ("gzip", Compression::Gzip),
            ("snappy", Compression::Snappy),
            ("lz4", Compression::Lz4),
            ("zstd", Compression::Zstd),
        ];
        let rows_per_message = options.parse::<usize>("rows_per_message", "a number of rows")?;
        if rows_per_message == Some(0) {
            return Err(options.bad_value("rows_per_message", "0", "at least 1"));
        }
        Ok(Self {
            delivery: options.parse_choice("delivery", &deliveries)?,
            key: options.take("key"),
            headers: options.take_prefixed("header."),
            rows_per_message: rows_per_message.unwrap_or(1),
            compression: options.parse_choice("compression", &compressions)?.unwrap_or(Compression::Lz4),
        })
    }
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
