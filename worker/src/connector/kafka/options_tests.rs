//! Which options a Kafka table takes, and how it refuses others.

use super::*;

fn options(given: &[(&str, &str)]) -> Options {
    let mut options = Options::new("t");
    for (name, value) in given {
        options.set(*name, *value, None);
    }
    options
}

#[test]
fn options_of_the_connection_are_taken_by_name() {
    let request = TableRequest { connector: "kafka", name: "t", columns: &[], format: None };
    let given = [
        ("bootstrap_servers", "a:1"),
        ("tls", "true"),
        ("tls.ca", "/ca.pem"),
        ("tls.certificate", "/me.pem"),
        ("tls.key", "/me.key"),
        ("tls.key_password", "k"),
        ("tls.verify_hostname", "false"),
        ("sasl.mechanism", "scram-sha-512"),
        ("sasl.username", "u"),
        ("sasl.password", "p"),
        ("kafka.linger.ms", "7"),
    ];
    let check = |given: &[(&str, &str)]| {
        let mut options = options(given);
        let made = connection(&request, &mut options)?;
        options.finish()?;
        Ok::<_, davy_engine::Error>(made)
    };
    assert_eq!(check(&given).expect("accepted").bootstrap_servers(), "a:1");
    for (more, expected) in [
        (("kafka.acks", "1"), "table `t`: property `acks` of the Kafka client may not be set"),
        (("sasl.mechanism", "GSSAPI"), "option `sasl.mechanism` cannot be `GSSAPI`"),
        (("sasl.token", "t"), "table `t`: SCRAM-SHA-512 takes `sasl.username` and `sasl.password`"),
    ] {
        let error = check(&[&given[..], &[more]].concat()).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
    }
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

#[test]
fn ranges_may_leave_out_partitions_and_add_none() {
    let source = |given: &[(&str, &str)]| SourceOptions::take(&mut options(given), "flows");
    let both = source(&[("source.partitions", "0,4,7"), ("source.ranges", "flows/4@5-9")]).expect("accepted");
    assert_eq!(both.partitions.as_deref(), Some(&[4][..]));
    assert_eq!(both.index_among_read(0), None);
    let none = source(&[("source.ranges", "")]).expect("accepted");
    assert_eq!(none.partitions.as_deref(), Some(&[][..]));
    let error =
        source(&[("source.partitions", "0"), ("source.ranges", "flows/4@5-9")]).expect_err("refused").to_string();
    assert!(error.contains("names partition 4, which is not among `source.partitions`"), "{error}");
}
