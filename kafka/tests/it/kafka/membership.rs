//! Members of a group: one has the partition, until it leaves.

use std::time::{Duration, Instant};

use davy_kafka::membership::{Membership, PartitionState};
use davy_testkit::broker::unique;

use crate::{PATIENCE, connection, topic};

fn wait_for(member: &Membership, expected: PartitionState) {
    let deadline = Instant::now() + PATIENCE;
    while member.wait(Duration::from_millis(100)) != expected {
        assert!(Instant::now() < deadline, "{:?}, not {expected:?}: {:?}", member.partition_state(), member.obstacle());
    }
}

#[test]
fn a_member_keeps_its_partition_when_another_joins_and_until_it_leaves() {
    let (group, topic) = (unique("group"), topic("members", 1));
    let join = || Membership::join(&connection(), &group, &topic).expect("a member");
    let first = join();
    assert_eq!(first.partition_state(), PartitionState::Waits);
    wait_for(&first, PartitionState::Holds);
    let second = join();
    // As long as a rebalance takes, and then some.
    let deadline = Instant::now() + Duration::from_secs(3);
    while Instant::now() < deadline {
        assert_eq!(second.wait(Duration::from_millis(50)), PartitionState::Waits);
        assert_eq!(first.wait(Duration::from_millis(50)), PartitionState::Holds);
    }
    drop(first);
    wait_for(&second, PartitionState::Holds);
}
