//! Secure listeners: every kind of authentication that a table's options may have. Its errors are tested in `kafka/tests/`.

use davy_testkit::token::unsigned as token;

use super::broker::secure;
use super::pipeline::{at_once, notices, start, table_on};
use super::topics::{on, texts, unique};

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
