//! Whatever crashes: final rows are those of the oracle, each window's early rows come before them.

use std::cell::Cell;

use davy_engine::log::memory::MemoryLog;

use super::{CASES, Case, Row, SINK};
use crate::oracle;
use crate::random::rig::run_over;
use crate::random::schedule::{Crashes, Schedule};
use crate::random::scripts::planned;
use crate::random::stream::{Input, Shape};
use crate::random::{Rng, check_shrunk, for_seeds, is_one_seed};
use crate::support::{World, lines};

fn check(case: &Case, input: &Input, schedule: Schedule) -> Result<usize, String> {
    let log = MemoryLog::keeping_rows();
    run_over(&planned(&case.text()), input, schedule, &log)?;
    let rows: Vec<Row> = lines(&log.rows(SINK)).iter().map(|line| Row::of_line(line)).collect();
    let mut finals: Vec<&Row> = rows.iter().filter(|row| row.is_final).collect();
    finals.sort();
    let (seen, _) = input.seen_on_time(i64::MAX / 4);
    let wanted = oracle::rows(&World::default(), &case.oracle_text(), &seen)?;
    let mut wanted: Vec<Row> = wanted[SINK].iter().map(|line| Row::of_line(line)).collect();
    wanted.sort();
    if !finals.iter().copied().eq(&wanted) {
        return Err(format!("`{}`: final rows are {finals:#?}\nexpected {wanted:#?}", case.name));
    }
    let mut n_early = 0;
    for (at, row) in rows.iter().enumerate() {
        if row.is_final {
            continue;
        }
        n_early += 1;
        let is_same = |closed: &&Row| match case.is_session {
            // It would have become part of that session.
            true => closed.key == row.key && closed.start < row.stop && row.start < closed.stop,
            false => closed.window() == row.window(),
        };
        if let Some(closed) = rows[..at].iter().filter(|row| row.is_final).find(is_same) {
            return Err(format!("`{}`: {row:?} comes after {closed:?}", case.name));
        }
    }
    Ok(n_early)
}

fn check_all(test: &str, shape: Shape, crashes: Crashes) {
    let n_early = Cell::new(0);
    for_seeds(test, 8 * CASES.len() as u64, |seed| {
        let case = &CASES[seed as usize % CASES.len()];
        let mut input = Input::random(&mut Rng::new(seed), shape);
        input.0.insert("other".to_owned(), Vec::new());
        let schedule = Schedule { crashes, zombies: seed.is_multiple_of(2), ..Schedule::random(seed) };
        check_shrunk(input, |input| check(case, input, schedule).map(|n| n_early.set(n_early.get() + n)))
    });
    assert!(is_one_seed() || 0 < n_early.get(), "there were early rows");
}

#[test]
fn final_rows_are_the_oracles_and_come_last() {
    check_all("early::crash::final_rows_are_the_oracles_and_come_last", Shape::TAME, Crashes::Never);
}

#[test]
fn crashes_and_old_owners_lose_no_final_row() {
    check_all("early::crash::crashes_and_old_owners_lose_no_final_row", Shape::TAME, Crashes::Random(8, 10));
}
