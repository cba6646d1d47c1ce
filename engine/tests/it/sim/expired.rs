//! Positions that Kafka has deleted: a task that has lost some of them refuses to start, since it would read the splits again.

use std::sync::Arc;

use davy_engine::Error;
use davy_engine::log::SplitId;
use davy_engine::task::Task;

use super::case::Case;
use super::faults::{Broken, Plan};
use super::rig::Rig;
use crate::random::Rng;

/// Deletes a position of one task; not that of its last split, which could be one that has joined. Says whether there was one.
fn expire(rig: &Rig, slot: usize) -> bool {
    let (group, splits) = {
        let state = rig.state();
        let slot = &state.slots[slot];
        let broker = rig.network.broker();
        let own = broker.topic_partitions().into_iter().filter(|topic_partition| {
            slot.topics.contains(&topic_partition.topic) && topic_partition.partition % 2 == slot.index
        });
        let splits: Vec<SplitId> = own.map(|of| SplitId::from(of.to_string().as_str())).collect();
        let known: Vec<SplitId> =
            splits.into_iter().filter(|split| broker.committed(&slot.group, split).is_some()).collect();
        (Arc::clone(&slot.group), known)
    };
    let Some((_, gone)) = splits.split_last().filter(|(_, gone)| !gone.is_empty()) else { return false };
    rig.network.broker().expire(&group, &gone[0]);
    true
}

#[test]
fn a_task_whose_positions_have_expired_is_refused() {
    let mut n_refused = 0;
    for seed in 0..40 {
        let rig = Rig::after_a_run(&Case::of(seed), Plan::random(seed, Broken::Nothing)).expect("a run like any other");
        let slot = Rng::new(seed).below(rig.state().slots.len());
        if !expire(&rig, slot) {
            continue;
        }
        let (_, parts, now) = rig.parts(slot);
        match Task::recover(parts, now) {
            Err(Error::Invalid(refusal)) => {
                let refusal = refusal.to_string();
                assert!(refusal.contains("has no committed position, although others have"), "{refusal}");
                n_refused += 1;
            }
            other => panic!("seed {seed}: {:?}", other.map(|_| "it runs")),
        }
    }
    assert!(10 < n_refused, "only {n_refused} runs had positions to delete");
}
