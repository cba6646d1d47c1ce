//! Owners and epochs: a task has one owner at a time, and a replaced owner changes nothing any more.

use davy_engine::Error;
use davy_engine::log::memory::{MemoryCommit, MemoryLog};
use davy_engine::log::{Commit, CommitRecord, ExchangeId, Position, SplitId, Transaction};
use std::collections::BTreeMap;

use super::held::partials;
use super::rig::{run, run_over};
use super::schedule::{Crashes, Schedule};
use super::scripts::{by_name, planned};
use super::stream::{Input, Shape};
use super::{Rng, for_seeds};
use crate::support::sorted_lines;

/// One row, one partial and a position, all distinguished by `number`.
fn transaction(number: u64) -> Transaction {
    let batch = partials(number).batch.unwrap();
    let record = CommitRecord {
        fingerprint: 7,
        positions: BTreeMap::from([(SplitId::from("s"), Position(number))]),
        ..CommitRecord::default()
    };
    Transaction {
        partials: vec![(ExchangeId("x".into()), 0, partials(number))],
        rows: vec![("out".into(), batch)],
        record,
        last: false,
    }
}

/// Everything that a reader can see of the log.
fn visible(log: &MemoryLog) -> (Vec<String>, Position, Option<CommitRecord>) {
    (sorted_lines(&log.rows("out")), log.end(&SplitId::from("x/0")), log.committed("t"))
}

fn is_fenced(owner: &mut MemoryCommit, number: u64) -> bool {
    matches!(owner.commit(transaction(number)), Err(Error::Fenced(_))) && owner.check_owner().is_err()
}

#[test]
fn only_the_newest_of_many_owners_commits() {
    for_seeds("fencing::only_the_newest_of_many_owners_commits", 200, |seed| {
        let mut rng = Rng::new(seed);
        let log = MemoryLog::keeping_rows();
        let mut owners: Vec<MemoryCommit> = (0..4).map(|_| log.commit_for("t")).collect();
        let mut stranger = log.commit_for("another");
        stranger.take_over(&[]).map_err(|error| error.to_string())?;
        let mut newest = None;
        for number in 1..60 {
            let which = rng.below(owners.len());
            if rng.percent(20) {
                let found = owners[which].take_over(&[]).map_err(|error| error.to_string())?.whole();
                assert_eq!(found, log.committed("t"), "a new owner finds the last commit");
                newest = Some(which);
                continue;
            }
            let before = visible(&log);
            if newest == Some(which) {
                owners[which].commit(transaction(number)).map_err(|error| error.to_string())?;
                let after = visible(&log);
                assert_eq!(after.0.len(), before.0.len() + 1, "its row is there");
                assert_eq!(after.1.0, before.1.0 + 1, "its partial is there");
                assert_eq!(after.2, Some(transaction(number).record), "its position is there");
            } else if newest.is_some() {
                assert!(is_fenced(&mut owners[which], number), "an older owner is refused");
                assert_eq!(visible(&log), before, "and changes nothing");
            }
        }
        stranger.commit(transaction(1_000)).map_err(|error| error.to_string())
    });
}

#[test]
fn an_owner_that_never_took_over_cannot_commit_after_one_did() {
    let log = MemoryLog::keeping_rows();
    log.commit_for("t").take_over(&[]).unwrap();
    let mut never = log.commit_for("t");
    assert!(is_fenced(&mut never, 1));
    assert_eq!(visible(&log), (Vec::new(), Position(0), None));
}

#[test]
fn an_old_epoch_never_comes_back() {
    let log = MemoryLog::keeping_rows();
    let (mut old, mut new) = (log.commit_for("t"), log.commit_for("t"));
    old.take_over(&[]).unwrap();
    new.take_over(&[]).unwrap();
    assert!(is_fenced(&mut old, 1));
    new.commit(transaction(2)).unwrap();
    drop(new);
    let before = visible(&log);
    for number in 3..6 {
        assert!(is_fenced(&mut old, number), "not after its successor has gone either");
    }
    assert_eq!(visible(&log), before);
    old.take_over(&[]).unwrap();
    old.commit(transaction(6)).unwrap();
}

/// Owners that have absorbed rows, are replaced, and commit after the new owner has: all of them are refused.
#[test]
fn old_owners_that_go_on_are_refused_and_show_nothing() {
    let n_fenced = std::cell::Cell::new(0);
    for_seeds("fencing::old_owners_that_go_on_are_refused_and_show_nothing", 40, |seed| {
        let input = Input::random(&mut Rng::new(seed), Shape::WILD);
        let script = by_name(["tumble", "stateless", "hop that divides", "join of windows"][seed as usize % 4]);
        // Hopping windows are left to orderly streams: see the cut.
        let input = if seed % 4 == 2 { Input::random(&mut Rng::new(seed), Shape::TAME) } else { input };
        let planned = planned(&script.text_with_sides());
        let calm = Schedule { zombies: true, ..Schedule::random(seed) };
        let wanted = run(&planned, &input, calm)?;
        let found = run(&planned, &input, Schedule { crashes: Crashes::Random(30, 15), ..calm })?;
        n_fenced.set(n_fenced.get() + found.n_fenced);
        if found.rows == wanted.rows {
            return Ok(());
        }
        Err(format!("with old owners {:#?}\nwithout {:#?}\n{input}", found.rows, wanted.rows))
    });
    assert!(n_fenced.get() > 0 || super::is_one_seed(), "the test has seen old owners");
}

#[test]
fn another_scripts_commit_is_refused_naming_both_plans() {
    let (first, second) = (planned(&by_name("tumble").text()), planned(&by_name("hop that divides").text()));
    let log = MemoryLog::keeping_rows();
    let input = Input::random(&mut Rng::new(3), Shape { n_rows_max: 40, ..Shape::TAME });
    run_over(&first, &input, Schedule::random(3), &log).unwrap();
    let before = sorted_lines(&log.rows("results"));
    let refused = run_over(&second, &input, Schedule::random(3), &log).unwrap_err();
    for dataflow in first.dataflows.iter().chain(&second.dataflows) {
        let named = format!("plan `{:08x}`", dataflow.state_fingerprint);
        let named = named.trim_start_matches("plan ");
        assert!(refused.contains(named), "{named} is not in {refused}");
    }
    assert!(refused.contains("start fresh"), "and says how to fix it: {refused}");
    assert_eq!(sorted_lines(&log.rows("results")), before, "nothing is written over it");
    run_over(&first, &input, Schedule::random(4), &log).unwrap();
    assert_eq!(sorted_lines(&log.rows("results")), before, "the first script goes on where it was: at its end");
}
