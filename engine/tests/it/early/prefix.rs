//! Record by record: which windows have early rows, and that they are those of a batch over the rows so far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use davy_engine::operator::spill::{Budget, MemorySpill};
use davy_engine::task::ROWS_PER_ADVANCE;
use davy_engine::time::parse_timestamp;

use super::rig::{Record, Rig, records};
use super::{CASES, Case, Row, SINK};
use crate::oracle;
use crate::random::scripts::BOUND_MS;
use crate::random::{Rng, for_seeds};
use crate::support::World;

const INTERVAL_MS: i64 = 7_000;

type ByWindow = BTreeMap<(String, String), Vec<Row>>;

fn by_window(rows: Vec<Row>) -> ByWindow {
    let mut found = ByWindow::new();
    for row in rows {
        found.entry(row.window()).or_default().push(row);
    }
    found.values_mut().for_each(|rows| rows.sort());
    found
}

fn ms(timestamp: &str) -> i64 {
    parse_timestamp(timestamp).expect("a timestamp").div_euclid(1_000_000)
}

/// Whether `all` has each of these rows, as often.
fn is_part(rows: &[Row], all: &[Row]) -> bool {
    let n = |rows: &[Row], row: &Row| rows.iter().filter(|other| *other == row).count();
    rows.iter().all(|row| n(rows, row) <= n(all, row))
}

/// What is known of a stream while it is read.
struct Model<'a> {
    case: &'a Case,
    seen: Vec<&'a Record>,
    watermark: i64,
    /// The last multiple of the interval that was passed.
    passed: i64,
    /// The rows of each window that were given out early last.
    given: ByWindow,
    /// Times of rows since then.
    new: Vec<i64>,
    /// Whether the tasks have started again since then: all windows may have early rows.
    has_restarted: bool,
}

impl<'a> Model<'a> {
    fn batch(&self) -> ByWindow {
        let closed = |record: &&&Record| {
            self.case.inner_ms.is_none_or(|width| (record.time_ms.div_euclid(width) + 1) * width <= self.watermark)
        };
        let seen = self.seen.iter().filter(closed).map(|record| record.text.clone()).collect();
        let seen = [("flows".to_owned(), seen)].into();
        let rows = oracle::rows(&World::default(), &self.case.oracle_text(), &seen).expect("the oracle answers");
        by_window(rows[SINK].iter().map(|line| Row::of_line(line)).collect())
    }

    fn read(&mut self, record: &'a Record) {
        self.seen.push(record);
        self.new.push(record.time_ms);
        self.watermark = self.watermark.max(record.time_ms - BOUND_MS);
    }

    /// Checks what one record more has brought.
    fn check(&mut self, early: &ByWindow) -> Result<(), String> {
        let multiple = self.watermark.div_euclid(INTERVAL_MS);
        // The first watermark has passed none.
        if multiple == self.passed || self.passed == i64::MIN {
            self.passed = multiple;
            let is_none = early.is_empty();
            return is_none.then_some(()).ok_or_else(|| format!("the watermark has passed no multiple: {early:#?}"));
        }
        self.passed = multiple;
        let mut open = self.batch();
        open.retain(|(_, stop), _| self.watermark < ms(stop));
        let early_of = |rows: &Vec<Row>| rows.iter().cloned().map(Row::early).collect::<Vec<_>>();
        for (window, rows) in early {
            // Keys that have not changed are left out where the query goes by keys.
            let expected = open.get(window).map(early_of).unwrap_or_default();
            if !is_part(rows, &expected) {
                return Err(format!("early rows of {window:?} are {rows:#?}\nthey are none of {expected:#?}"));
            }
            let (start, stop) = (ms(&window.0), ms(&window.1));
            let may_repeat = self.has_restarted || self.case.inner_ms.is_some();
            // What comes into a session may change where it is cut later.
            let from = if self.case.may_be_later_part(start) { i64::MIN } else { start };
            if !may_repeat && !self.new.iter().any(|time| (from..stop).contains(time)) {
                return Err(format!("{window:?} has not changed, but has early rows"));
            }
        }
        for (window, rows) in &open {
            let given = self.given.get(window).map_or(&[][..], Vec::as_slice);
            let new: Vec<Row> = rows.iter().filter(|row| !given.contains(row)).cloned().map(Row::early).collect();
            let early = early.get(window).map_or(&[][..], Vec::as_slice);
            if !is_part(&new, early) {
                return Err(format!("{window:?} has the early rows {early:#?}\nwithout some of {new:#?}"));
            }
        }
        self.given = open;
        self.new.clear();
        self.has_restarted = false;
        Ok(())
    }
}

fn check(case: &Case, text: &str, restart_percent: usize, seed: u64) -> Result<(), String> {
    check_within(case, text, restart_percent, usize::MAX, seed)
}

/// With so much memory for state; the rest is spilled.
fn check_within(case: &Case, text: &str, restart_percent: usize, state_bytes: usize, seed: u64) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let records = records(&mut rng);
    let rows_per_advance = *rng.pick(&[1, 3, ROWS_PER_ADVANCE]);
    let budget = Budget { state_bytes, ..Budget::new(usize::MAX, Arc::new(MemorySpill)).unwrap() };
    let rig = Rig::new(text, &records, rows_per_advance).with_budget(budget);
    check_records(case, &records, rig, || rng.percent(restart_percent))
}

