//! How clients reach a Kafka cluster: addresses, TLS, SASL, and properties of librdkafka that a user may set.
//!
//! Secrets stay inside a [`KafkaConnection`], which never prints them; librdkafka's own errors name a property only.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::config::ClientConfig;

use crate::error::{Error, Result, failed};

/// How long a connection may be without a response that is due.
pub(crate) const SOCKET_TIMEOUT: Duration = Duration::from_secs(10);

/// The properties of librdkafka that a user may set. They tune; what transactions and positions rely on is not among them.
const TUNING: [&str; 34] = [
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

/// What the properties of TLS and SASL begin with. They may be set where there are no [`TlsOptions`] and [`SaslOptions`].
const SECURITY: [&str; 5] = ["security.protocol", "ssl.", "sasl.", "enable.ssl.", "https.ca."];

/// How clients reach one cluster. Two are equal if they are the same to a client.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaConnection {
    bootstrap_servers: String,
    properties: BTreeMap<String, String>,
    /// The token of OAUTHBEARER.
    pub(crate) token: Option<String>,
}

impl fmt::Debug for KafkaConnection {
    /// Values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.properties.keys().map(String::as_str).collect();
        write!(f, "KafkaConnection({}; values of {} are not shown)", self.bootstrap_servers, names.join(", "))
    }
}

/// How a cluster is reached, as a user says it; [`ConnectionOptions::check`] makes a connection of it.
#[derive(Clone, Default)]
pub struct ConnectionOptions {
    /// `host:port`, several with commas.
    pub bootstrap_servers: String,
    pub tls: TlsOptions,
    pub sasl: SaslOptions,
    /// Further properties of librdkafka.
    pub properties: Vec<(String, String)>,
}

/// Files are paths of PEM.
#[derive(Clone, Default)]
pub struct TlsOptions {
    /// `None`: where any other option of TLS is set.
    pub is_enabled: Option<bool>,
    pub ca: Option<String>,
    pub certificate: Option<String>,
    pub key: Option<String>,
    pub key_password: Option<String>,
    pub accepts_any_host_name: bool,
}

#[derive(Clone, Default)]
pub struct SaslOptions {
    pub mechanism: Option<SaslMechanism>,
    pub username: Option<String>,
    pub password: Option<String>,
    pub token: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    Plain,
    ScramSha256,
    ScramSha512,
    OauthBearer,
}

impl SaslMechanism {
    pub const ALL: [Self; 4] = [Self::Plain, Self::ScramSha256, Self::ScramSha512, Self::OauthBearer];

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }
}

impl ConnectionOptions {
    /// Refuses what no broker could be reached with; sends no request.
    pub fn check(self) -> Result<KafkaConnection> {
        self.sasl.check()?;
        let protocol = match (self.tls.is_enabled()?, self.sasl.mechanism.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        };
        let mut connection = KafkaConnection::plain(&self.bootstrap_servers)?;
        for (name, value) in self.properties {
            let may_be_set = TUNING.contains(&name.as_str());
            connection.set(name, value, may_be_set)?;
        }
        let any_host_name = self.tls.accepts_any_host_name.then(|| "none".to_owned());
        let security = [
            ("security.protocol", Some(protocol.to_owned())),
            ("ssl.ca.location", self.tls.ca),
            ("ssl.certificate.location", self.tls.certificate),
            ("ssl.key.location", self.tls.key),
            ("ssl.key.password", self.tls.key_password),
            ("ssl.endpoint.identification.algorithm", any_host_name),
            ("sasl.mechanism", self.sasl.mechanism.map(|mechanism| mechanism.name().to_owned())),
            ("sasl.username", self.sasl.username),
            ("sasl.password", self.sasl.password),
        ];
        for (name, value) in security {
            connection.properties.extend(value.map(|value| (name.to_owned(), value)));
        }
        connection.token = self.sasl.token;
        Ok(connection)
    }
}

