//! A crash at every point of a run leaves the rows of the run that did not crash.

use super::rig::run;
use super::schedule::{Crashes, Schedule};
use super::scripts::{SCRIPTS, by_name, planned};
use super::stream::{Input, Shape};
use super::{Rng, check_shrunk, for_seeds};

/// Late and bad rows included: each of them is in its table once.
fn check(text: &str, input: &Input, schedule: Schedule) -> Result<(), String> {
    let planned = planned(text);
    let calm = run(&planned, input, Schedule { crashes: Crashes::Never, ..schedule })?;
    let crashes: Vec<Crashes> = match schedule.crashes {
        Crashes::Never => (0..calm.n_points).map(Crashes::At).collect(),
        some => vec![some],
    };
    for crashes in crashes {
        let found = run(&planned, input, Schedule { crashes, ..schedule })?;
        if found.rows != calm.rows {
            return Err(format!(
                "with {crashes:?} of {} points {:#?}\nwithout {:#?}\n{schedule:?}\n{text}",
                calm.n_points, found.rows, calm.rows
            ));
        }
    }
    Ok(())
}

fn check_seed(seed: u64, shape: Shape, crashes: Crashes) -> Result<(), String> {
    let script = &SCRIPTS[seed as usize % SCRIPTS.len()];
    let input = Input::random(&mut Rng::new(seed), shape);
    let schedule = Schedule { crashes, zombies: seed.is_multiple_of(2), ..Schedule::random(seed) };
    check_shrunk(input, |input| check(&script.text_with_sides(), input, schedule))
}

/// Bad records, but none beyond the bound on disorder.
const ORDERLY: Shape = Shape { disorder_ms: Shape::TAME.disorder_ms, n_rows_max: 15, ..Shape::WILD };

#[test]
fn a_crash_at_any_point_changes_no_row() {
    for_seeds("crash::a_crash_at_any_point_changes_no_row", SCRIPTS.len() as u64, |seed| {
        check_seed(seed, ORDERLY, Crashes::Never)
    });
}

/// What is replayed has to show where sessions were cut before.
#[test]
fn a_crash_at_any_point_changes_no_part_of_a_session() {
    for_seeds("crash::a_crash_at_any_point_changes_no_part_of_a_session", 6, |seed| {
        let input = Input::endless(&mut Rng::new(seed));
        let schedule = Schedule { crashes: Crashes::Never, ..Schedule::random(seed) };
        check_shrunk(input, |input| {
            check(&by_name("session without keys that is cut").text_with_sides(), input, schedule)
        })
    });
}

#[test]
fn many_crashes_change_no_row() {
    for_seeds("crash::many_crashes_change_no_row", 5 * SCRIPTS.len() as u64, |seed| {
        check_seed(seed, Shape { n_rows_max: 40, ..ORDERLY }, Crashes::Random(15, 25))
    });
}

#[test]
fn many_crashes_change_no_row_of_late_streams() {
    for_seeds("crash::many_crashes_change_no_row_of_late_streams", 5 * SCRIPTS.len() as u64, |seed| {
        check_seed(seed, Shape::WILD, Crashes::Random(15, 25))
    });
}
