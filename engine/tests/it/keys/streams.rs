//! Both stages over random streams: a key that is kept has all its rows, and a window that is complete has all its keys.

use std::collections::BTreeMap;

use crate::oracle;
use crate::random::rig::run;
use crate::random::schedule::{Crashes, Schedule};
use crate::random::scripts::planned;
use crate::random::stream::{Input, Shape};
use crate::random::{Rng, check_shrunk, for_seeds};
use crate::support::World;

const MAX_KEYS: usize = 2;

fn script() -> String {
    let table = |name: &str, options: &str| {
        format!(
            "CREATE TABLE {name} (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '5 seconds')
             WITH (connector = 'test', format = 'json'{options});\n"
        )
    };
    table("flows", &format!(", max_keys = '{MAX_KEYS}', overflow = 'drop_new'"))
        + &table("other", "")
        + "SELECT w, k, n, total, w.is_complete FROM (
               SELECT k, tumble(INTERVAL '10 seconds') AS w, count(*) AS n, sum(v) AS total FROM (
                   SELECT ts, k, v FROM flows UNION ALL SELECT ts, k, v FROM other) GROUP BY k, w);"
}

/// Rows by window, without the last column, and all that column says of the window.
fn by_window(lines: &[String]) -> BTreeMap<&str, (Vec<&str>, Vec<bool>)> {
    let mut windows: BTreeMap<&str, (Vec<&str>, Vec<bool>)> = BTreeMap::new();
    for line in lines {
        let (row, flag) = line.rsplit_once(" | ").expect("columns");
        let (window, row) = row.split_once(" | ").expect("columns");
        let (rows, flags) = windows.entry(window).or_default();
        rows.push(row);
        flags.push(flag == "true");
    }
    windows
}

fn check(input: &Input, schedule: Schedule) -> Result<bool, String> {
    let found = run(&planned(&script()), input, schedule)?;
    let (seen, _) = input.seen_on_time(10_000);
    let all = oracle::rows(&World::default(), &script(), &seen)?;
    let (found, all) = (by_window(&found.rows["results"]), by_window(&all["results"]));
    let mut is_limited = false;
    let is_right = |window: &str, rows: &[&str]| {
        found.get(window).is_some_and(|(kept, flags)| {
            let is_complete = kept.len() == rows.len();
            let is_full = kept.len() == rows.len().min(MAX_KEYS);
            is_full && kept.iter().all(|row| rows.contains(row)) && flags.iter().all(|flag| *flag == is_complete)
        })
    };
    for (window, (rows, _)) in &all {
        is_limited |= MAX_KEYS < rows.len();
        if !is_right(window, rows) {
            return Err(format!("{window}: {rows:#?}, found {:#?}\n{schedule:?}", found.get(window)));
        }
    }
    if found.len() == all.len() { Ok(is_limited) } else { Err(format!("found {found:#?}\nexpected {all:#?}")) }
}

#[test]
fn a_key_that_is_kept_has_all_its_rows_whatever_crashes() {
    let n_limited = std::cell::Cell::new(0);
    let test = "keys::streams::a_key_that_is_kept_has_all_its_rows_whatever_crashes";
    for_seeds(test, 60, |seed| {
        let input = Input::random(&mut Rng::new(seed), Shape { n_rows_max: 60, ..Shape::TAME });
        let crashes = if seed.is_multiple_of(4) { Crashes::Never } else { Crashes::Random(10, 12) };
        let schedule = Schedule { crashes, zombies: true, ..Schedule::random(seed) };
        check_shrunk(input, |input| {
            check(input, schedule).map(|is_limited| n_limited.set(n_limited.get() + usize::from(is_limited)))
        })
    });
    assert!(crate::random::is_one_seed() || 0 < n_limited.get(), "some windows had more keys than the limit");
}
