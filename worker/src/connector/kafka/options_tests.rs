//! What may be said of a Kafka table, and what is answered to what may not.

use super::*;

fn request() -> TableRequest<'static> {
    TableRequest { connector: "kafka", name: "t", columns: &[], format: None }
}

fn options(given: &[(&str, &str)]) -> Options {
    let mut options = Options::new("t");
    for (name, value) in given {
        options.set(*name, *value, None);
    }
    options
}

fn cluster(given: &[(&str, &str)]) -> Result<Cluster> {
    let mut options = options(given);
    if !options.has("bootstrap_servers") {
        options.set("bootstrap_servers", "a:1", None);
    }
    let cluster = Cluster::take(&request(), &mut options)?;
    options.finish()?;
    Ok(cluster)
}

#[test]
fn security_becomes_librdkafkas_properties() {
    type Case = (&'static [(&'static str, &'static str)], &'static str);
    let cases: [Case; 6] = [
        (&[], "plaintext"),
        (&[("tls", "true")], "ssl"),
        (&[("tls.ca", "/ca.pem")], "ssl"),
        (&[("sasl.mechanism", "plain"), ("sasl.username", "u"), ("sasl.password", "p")], "sasl_plaintext"),
        (
            &[("tls", "true"), ("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.username", "u"), ("sasl.password", "p")],
            "sasl_ssl",
        ),
        (&[("tls", "true"), ("sasl.mechanism", "OAUTHBEARER"), ("sasl.token", "t")], "sasl_ssl"),
    ];
    for (given, protocol) in cases {
        let cluster = cluster(given).expect("accepted");
        assert_eq!(cluster.security.properties["security.protocol"], protocol, "{given:?}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_a_way_out() {
    type Case = (&'static [(&'static str, &'static str)], &'static str);
    let cases: [Case; 8] = [
        (&[("bootstrap_servers", "a:1,,")], "`bootstrap_servers` cannot be"),
        (&[("sasl.username", "u")], "`sasl.mechanism` is missing"),
        (&[("sasl.mechanism", "PLAIN"), ("sasl.username", "u")], "PLAIN takes `sasl.username` and `sasl.password`"),
        (&[("sasl.mechanism", "GSSAPI")], "option `sasl.mechanism` cannot be `GSSAPI`"),
        (&[("sasl.mechanism", "OAUTHBEARER"), ("sasl.username", "u")], "OAUTHBEARER takes `sasl.token`"),
        (&[("tls", "false"), ("tls.ca", "/ca.pem")], "tls = 'false' with options of TLS"),
        (&[("kafka.enable.idempotence", "false")], "property `kafka.enable.idempotence` may not be set"),
        (&[("kafka.group.protocol", "consumer")], "property `kafka.group.protocol` may not be set"),
    ];
    for (given, expected) in cases {
        let error = cluster(given).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let given = [("sasl.mechanism", "PLAIN"), ("sasl.username", "the user"), ("sasl.password", "hunter2")];
    let shown = format!("{:?}", cluster(&given).expect("accepted"));
    assert!(!shown.contains("hunter2") && !shown.contains("the user"), "{shown}");
    let shown =
        format!("{:?}", cluster(&[("sasl.mechanism", "OAUTHBEARER"), ("sasl.token", "hunter2")]).expect("accepted"));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn reading_begins_where_it_is_said() {
    let cases = [
        ("earliest", Some(Start::Earliest)),
        ("LATEST", Some(Start::Latest)),
        ("timestamp:1700000000000", Some(Start::Timestamp(1_700_000_000_000))),
        ("timestamp: 1970-01-01T00:00:01Z", Some(Start::Timestamp(1_000))),
        ("timestamp:-5", None),
        ("timestamp:yesterday", None),
        ("first", None),
    ];
    for (text, expected) in cases {
        assert_eq!(start(text), expected, "{text}");
    }
}

#[test]
fn a_sinks_options_are_taken_by_name() {
    let mut given =
        options(&[("delivery", "at_least_once"), ("key", "sa"), ("header.host", "h"), ("rows_per_message", "100")]);
    let sink = SinkOptions::take(&mut given).expect("accepted");
    assert_eq!(sink.delivery, Some(Delivery::AtLeastOnce));
    assert_eq!(sink.headers, [("host".to_owned(), "h".to_owned())]);
    assert_eq!((sink.rows_per_message, sink.compression), (100, Compression::Lz4));
    let error = SinkOptions::take(&mut options(&[("rows_per_message", "0")])).expect_err("refused").to_string();
    assert!(error.contains("`rows_per_message` cannot be `0`"), "{error}");
}