impl TlsOptions {
    fn is_enabled(&self) -> Result<bool> {
        let is_needed = [&self.ca, &self.certificate, &self.key, &self.key_password].iter().any(|file| file.is_some());
        match self.is_enabled {
            Some(false) if is_needed => Err(Error::invalid("tls = 'false' with options of TLS", "leave out either")),
            is_enabled => Ok(is_enabled.unwrap_or(is_needed)),
        }
    }
}

impl SaslOptions {
    /// Each mechanism needs its own secrets, and nothing but those.
    fn check(&self) -> Result<()> {
        let (has_user, has_password, has_token) =
            (self.username.is_some(), self.password.is_some(), self.token.is_some());
        match self.mechanism {
            None if has_user || has_password || has_token => Err(Error::invalid(
                "`sasl.mechanism` is missing",
                "add 'sasl.mechanism' = 'SCRAM-SHA-512', 'SCRAM-SHA-256', 'PLAIN' or 'OAUTHBEARER'",
            )),
            None => Ok(()),
            Some(SaslMechanism::OauthBearer) if has_token && !has_user && !has_password => Ok(()),
            Some(SaslMechanism::OauthBearer) => Err(Error::invalid(
                "OAUTHBEARER takes `sasl.token`, nothing else",
                "add 'sasl.token' = '${file:/path/to/token}'",
            )),
            Some(_) if has_user && has_password && !has_token => Ok(()),
            Some(mechanism) => Err(Error::invalid(
                format!("{} takes `sasl.username` and `sasl.password`", mechanism.name()),
                "add 'sasl.password' = '${env:KAFKA_PASSWORD}'",
            )),
        }
    }
}

impl KafkaConnection {
    /// Without TLS and SASL.
    pub fn plain(bootstrap_servers: &str) -> Result<Self> {
        if bootstrap_servers.split(',').any(|server| server.trim().is_empty()) {
            return Err(Error::invalid(
                format!("`bootstrap_servers` cannot be `{bootstrap_servers}`"),
                "expected 'host:port', several with commas",
            ));
        }
        Ok(Self { bootstrap_servers: bootstrap_servers.to_owned(), properties: BTreeMap::new(), token: None })
    }

    /// With librdkafka's properties, those of TLS and SASL too; librdkafka checks their values here.
    pub fn from_properties<'a>(
        bootstrap_servers: &str,
        properties: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self> {
        let mut connection = Self::plain(bootstrap_servers)?;
        for (name, value) in properties {
            let is_security = SECURITY.iter().any(|prefix| name.starts_with(prefix));
            connection.set(name.to_owned(), value.to_owned(), is_security || TUNING.contains(&name))?;
        }
        let checked = connection.config().create_native_config();
        checked.map_err(|error| failed("use the client's properties", &connection, &error))?;
        Ok(connection)
    }

    fn set(&mut self, name: String, value: String, may_be_set: bool) -> Result<()> {
        if !may_be_set {
            return Err(Error::invalid(
                format!("property `{name}` of the Kafka client may not be set"),
                format!("those that may are {}", TUNING.join(", ")),
            ));
        }
        self.properties.insert(name, value);
        Ok(())
    }

    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// What the user has set a property to.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// Sets what the user may override.
    pub(crate) fn set_defaults(&self, config: &mut ClientConfig, defaults: &[(&str, &str)]) {
        for (name, value) in defaults {
            if !self.properties.contains_key(*name) {
                config.set(*name, *value);
            }
        }
    }

