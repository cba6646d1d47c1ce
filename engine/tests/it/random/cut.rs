//! Independence of the cut: however many records a poll gives and however often a task commits, the rows are the same.

use super::rig::run;
use super::schedule::{Commits, Schedule};
use super::scripts::{SCRIPTS, planned};
use super::stream::{Input, Shape};
use super::{Rng, check_shrunk, for_seeds};

/// Every cut gives the same rows, and says of the same rows that they are late.
fn check(text: &str, input: &Input, seed: u64) -> Result<(), String> {
    let planned = planned(text);
    let mut first = None;
    for records_per_poll in [1, 2, 7, 1_000] {
        for steps in [1, 2, 5, 100] {
            let commits = Commits::Every(steps);
            let schedule = Schedule { records_per_poll, exact: true, commits, ..Schedule::random(seed) };
            let found = run(&planned, input, schedule)?.rows;
            let (cut, wanted) = first.get_or_insert_with(|| ((records_per_poll, steps), found.clone()));
            if found != *wanted {
                let other = (records_per_poll, steps);
                return Err(format!(
                    "(records per poll, steps per commit) {cut:?} gives {wanted:#?}\n{other:?} gives {found:#?}\n{text}"
                ));
            }
        }
    }
    Ok(())
}

fn check_seed(seed: u64, shape: Shape) -> Result<(), String> {
    let script = &SCRIPTS[seed as usize % SCRIPTS.len()];
    let input = Input::random(&mut Rng::new(seed), shape);
    check_shrunk(input, |input| check(&script.text_with_sides(), input, seed))
}

#[test]
fn the_cut_changes_no_row_within_the_bound_on_disorder() {
    for_seeds("cut::the_cut_changes_no_row_within_the_bound_on_disorder", 19, |seed| check_seed(seed, Shape::TAME));
}

#[test]
fn the_cut_changes_no_row_and_no_late_row() {
    for_seeds("cut::the_cut_changes_no_row_and_no_late_row", 38, |seed| check_seed(seed, Shape::WILD));
}
