//! Members of a group: one has the place, until it leaves.

use std::time::{Duration, Instant};

use davy_kafka::membership::{Membership, Place};
use davy_testkit::broker::unique;

use crate::{PATIENCE, connection, topic};

fn wait_for(member: &Membership, expected: Place) {
    let deadline = Instant::now() + PATIENCE;
    while member.wait(Duration::from_millis(100)) != expected {
        assert!(Instant::now() < deadline, "{:?}, not {expected:?}: {:?}", member.place(), member.obstacle());
    }
}

#[test]
fn a_member_keeps_its_place_when_another_joins_and_gives_it_up_when_it_leaves() {
    let (group, topic) = (unique("group"), topic("place", 1));
    let join = || Membership::join(&connection(), &group, &topic).expect("a member");
    let first = join();
    assert_eq!(first.place(), Place::Waits);
    wait_for(&first, Place::Holds);
    let second = join();
    // As long as a rebalance takes, and then some.
    let deadline = Instant::now() + Duration::from_secs(3);
    while Instant::now() < deadline {
        assert_eq!(second.wait(Duration::from_millis(50)), Place::Waits);
        assert_eq!(first.wait(Duration::from_millis(50)), Place::Holds);
    }
    drop(first);
    wait_for(&second, Place::Holds);
}