/// `restarts` says before each record whether the tasks start again.
fn check_records(
    case: &Case,
    records: &[Record],
    mut rig: Rig,
    mut restarts: impl FnMut() -> bool,
) -> Result<(), String> {
    let mut model = Model {
        case,
        seen: Vec::new(),
        watermark: i64::MIN,
        passed: i64::MIN,
        given: ByWindow::new(),
        new: Vec::new(),
        has_restarted: false,
    };
    let mut finals = Vec::new();
    let mut closed = BTreeSet::new();
    let mut n_early = 0;
    for record in records.iter().map(Some).chain([None]) {
        if restarts() {
            rig.start();
            model.has_restarted = true;
        }
        let rows = rig.read();
        for row in &rows {
            if row.is_final {
                closed.insert(row.window());
            } else if closed.contains(&row.window()) {
                return Err(format!("{:?} has early rows after its final ones", row.window()));
            }
        }
        let (now_final, early): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.is_final);
        n_early += early.len();
        finals.extend(now_final);
        let early = by_window(early);
        let checked = match record {
            Some(record) => {
                model.read(record);
                model.check(&early)
            }
            // Windows of windows close step by step, and their watermark passes multiples on its way to the end.
            None if case.inner_ms.is_some() => Ok(()),
            None => early.is_empty().then_some(()).ok_or_else(|| format!("early rows at the end: {early:#?}")),
        };
        checked.map_err(|problem| format!("`{}`, {} records: {problem}", case.name, model.seen.len()))?;
    }
    model.watermark = i64::MAX;
    let (found, expected) = (by_window(finals), model.batch());
    if found != expected {
        return Err(format!("`{}`: final rows are {found:#?}\nexpected {expected:#?}", case.name));
    }
    if n_early == 0 {
        return Err(format!("`{}` has no early rows", case.name));
    }
    Ok(())
}

#[test]
fn early_rows_are_those_of_a_batch_over_the_rows_so_far() {
    for_seeds("early::prefix::early_rows_are_those_of_a_batch_over_the_rows_so_far", 2 * CASES.len() as u64, |seed| {
        let case = &CASES[seed as usize % CASES.len()];
        check(case, &case.text(), 0, seed)
    });
}

/// Records of a session, and then a row without which it would not be cut there: both parts have early rows, although only one has a new row.
#[test]
fn all_parts_of_a_session_that_is_cut_have_early_rows() {
    let followed: &[(i64, &str)] =
        &[(0, "a"), (6_000, "a"), (12_000, "a"), (18_000, "a"), (19_000, "a"), (20_000, "a"), (26_000, "a")];
    let begun_earlier: &[(i64, &str)] = &[(4_500, "a"), (8_000, "a"), (4_000, "a"), (12_000, "b")];
    for (name, max_session_ms, rows) in
        [("session without keys that is cut", 20_000, followed), ("session", 4_000, begun_earlier)]
    {
        let named = CASES.iter().find(|case| case.name == name).expect("there is one");
        let case = &Case { max_session_ms, ..*named };
        let records: Vec<Record> = rows.iter().map(|(time_ms, key)| Record::new(*time_ms, key, 1)).collect();
        check_records(case, &records, Rig::new(&case.text(), &records, ROWS_PER_ADVANCE), || false).unwrap();
    }
}

#[test]
fn a_restart_leaves_no_early_result_out() {
    for_seeds("early::prefix::a_restart_leaves_no_early_result_out", CASES.len() as u64, |seed| {
        let case = &CASES[seed as usize % CASES.len()];
        check(case, &case.text(), 25, seed)
    });
}

#[test]
fn windows_in_the_task_that_reads_the_rows_have_early_rows_too() {
    let names = ["tumble", "hop that divides", "session", "having"];
    for_seeds("early::prefix::windows_in_the_task_that_reads_the_rows_have_early_rows_too", 4, |seed| {
        let case = CASES.iter().find(|case| case.name == names[seed as usize % names.len()]).expect("there is one");
        let text = case.text_in_one_task();
        assert_eq!(World::default().plan(&text).unwrap().dataflows[0].stages.len(), 1, "{text}");
        check(case, &text, 0, seed)
    });
}

/// Where the watermark passes a multiple depends on the rows, not on polls and commits.
#[test]
fn however_much_a_poll_gives_the_early_rows_are_the_same() {
    for_seeds("early::prefix::however_much_a_poll_gives_the_early_rows_are_the_same", CASES.len() as u64, |seed| {
        let case = &CASES[seed as usize % CASES.len()];
        let records = records(&mut Rng::new(seed));
        let rows = |records_per_poll: usize| {
            let mut rig = Rig::with_polls(&case.text(), &records, ROWS_PER_ADVANCE, records_per_poll);
            let mut rows: Vec<Row> = (0..=records.len()).flat_map(|_| rig.read()).collect();
            rows.sort();
            rows
        };
        let expected = rows(1);
        for records_per_poll in [3, 1_000] {
            let found = rows(records_per_poll);
            if found != expected {
                return Err(format!("`{}`, {records_per_poll} per poll: {found:#?}\none: {expected:#?}", case.name));
            }
        }
        Ok(())
    });
}

#[test]
fn windows_that_are_spilled_have_early_rows_where_the_query_goes_by_keys() {
    let names = [
        "tumble",
        "hop that divides",
        "hop that does not divide",
        "windows of windows",
        "join of windows",
        "having",
        "two kinds of windows",
    ];
    let test = "early::prefix::windows_that_are_spilled_have_early_rows_where_the_query_goes_by_keys";
    for_seeds(test, names.len() as u64, |seed| {
        let case = CASES.iter().find(|case| case.name == names[seed as usize % names.len()]).expect("there is one");
        check_within(case, &case.text(), 10, 0, seed)
    });
}
