//! A commit request that comes too late: before KIP-890, which librdkafka does not speak, the broker applies it to whatever transaction
//! its producer has open then. Davy takes a fresh producer after any trouble, so that nothing late can be its own.

use super::broker::servers;
use super::pipeline::{start, table_on};
use super::topics::{all, put, texts, topic, unique, value};
use davy_testkit::proxy::{Proxy, Request, RequestFault};

/// `INVALID_PRODUCER_EPOCH` and `PRODUCER_FENCED`.
const TOO_OLD: [i16; 2] = [47, 90];

#[test]
fn a_late_end_of_a_transaction_does_not_touch_the_next_one() {
    let proxy = Proxy::of_kafka(servers());
    let (from, to) = (topic("from", 1), topic("to", 1));
    let script = table_on(&proxy.address(), "a", "x TEXT", &from, "format = 'raw_string'")
        + &table_on(&proxy.address(), "b", "x TEXT", &to, "format = 'raw_string'")
        + "INSERT INTO b SELECT x FROM a;";
    let name = unique("late");
    let mut run = start(&name, &script);
    put(&from, &[value(0, "1")]);
    run.wait_for(&to, 1);

    // Held back and its connection broken, the request is made again by the client, and the commit succeeds.
    let late = RequestFault::Delay { request: Request::EndTxn, before: Request::TxnOffsetCommit };
    proxy.set_fault(Some(late));
    put(&from, &[value(0, "2")]);
    run.wait_for(&to, 2);
    // In the middle of the next transaction, rows written and positions sent, the first request arrives.
    put(&from, &[value(0, "3")]);
    run.until("the late request", || proxy.late_answer().is_some());
    let answer = proxy.late_answer().expect("just seen");
    assert!(TOO_OLD.contains(&answer), "the broker took the late request: {answer}");
    run.wait_for(&to, 3);
    run.stop();

    // What was committed is where the next run goes on.
    let mut again = start(&name, &script);
    put(&from, &[value(0, "4")]);
    again.wait_for(&to, 4);
    again.stop();
    assert_eq!(texts(&all(&to)), ["1", "2", "3", "4"]);
}
