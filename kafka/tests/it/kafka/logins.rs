//! Secure listeners: every login with every kind of client, and what is said when a login is rejected.

use std::io;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use davy_kafka::connection::{ConnectionOptions, SaslMechanism, SaslOptions, TlsOptions};
use davy_kafka::offsets::MetadataClient;
use davy_kafka::{Error, Isolation, KafkaConnection};
use davy_testkit::broker::{secure, unique};
use davy_testkit::token;

use super::producer::unfenced;
use crate::{PATIENCE, create, read_on, record};

const WRONG: &str = "hunter2-is-wrong";

/// Everything that has been logged.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct LogWriter;

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn listen() {
    static LISTENS: Once = Once::new();
    LISTENS.call_once(|| {
        let level = tracing_subscriber::filter::LevelFilter::TRACE;
        tracing_subscriber::fmt().with_max_level(level).with_writer(|| LogWriter).init();
    });
}

fn is_logged(text: &str) -> bool {
    String::from_utf8_lossy(&LOG.lock().unwrap_or_else(PoisonError::into_inner)).contains(text)
}

fn tls() -> TlsOptions {
    TlsOptions { ca: Some(secure("DAVY_KAFKA_CA").to_owned()), ..TlsOptions::default() }
}

fn own_certificate() -> TlsOptions {
    let file = |name| Some(secure(name).to_owned());
    TlsOptions { certificate: file("DAVY_KAFKA_CLIENT_CERTIFICATE"), key: file("DAVY_KAFKA_CLIENT_KEY"), ..tls() }
}

fn password(mechanism: SaslMechanism, password: &str) -> SaslOptions {
    let username = Some(secure("DAVY_KAFKA_USER").to_owned());
    SaslOptions { mechanism: Some(mechanism), username, password: Some(password.to_owned()), token: None }
}

/// A token that ends at this time, in seconds since 1970.
fn bearer(expires: u64) -> SaslOptions {
    let (mechanism, token) = (Some(SaslMechanism::OauthBearer), Some(token::unsigned(expires)));
    SaslOptions { mechanism, token, ..SaslOptions::default() }
}

fn in_an_hour() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    now.as_secs() + 3_600
}

fn made(listener: &str, tls: TlsOptions, sasl: SaslOptions) -> KafkaConnection {
    let options =
        ConnectionOptions { bootstrap_servers: secure(listener).to_owned(), tls, sasl, properties: Vec::new() };
    options.check().expect("options that go together")
}

/// As a coordinator has it: librdkafka's own properties.
fn of_properties(listener: &str, properties: &[(&str, &str)]) -> Result<KafkaConnection, Error> {
    KafkaConnection::from_properties(secure(listener), properties.iter().copied())
}

#[test]
fn every_login_creates_writes_and_reads() {
    listen();
    let secret = secure("DAVY_KAFKA_PASSWORD");
    let sasl = |sasl| made("DAVY_KAFKA_SASL_SSL", tls(), sasl);
    let properties = [
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", secure("DAVY_KAFKA_CA")),
        ("sasl.mechanism", "SCRAM-SHA-256"),
        ("sasl.username", secure("DAVY_KAFKA_USER")),
        ("sasl.password", secret),
    ];
    let logins = [
        sasl(password(SaslMechanism::Plain, secret)),
        sasl(password(SaslMechanism::ScramSha256, secret)),
        sasl(password(SaslMechanism::ScramSha512, secret)),
        sasl(bearer(in_an_hour())),
        made("DAVY_KAFKA_MTLS", own_certificate(), SaslOptions::default()),
        of_properties("DAVY_KAFKA_SASL_SSL", &properties).expect("properties that go together"),
    ];
    let patience = || PATIENCE;
    for login in logins {
        let topic = unique("login");
        create(&login, &topic, 1);
        let producer = unfenced(&login, &unique("id")).take_over(&patience).expect("taken over");
        producer.begin().expect("begun");
        producer.send(&record(&topic, "x")).expect("queued");
        producer.drain(&patience).expect("written");
        producer.commit(&patience).expect("committed");
        let found = read_on(&login, &topic, Isolation::ReadCommitted);
        assert_eq!(found.len(), 1, "{login:?}");
    }
    assert!(!is_logged(secret) && !is_logged(&token::unsigned(in_an_hour())[20..60]), "a secret in the log");
}

#[test]
fn rejected_credentials_are_an_error_within_seconds_and_without_the_secret() {
    listen();
    let secrets = "check `sasl.mechanism` and its secrets";
    let certificates = "check `tls.ca`, `tls.certificate` and `tls.key`";
    let sasl = |sasl| made("DAVY_KAFKA_SASL_SSL", tls(), sasl);
    let system_ca = TlsOptions { is_enabled: Some(true), ..TlsOptions::default() };
    let missing = || Some("/not/there".to_owned());
    let cases = [
        (sasl(password(SaslMechanism::Plain, WRONG)), secrets),
        (sasl(password(SaslMechanism::ScramSha256, WRONG)), secrets),
        (sasl(password(SaslMechanism::ScramSha512, WRONG)), secrets),
        (sasl(bearer(4_000)), secrets),
        (made("DAVY_KAFKA_SASL_SSL", system_ca, password(SaslMechanism::Plain, WRONG)), certificates),
        (made("DAVY_KAFKA_MTLS", tls(), SaslOptions::default()), certificates),
        (
            made(
                "DAVY_KAFKA_MTLS",
                TlsOptions { certificate: missing(), key: missing(), ..tls() },
                SaslOptions::default(),
            ),
            certificates,
        ),
        (
            of_properties(
                "DAVY_KAFKA_MTLS",
                &[("security.protocol", "SSL"), ("ssl.ca.location", secure("DAVY_KAFKA_CA"))],
            )
            .expect("properties that go together"),
            certificates,
        ),
    ];
    let rejected = |(connection, remedy): &(KafkaConnection, &str)| {
        let begun = std::time::Instant::now();
        let client = MetadataClient::connect(connection, Isolation::ReadCommitted);
        let error = client.and_then(|client| client.n_partitions("flows")).expect_err("rejected");
        assert!(matches!(error, Error::Invalid { .. }), "{connection:?}: {error:?}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(remedy), "{connection:?}: {shown}");
        assert!(!shown.contains(WRONG), "{shown}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{connection:?}: {:?}", begun.elapsed());
    };
    std::thread::scope(|scope| {
        for case in &cases {
            let named = std::thread::Builder::new().name("login".to_owned());
            named.spawn_scoped(scope, || rejected(case)).expect("a thread");
        }
    });
    assert!(!is_logged(WRONG), "a secret in the log");
}
