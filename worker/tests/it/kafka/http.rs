//! Rows of topics for a receiver that is away at first, and refuses some.

use super::pipeline::{start, table};
use super::topics::{put, topic, unique, value};
use crate::http::{Receiver, Reply};

#[test]
fn rows_of_a_topic_arrive_and_a_refused_one_is_in_the_dead_letter_topic() {
    let (from, dead, name) = (topic("from", 1), topic("dead", 1), unique("http"));
    let receiver = Receiver::new(&[Reply::Status(503), Reply::Status(401)], Some("bad"));
    let script = table("a", "x TEXT", &from, "format = 'raw_string'")
        + &table("d", "reason TEXT, value TEXT", &dead, "")
        + &format!(
            "CREATE TABLE b (x TEXT) WITH (connector = 'http', url = '{}', format = 'raw_string', retry_for = '0s',
             on_error = 'dead_letter', dead_letter_table = 'd');
             INSERT INTO b SELECT x FROM a;",
            receiver.url()
        );
    put(&from, &[value(0, "1"), value(0, "bad"), value(0, "2")]);
    let mut run = start(&name, &script);
    let dead_letters = run.wait_for(&dead, 1);
    run.stop();
    assert_eq!(dead_letters[0].text(), "{\"reason\":\"refused\",\"value\":\"{\\\"x\\\":\\\"bad\\\"}\"}");
    let mut delivered = receiver.delivered();
    delivered.sort();
    delivered.dedup();
    assert_eq!(delivered, ["1", "2"], "each at least once");

    // The next run continues behind what is committed.
    let n_delivered = receiver.delivered().len();
    put(&from, &[value(0, "3")]);
    let mut run = start(&name, &script);
    run.until("the new row", || receiver.delivered().contains(&"3".to_owned()));
    run.stop();
    assert_eq!(receiver.delivered()[n_delivered..], ["3"]);
}
