//! Random runs agree with the batch oracle.

use std::collections::BTreeMap;

use super::rig::{Run, run};
use super::schedule::{Crashes, Schedule};
use super::scripts::{SCRIPTS, Script, by_name, planned};
use super::stream::{Input, Shape};
use super::{Rng, check_shrunk, for_seeds};
use crate::oracle;
use crate::support::World;

/// Runs a script over an input and compares with the oracle. Rows of `flows` that are late for tumbling windows of ten seconds
/// are kept from the oracle; there are none in a tame input.
pub fn check_case(script: &Script, input: &Input, schedule: Schedule) -> Result<(), String> {
    let found = run(&planned(&script.text_with_sides()), input, schedule)?;
    let (seen, late) = input.seen_on_time(10_000);
    let mut wanted = oracle::rows(&World::default(), &script.oracle_text(), &seen)?;
    if !late.is_empty() {
        let late = late_lines(&late.into_iter().map(|row| row.text).collect::<Vec<_>>())?;
        wanted.insert("late".into(), late);
    }
    compare(&wanted, &found, schedule)
}

fn compare(wanted: &BTreeMap<String, Vec<String>>, found: &Run, schedule: Schedule) -> Result<(), String> {
    for (sink, wanted) in wanted {
        let found = found.rows.get(sink).cloned().unwrap_or_default();
        if found != *wanted {
            return Err(format!("`{sink}` differs\nengine {found:#?}\noracle {wanted:#?}\n{schedule:?}"));
        }
    }
    Ok(())
}

/// Late rows as their table prints them: the oracle reads them back.
pub fn late_lines(records: &[String]) -> Result<Vec<String>, String> {
    let seen = BTreeMap::from([("flows".to_owned(), records.to_vec())]);
    let text = Script { name: "late", query: "SELECT ts, k, v FROM flows", oracle: None }.text();
    Ok(oracle::rows(&World::default(), &text, &seen)?.remove("results").unwrap_or_default())
}

fn script_of(seed: u64) -> &'static Script {
    &SCRIPTS[seed as usize % SCRIPTS.len()]
}

#[test]
fn random_streams_give_the_oracles_rows() {
    for_seeds("agree::random_streams_give_the_oracles_rows", 8 * SCRIPTS.len() as u64, |seed| {
        let input = Input::random(&mut Rng::new(seed), Shape::TAME);
        check_shrunk(input, |input| check_case(script_of(seed), input, Schedule::random(seed)))
    });
}

#[test]
fn random_streams_with_crashes_and_old_owners_give_the_oracles_rows() {
    let test = "agree::random_streams_with_crashes_and_old_owners_give_the_oracles_rows";
    for_seeds(test, 8 * SCRIPTS.len() as u64, |seed| {
        let input = Input::random(&mut Rng::new(seed), Shape::TAME);
        let schedule = Schedule { crashes: Crashes::Random(8, 10), zombies: true, ..Schedule::random(seed) };
        check_shrunk(input, |input| check_case(script_of(seed), input, schedule))
    });
}

#[test]
fn late_rows_are_those_that_come_after_their_window() {
    for_seeds("agree::late_rows_are_those_that_come_after_their_window", 40, |seed| {
        let input = Input::random(&mut Rng::new(seed), Shape { n_rows_max: 60, ..Shape::WILD });
        let crashes = if seed.is_multiple_of(2) { Crashes::Never } else { Crashes::Random(8, 10) };
        let script = by_name(["tumble", "global aggregate", "windows of windows"][seed as usize % 3]);
        let schedule = Schedule { crashes, zombies: true, ..Schedule::random(seed) };
        check_shrunk(input, |input| check_case(script, input, schedule))
    });
}

#[test]
fn every_row_is_aggregated_late_or_bad() {
    for_seeds("agree::every_row_is_aggregated_late_or_bad", 40, |seed| {
        let input = Input::random(&mut Rng::new(seed), Shape::WILD);
        let planned = planned(&by_name("tumble").text_with_sides());
        let found = run(&planned, &input, Schedule::random(seed))?;
        let bad: u64 = found.metrics.bad_records().values().sum();
        let (n_late, n_bad) = (found.rows["late"].len() as u64, found.rows["bad"].len() as u64);
        let counted = |line: &String| line.split(" | ").nth(2).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        let n_aggregated: u64 = found.rows["results"].iter().map(counted).sum();
        let found = (found.metrics.late_rows.get(), bad, n_aggregated + n_late + n_bad);
        let wanted = (n_late, n_bad, input.0["flows"].len() as u64);
        if found == wanted { Ok(()) } else { Err(format!("late, bad, all: {found:?}, not {wanted:?}\n{input}")) }
    });
}
