//! The tests: many seeds, replays, and canaries.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::case::Case;
use super::faults::{Broken, Plan};
use super::rig::{Outcome, run};
use crate::random::number_from_environment;

/// What a test makes of a random plan.
type Change = fn(&mut Plan);

fn play(seed: u64, broken: Broken, change: Change) -> Outcome {
    let mut plan = Plan::random(seed, broken);
    change(&mut plan);
    run(&Case::of(seed), plan)
}

/// Plays seeds in two threads until one fails; returns which and why.
fn first_red(seeds: std::ops::Range<u64>, play: impl Fn(u64) -> Outcome + Sync) -> Option<(u64, Outcome, String)> {
    let next = AtomicU64::new(seeds.start);
    let red = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seeds.end <= seed || red.lock().unwrap().is_some() {
                        return;
                    }
                    let outcome = play(seed);
                    if let Err(problem) = &outcome.result {
                        let problem = problem.clone();
                        red.lock().unwrap().get_or_insert((seed, outcome, problem));
                    }
                }
            });
        }
    });
    red.into_inner().unwrap()
}

fn check(test: &str, n_seeds: u64, change: Change) {
    let seeds = match number_from_environment("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number_from_environment("CASES").unwrap_or(n_seeds),
    };
    let Some((seed, outcome, problem)) = first_red(seeds, |seed| play(seed, Broken::Nothing, change)) else { return };
    let case = Case::of(seed);
    panic!(
        "{}\n{problem}\n`{}` {:?}\n{}SEED={seed} cargo test -p davy-engine --test it sim::suite::{test}",
        outcome.trace.join("\n"),
        case.script.name,
        Plan::random(seed, Broken::Nothing),
        case.input,
    );
}

#[test]
fn whatever_goes_wrong_the_rows_are_the_oracles() {
    check("whatever_goes_wrong_the_rows_are_the_oracles", 5_000, |_| ());
}

fn with_damage(Plan { faults, .. }: &mut Plan) {
    faults.damage = 4;
}

fn with_much_damage(Plan { faults, .. }: &mut Plan) {
    faults.damage = 20;
}

/// Owners stay until they crash in a commit, and requests are late by some commits.
fn with_late_requests(plan: &mut Plan) {
    let Plan { faults, .. } = plan;
    (faults.delay, faults.delay_last, faults.deliver_late, faults.crash) = (0, 350, 6, 20);
    (faults.kill, faults.duplicate, faults.pause) = (0, 0, 0);
    (plan.commit_percent, plan.record_bytes_max, plan.n_turns) = (80, 300, 150);
}

/// Owners are replaced and go on, and their requests get lost.
fn with_old_owners(Plan { faults, .. }: &mut Plan) {
    (faults.lose_answer, faults.duplicate, faults.any_owner) = (100, 8, 60);
}

#[test]
fn late_requests_touch_no_other_transaction() {
    check("late_requests_touch_no_other_transaction", 300, with_late_requests);
}

#[test]
fn old_owners_show_nothing() {
    check("old_owners_show_nothing", 300, with_old_owners);
}

#[test]
fn damaged_partials_are_refused_and_read_again() {
    check("damaged_partials_are_refused_and_read_again", 100, with_damage);
    let n_refused: usize = (0..20).map(|seed| play(seed, Broken::Nothing, with_damage).n_refused).sum();
    assert!(0 < n_refused, "the test has seen damage");
}

/// What some runs in a hundred must have seen, by a word of their traces.
const SEEN: &[&str] = &[
    "PauseBefore",
    "PauseAfter",
    "CrashBefore produce",
    "CrashAfter produce",
    "CrashBefore offsets",
    "CrashAfter offsets",
    "CrashBefore commit",
    "CrashAfter commit",
    "LoseAnswer commit",
    "Delay commit",
    "Delay offsets",
    "Delay produce",
    "a late request arrives",
    "→ Fenced",
    "→ InvalidState",
    "→ Concurrent",
    "1 transactions expire",
    "is purged below",
    "are gone",
    "a partition joins",
    "another owner has committed since",
    "does not start",
    "a piece of a record",
    "no room on the disk",
];

#[test]
fn runs_see_what_they_are_for() {
    let traces: Vec<Vec<String>> = (0..100).map(|seed| play(seed, Broken::Nothing, |_| ()).trace).collect();
    let n_runs = |word: &str| traces.iter().filter(|trace| trace.iter().any(|line| line.contains(word))).count();
    let counts: Vec<(&str, usize)> = SEEN.iter().map(|word| (*word, n_runs(word))).collect();
    eprintln!("{counts:#?}");
    assert!(counts.iter().all(|(_, n_runs)| 0 < *n_runs), "{counts:#?}");
}

#[test]
fn a_replay_is_the_same_run() {
    for seed in 0..10 {
        let (one, other) = (play(seed, Broken::Nothing, |_| ()), play(seed, Broken::Nothing, |_| ()));
        assert!(100 < one.trace.len(), "something happens");
        let differs = one.trace.iter().zip(&other.trace).find(|(one, other)| one != other);
        assert!(one.trace == other.trace, "seed {seed} differs at {differs:?}");
    }
}

#[test]
fn each_protection_that_is_taken_away_is_noticed() {
    let n_needed = if number_from_environment("CASES").is_some_and(|n_cases| 200 <= n_cases) { 200 } else { 1 };
    let all: [(Broken, Change); 9] = [
        (Broken::NoFencing, with_old_owners),
        (Broken::OffsetsFirst, |_| ()),
        (Broken::NoChecksum, with_much_damage),
        (Broken::NeverTrouble, with_late_requests),
        (Broken::BlindRefresh, with_old_owners),
        (Broken::NoReplay, |_| ()),
        (Broken::ForgetsWatermarks, |_| ()),
        (Broken::NoTimestamps, |_| ()),
        (Broken::LosesSpilled, |_| ()),
    ];
    for (broken, change) in all {
        let reds = (0..200).filter(|&seed| {
            // Wrong rows, not some error on the way to them.
            play(seed, broken, change).result.is_err_and(|problem| problem.contains("expected are"))
                && play(seed, Broken::Nothing, change).result.is_ok()
        });
        let reds: Vec<u64> = reds.take(n_needed).collect();
        eprintln!("{broken:?} is noticed by {} seeds, the first is {:?}", reds.len(), reds.first());
        assert!(!reds.is_empty(), "no seed of 200 notices {broken:?}");
    }
}