    /// The configuration that all clients share.
    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap_servers);
        config.set("client.id", "davy");
        config.set("log.connection.close", "false");
        // Requests of transactions wait for the end of the one before; the default is 100 ms.
        config.set("retry.backoff.ms", "10");
        config.set("reconnect.backoff.ms", "50");
        config.set("reconnect.backoff.max.ms", "1000");
        config.set("socket.timeout.ms", SOCKET_TIMEOUT.as_millis().to_string());
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ConnectionOptions {
        ConnectionOptions { bootstrap_servers: "a:1".to_owned(), ..ConnectionOptions::default() }
    }

    fn sasl(mechanism: SaslMechanism) -> SaslOptions {
        let secret = |is_there: bool, text: &str| is_there.then(|| text.to_owned());
        let is_token = mechanism == SaslMechanism::OauthBearer;
        SaslOptions {
            mechanism: Some(mechanism),
            username: secret(!is_token, "the user"),
            password: secret(!is_token, "hunter2"),
            token: secret(is_token, "hunter2"),
        }
    }

    fn tls(is_enabled: Option<bool>, ca: Option<&str>) -> TlsOptions {
        TlsOptions { is_enabled, ca: ca.map(str::to_owned), ..TlsOptions::default() }
    }

    #[test]
    fn tls_and_sasl_become_a_protocol() {
        let cases = [
            (tls(None, None), SaslOptions::default(), "plaintext"),
            (tls(Some(true), None), SaslOptions::default(), "ssl"),
            (tls(None, Some("/ca.pem")), SaslOptions::default(), "ssl"),
            (tls(None, None), sasl(SaslMechanism::Plain), "sasl_plaintext"),
            (tls(Some(true), None), sasl(SaslMechanism::ScramSha512), "sasl_ssl"),
            (tls(Some(true), None), sasl(SaslMechanism::OauthBearer), "sasl_ssl"),
        ];
        for (tls, sasl, expected) in cases {
            let connection = ConnectionOptions { tls, sasl, ..options() }.check().expect("accepted");
            assert_eq!(connection.properties["security.protocol"], expected);
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_remedy() {
        use SaslMechanism::{OauthBearer, Plain};
        let of_sasl = |sasl| ConnectionOptions { sasl, ..options() };
        let of_property =
            |name: &str| ConnectionOptions { properties: vec![(name.to_owned(), "false".to_owned())], ..options() };
        let cases = [
            (ConnectionOptions { bootstrap_servers: "a:1,,".to_owned(), ..options() }, "`bootstrap_servers` cannot be"),
            (of_sasl(SaslOptions { mechanism: None, ..sasl(Plain) }), "`sasl.mechanism` is missing"),
            (of_sasl(SaslOptions { password: None, ..sasl(Plain) }), "PLAIN takes `sasl.username` and `sasl.password`"),
            (of_sasl(SaslOptions { mechanism: Some(OauthBearer), ..sasl(Plain) }), "OAUTHBEARER takes `sasl.token`"),
            (ConnectionOptions { tls: tls(Some(false), Some("/ca.pem")), ..options() }, "tls = 'false' with options"),
            (of_property("enable.idempotence"), "property `enable.idempotence` of the Kafka client may not be set"),
            (of_property("ssl.ca.location"), "property `ssl.ca.location` of the Kafka client may not be set"),
        ];
        for (options, expected) in cases {
            let error = options.check().expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn properties_of_security_are_set_where_there_are_no_options_for_them() {
        let made = |name: &'static str, value: &'static str| KafkaConnection::from_properties("a:1", [(name, value)]);
        assert!(made("security.protocol", "SSL").is_ok());
        assert!(made("linger.ms", "7").is_ok());
        for (name, expected) in [
            ("group.id", "property `group.id` of the Kafka client may not be set"),
            ("sasl.sausage", "property `sasl.sausage` of the Kafka client is refused"),
            ("linger.ms", "is refused: Invalid value"),
        ] {
            let error = made(name, "hunter2").expect_err(expected).to_string();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        for mechanism in [SaslMechanism::Plain, SaslMechanism::OauthBearer] {
            let connection = ConnectionOptions { sasl: sasl(mechanism), ..options() }.check().expect("accepted");
            let shown = format!("{connection:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("the user"), "{shown}");
        }
    }
}
