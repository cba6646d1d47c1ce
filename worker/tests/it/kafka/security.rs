//! Secure listeners: every kind of authentication, and the errors when it fails.

use std::time::Instant;

use davy_engine::Error;

use super::broker::{secure, servers};
use super::pipeline::{at_once, error, notices, start, table, table_on};
use super::topics::{on, texts, unique};

const WRONG: &str = "hunter2-is-wrong";

/// An unsigned token, which the broker of these tests believes.
fn token(expires: u64) -> String {
    let part = |json: &str| base64(json.as_bytes());
    let claims = format!(r#"{{"sub":"davy","iat":{},"exp":{expires}}}"#, expires - 3_600);
    format!("{}.{}.", part(r#"{"alg":"none"}"#), part(&claims))
}

/// As in URLs, without padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for piece in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(piece.get(at).copied().unwrap_or_default()));
        for at in 0..=piece.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}

fn in_an_hour() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    now.as_secs() + 3_600
}

/// Where a client connects, and what it says there.
fn logins(folder: &std::path::Path) -> Vec<(&'static str, &'static str, String)> {
    let secret = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, format!("{text}\n")).expect("a secret");
        format!("${{file:{}}}", path.display())
    };
    let (user, password) = (secure("DAVY_KAFKA_USER"), secret("password", secure("DAVY_KAFKA_PASSWORD")));
    let ca = format!("'tls.ca' = '{}'", secure("DAVY_KAFKA_CA"));
    let sasl = |mechanism: &str| {
        format!("{ca}, 'sasl.mechanism' = '{mechanism}', 'sasl.username' = '{user}', 'sasl.password' = '{password}'")
    };
    let bearer = secret("token", &token(in_an_hour()));
    let (certificate, key) = (secure("DAVY_KAFKA_CLIENT_CERTIFICATE"), secure("DAVY_KAFKA_CLIENT_KEY"));
    vec![
        ("PLAIN", "DAVY_KAFKA_SASL_SSL", sasl("PLAIN")),
        ("SCRAM-SHA-256", "DAVY_KAFKA_SASL_SSL", sasl("SCRAM-SHA-256")),
        ("SCRAM-SHA-512", "DAVY_KAFKA_SASL_SSL", sasl("SCRAM-SHA-512")),
        (
            "OAUTHBEARER",
            "DAVY_KAFKA_SASL_SSL",
            format!("{ca}, 'sasl.mechanism' = 'OAUTHBEARER', 'sasl.token' = '{bearer}'"),
        ),
        ("mTLS", "DAVY_KAFKA_MTLS", format!("{ca}, 'tls.certificate' = '{certificate}', 'tls.key' = '{key}'")),
    ]
}

#[test]
fn every_login_reads_aggregates_and_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let logins = logins(folder.path());
    at_once(&logins, |(name, listener, login)| {
        let (from, to) = (on(secure("DAVY_KAFKA"), "from", 2), on(secure("DAVY_KAFKA"), "to", 1));
        from.put(&[(0, "1,1"), (1, "2,1"), (0, "99,5"), (1, "99,5")]);
        let address = secure(listener);
        let options = format!("format = 'csv', {login}");
        let columns = "ts TIMESTAMP, n BIGINT, WATERMARK FOR ts AS ts";
        let script = "SET exchange_partitions = 2;\n".to_owned()
            + &table_on(address, "a", columns, &from.name, &options)
            + &table_on(address, "b", "n BIGINT", &to.name, &options)
            + "INSERT INTO b SELECT sum(n) AS n FROM a GROUP BY tumble(INTERVAL '10 seconds');";
        let mut run = start(&unique("login"), &script);
        run.until("a result", || !to.all().is_empty());
        run.stop();
        assert_eq!(texts(&to.all()), ["2"], "{name}");
    });
    for secret in [secure("DAVY_KAFKA_PASSWORD"), &token(in_an_hour())[20..]] {
        assert_eq!(notices(secret), [""; 0], "a secret in the log");
    }
}

#[test]
fn rejected_credentials_are_an_error_within_seconds_and_without_the_secret() {
    let ca = format!("'tls.ca' = '{}'", secure("DAVY_KAFKA_CA"));
    let sasl = |mechanism: &str| {
        format!("{ca}, 'sasl.mechanism' = '{mechanism}', 'sasl.username' = 'davy', 'sasl.password' = '{WRONG}'")
    };
    let (sasl_ssl, mtls) = (secure("DAVY_KAFKA_SASL_SSL"), secure("DAVY_KAFKA_MTLS"));
    let password = "check `sasl.mechanism` and its secrets";
    let certificates = "check `tls.ca`, `tls.certificate` and `tls.key`";
    let expired = format!("{ca}, 'sasl.mechanism' = 'OAUTHBEARER', 'sasl.token' = '{}'", token(4_000));
    let cases = [
        (sasl_ssl, sasl("PLAIN"), password),
        (sasl_ssl, sasl("SCRAM-SHA-256"), password),
        (sasl_ssl, sasl("SCRAM-SHA-512"), password),
        (sasl_ssl, expired, password),
        (sasl_ssl, sasl("PLAIN").replace(&ca, "tls = 'true'"), certificates),
        (mtls, ca.clone(), certificates),
        (sasl_ssl, format!("{ca}, 'tls.certificate' = '/not/there', 'tls.key' = '/not/there'"), certificates),
    ];
    at_once(&cases, |(address, login, hint)| {
        let to = on(servers(), "to", 1);
        let script = table_on(address, "a", "x TEXT", "flows", login)
            + &table("b", "x TEXT", &to.name, "delivery = 'at_least_once'")
            + "INSERT INTO b SELECT x FROM a;";
        let begun = Instant::now();
        let error = error(&unique("login"), &script);
        assert!(matches!(error, Error::Invalid(_)), "{login}: {error:?}");
        let said = format!("{error} {error:?}");
        assert!(said.contains(hint), "{login}: {said} after {:?}", begun.elapsed());
        assert!(!said.contains(WRONG), "{said}");
    });
    assert_eq!(notices(WRONG), [""; 0], "a secret in the log");
}
