//! Brokers that are too old, as the mock broker of librdkafka is.

use rdkafka::mocking::MockCluster;

use super::pipeline::{error_with, options, table_on};
use super::topics::unique;

#[test]
fn a_broker_that_does_not_check_transactions_is_refused() {
    let mock = MockCluster::new(1).expect("a mock broker");
    for name in ["in", "out"] {
        mock.create_topic(name, 1, 1).expect("a topic");
    }
    let servers = mock.bootstrap_servers();
    let script = |options: &str| {
        table_on(&servers, "a", "x TEXT", "in", options)
            + &table_on(&servers, "b", "x TEXT", "out", "")
            + "INSERT INTO b SELECT x FROM a;"
    };
    let refused = error_with(options(&unique("old")), &script("")).to_string();
    assert!(refused.contains("is older than Kafka 3.6"), "{refused}");
    assert!(refused.contains("'source.old_brokers' = 'allow'"), "{refused}");
}
