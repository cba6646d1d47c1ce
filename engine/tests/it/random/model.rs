//! What a stream beyond the bound on disorder gives, by a model of a few lines: a row counts in just those windows that were open
//! when it came, by the watermark of its split before it. A row of a session is late when it is behind the watermark.

use std::collections::{BTreeMap, BTreeSet};

use davy_engine::time::format_ns;

use super::rig::run;
use super::schedule::{Crashes, Schedule};
use super::scripts::{BOUND_MS, by_name, planned};
use super::stream::{Input, Row, Shape};
use super::{Rng, check_shrunk, for_seeds};

#[derive(Clone, Copy, Debug)]
enum Window {
    Hop { slide_ms: i64, width_ms: i64 },
    Session { gap_ms: i64, max_ms: i64 },
}

/// The model's rows: lines of `key | window | count | sum`, and how many rows are late.
type Found = (Vec<String>, usize);

type Counts = BTreeMap<(String, i64, i64), (u64, Option<i64>)>;

fn count(counts: &mut Counts, row: &Row, start: i64, end: i64) {
    let (n, sum) = counts.entry((row.key.clone(), start, end)).or_default();
    *n += 1;
    if let Some(value) = row.value {
        *sum = Some(sum.unwrap_or(0) + value);
    }
}

fn model(window: Window, rows: &[Row]) -> Found {
    let mut counts = Counts::new();
    let mut cut = BTreeSet::new();
    let mut of_keys: BTreeMap<String, Vec<(i64, Row)>> = BTreeMap::new();
    let mut watermarks = BTreeMap::new();
    let mut n_late = 0;
    for row in rows {
        let Some(time) = row.time_ms else { continue };
        let watermark = watermarks.entry(row.split.clone()).or_insert(i64::MIN);
        match window {
            Window::Hop { slide_ms, width_ms } => {
                let last_start = time.div_euclid(slide_ms) * slide_ms;
                let starts =
                    (0..).map(|index| last_start - index * slide_ms).take_while(|start| time < start + width_ms);
                let open: Vec<i64> = starts.filter(|start| *watermark < start + width_ms).collect();
                n_late += usize::from(open.is_empty());
                open.into_iter().for_each(|start| count(&mut counts, row, start, start + width_ms));
            }
            Window::Session { .. } if time < *watermark => n_late += 1,
            Window::Session { .. } => of_keys.entry(row.key.clone()).or_default().push((time, row.clone())),
        }
        *watermark = (*watermark).max(time - BOUND_MS);
    }
    if let Window::Session { gap_ms, max_ms } = window {
        for mut rows in of_keys.into_values() {
            rows.sort_by_key(|(time, _)| *time);
            for session in rows.chunk_by(|(one, _), (next, _)| next - one < gap_ms) {
                let boundary = |time: i64| time.div_euclid(max_ms) * max_ms;
                let part = |time: i64| Some(boundary(time)).filter(|boundary| session[0].0 + max_ms <= *boundary);
                for rows in session.chunk_by(|(one, _), (next, _)| part(*one) == part(*next)) {
                    let (start, end) = (rows[0].0, rows[rows.len() - 1].0 + gap_ms);
                    rows.iter().for_each(|(_, row)| count(&mut counts, row, start, end));
                    let is_cut = part(rows[0].0) != part(session[session.len() - 1].0);
                    cut.extend(is_cut.then(|| (rows[0].1.key.clone(), start, end)));
                }
            }
        }
    }
    let print = |ms: i64| format_ns(ms * 1_000_000);
    let mut lines: Vec<String> = counts
        .into_iter()
        .map(|((key, start, end), (n, sum))| {
            let sum = sum.map_or("∅".to_owned(), |sum| sum.to_string());
            let is_cut = match window {
                Window::Hop { .. } => String::new(),
                Window::Session { .. } => format!(", is_cut: {}", cut.contains(&(key.clone(), start, end))),
            };
            format!("{key} | {{start: {}, end: {}{is_cut}}} | {n} | {sum}", print(start), print(end))
        })
        .collect();
    lines.sort();
    (lines, n_late)
}

fn check(script: &str, window: Window, input: &Input, schedule: Schedule) -> Result<(), String> {
    let planned = planned(&by_name(script).text_with_sides());
    let found = run(&planned, input, schedule)?.rows;
    let found = (found["results"].clone(), found["late"].len());
    let wanted = model(window, &input.0["flows"]);
    if found == wanted {
        Ok(())
    } else {
        Err(format!("`{script}`\nengine {found:#?}\nmodel {wanted:#?}\n{schedule:?}"))
    }
}

#[test]
fn a_row_counts_in_the_windows_that_were_open_when_it_came() {
    let cases = [
        ("hop that divides", Window::Hop { slide_ms: 5_000, width_ms: 15_000 }),
        ("session", Window::Session { gap_ms: 4_000, max_ms: 86_400_000 }),
        ("session that is cut", Window::Session { gap_ms: 4_000, max_ms: 6_000 }),
        ("hop with many panes", Window::Hop { slide_ms: 4_000, width_ms: 14_000 }),
    ];
    for_seeds("model::a_row_counts_in_the_windows_that_were_open_when_it_came", 150, |seed| {
        let (script, window) = cases[seed as usize % cases.len()];
        let crashes = if seed.is_multiple_of(2) { Crashes::Never } else { Crashes::Random(8, 10) };
        let input = Input::random(&mut Rng::new(seed), Shape { n_rows_max: 60, ..Shape::WILD });
        let schedule = Schedule { crashes, zombies: true, ..Schedule::random(seed) };
        check_shrunk(input, |input| check(script, window, input, schedule))
    });
}
