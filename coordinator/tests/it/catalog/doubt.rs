//! Ends of transactions that are late or lost: a leader that does not know whether a write was committed stops leading.

use davy_coordinator::catalog::{Catalog, CatalogError};
use davy_proto::domain::Epoch;

use super::broker::{servers, unique};
use super::kafka::catalog;
use super::{ceiling, leads, write};
use davy_testkit::proxy::{Proxy, Request, RequestFault};

/// `INVALID_PRODUCER_EPOCH` and `PRODUCER_FENCED`.
const TOO_OLD: [i16; 2] = [47, 90];

#[test]
fn a_late_commit_does_not_touch_the_next_transaction() {
    let (proxy, cluster) = (Proxy::of_kafka(servers()), unique("late"));
    let mut first = catalog(&proxy.address(), &cluster);
    let began = leads(&mut first);
    proxy.set_fault(Some(RequestFault::Delay { request: Request::EndTxn, before: Request::Produce }));
    // The client makes the request again, and the commit succeeds.
    write(&mut first, &[ceiling(1)]);
    assert_eq!(proxy.late_answer(), None);
    // The first request arrives in the middle of the next transaction.
    write(&mut first, &[ceiling(2)]);
    let answer = proxy.late_answer().expect("it was delivered");
    assert!(TOO_OLD.contains(&answer), "the broker took the late request: {answer}");
    assert_eq!(first.still_leads(), Ok(()), "a fresh producer is no new leader");
    write(&mut first, &[ceiling(3)]);
    drop(first);
    let found = leads(&mut catalog(servers(), &cluster));
    assert_eq!((found.ceiling, found.term.0), (Epoch(3), began.term.0 + 1));
}

#[test]
fn a_commit_that_is_never_made_ends_the_lead_and_leaves_nothing() {
    check_doubt(RequestFault::Lose(Request::EndTxn), Epoch(1));
}

#[test]
fn a_commit_whose_answer_is_lost_ends_the_lead_and_is_read() {
    check_doubt(RequestFault::LoseAnswer(Request::EndTxn), Epoch(2));
}

fn check_doubt(fault: RequestFault, expected: Epoch) {
    let (proxy, cluster) = (Proxy::of_kafka(servers()), unique("doubt"));
    let mut first = catalog(&proxy.address(), &cluster);
    leads(&mut first);
    write(&mut first, &[ceiling(1)]);
    proxy.set_fault(Some(fault));
    let error = first.write(&[ceiling(2)]).expect_err("no answer");
    assert!(matches!(&error, CatalogError::Fenced(why) if why.contains("it is not known whether")), "{error}");
    assert!(matches!(first.write(&[ceiling(2)]), Err(CatalogError::Fenced(_))), "it does not lead any more");
    proxy.set_fault(None);
    assert_eq!(leads(&mut first).ceiling, expected);
    write(&mut first, &[ceiling(3)]);
}
