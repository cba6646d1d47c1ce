//! Windows that do not fit into memory have the rows of those that do, whatever the query above them brings together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use davy_engine::Result;
use davy_engine::operator::spill::{Budget, MemorySpill, Spill, SpilledParts};
use davy_engine::task::ROWS_PER_ADVANCE;

use super::rig::{Record, Rig, records};
use super::{CASES, Row, case};
use crate::random::{Rng, for_seeds};

/// Counts what is spilled.
#[derive(Debug, Default)]
struct CountedSpill {
    n_written: AtomicUsize,
}

impl Spill for CountedSpill {
    fn write(&self, parts: &mut dyn Iterator<Item = Result<RecordBatch>>) -> Result<Arc<dyn SpilledParts>> {
        self.n_written.fetch_add(1, Ordering::Relaxed);
        MemorySpill.write(parts)
    }
}

fn final_rows(text: &str, records: &[Record], rows_per_advance: usize, budget: &Budget) -> Vec<Row> {
    let mut rig = Rig::new(text, records, rows_per_advance).with_budget(budget.clone());
    let mut rows: Vec<Row> = (0..=records.len()).flat_map(|_| rig.read()).filter(|row| row.is_final).collect();
    // Parts by key have another order.
    rows.sort();
    rows
}

#[test]
fn spilled_windows_have_the_same_rows() {
    for_seeds("early::spilled::spilled_windows_have_the_same_rows", CASES.len() as u64 * 2, |seed| {
        let case = &CASES[seed as usize % CASES.len()];
        let records = records(&mut Rng::new(seed));
        let everything = Budget::new(usize::MAX, Arc::new(MemorySpill)).unwrap();
        let expected = final_rows(&case.oracle_text(), &records, ROWS_PER_ADVANCE, &everything);
        for (text, rows_per_advance) in
            [(case.oracle_text(), ROWS_PER_ADVANCE), (case.text(), ROWS_PER_ADVANCE), (case.oracle_text(), 3)]
        {
            let spill = Arc::new(CountedSpill::default());
            let nothing = Budget { state_bytes: 0, spill: Arc::clone(&spill) as Arc<dyn Spill>, ..everything.clone() };
            let found = final_rows(&text, &records, rows_per_advance, &nothing);
            let n_spilled = spill.n_written.load(Ordering::Relaxed);
            let has_keys = !case.name.contains("without keys");
            if found != expected || (n_spilled == 0) == has_keys {
                return Err(format!(
                    "{}, {rows_per_advance} rows per advance: {n_spilled} times spilled, {found:#?}\nin memory {expected:#?}",
                    case.name
                ));
            }
        }
        Ok(())
    });
}

fn record(second: i64, k: &str, v: i64) -> Record {
    Record::new(second * 1_000, k, v)
}

/// All sessions are open together, and all close together; those with an even `v` have two rows far apart in the input.
#[test]
fn sessions_may_be_more_than_the_memory() {
    const QUERY: &str = "SELECT w.start, w.\"end\", w.is_final, k, v FROM (
        SELECT k, v, session(INTERVAL '20 seconds') AS w, array_agg(ts) AS times FROM flows GROUP BY k, v, w)
        WHERE array_length(times) < 3";
    let text = case("many sessions", QUERY).oracle_text();
    const N_KEYS: i64 = 20_000;
    let first = (0..N_KEYS).map(|v| record(1, "a", v));
    let second = (0..N_KEYS).step_by(2).map(|v| record(19, "a", v));
    let records: Vec<Record> = first.chain(second).chain([record(99, "b", -1)]).collect();
    let budget = Budget::new(1 << 20, Arc::new(MemorySpill)).unwrap();
    let mut rig = Rig::with_polls(&text, &records, 1_000, 100).with_budget(budget);
    let mut rows: Vec<Row> = (0..=records.len() / 100 + 2).flat_map(|_| rig.read()).collect();
    rows.sort_by_key(|row| row.value.parse::<i64>().expect("a number"));
    let found: Vec<(&str, String)> = rows.iter().map(|row| (&*row.stop, row.value.to_string())).collect();
    let end = |v| match v {
        -1 => "1970-01-01T00:01:59",
        v if v % 2 == 0 => "1970-01-01T00:00:39",
        _ => "1970-01-01T00:00:21",
    };
    let expected: Vec<(&str, String)> = (-1..N_KEYS).map(|v| (end(v), v.to_string())).collect();
    assert_eq!(found, expected);
}

/// The keys of one `k` in a window are more than the whole budget: they are combined only after they have gone through the rest of the
/// query in steps.
#[test]
fn keys_that_the_query_combines_may_be_more_than_the_memory() {
    const QUERY: &str = "SELECT w.start, w.\"end\", w.is_final, k, sum(m) FROM (
        SELECT k, v, tumble(INTERVAL '20 seconds') AS w, CAST(median(v) AS BIGINT) AS m, array_agg(ts) AS times
        FROM flows GROUP BY k, v, w) WHERE array_length(times) = 1 GROUP BY k, w";
    let text = case("keys of one key", QUERY).oracle_text();
    const N_KEYS: i64 = 20_000;
    let mut records: Vec<Record> = (0..N_KEYS).map(|v| record(1, "a", v)).collect();
    records.push(record(99, "b", 1));
    let budget = Budget::new(1 << 20, Arc::new(MemorySpill)).unwrap();
    let mut rig = Rig::with_polls(&text, &records, ROWS_PER_ADVANCE, 100).with_budget(budget);
    let rows: Vec<Row> = (0..=records.len() / 100 + 2).flat_map(|_| rig.read()).collect();
    let found: Vec<(&str, &str)> = rows.iter().map(|row| (&*row.key, &*row.value)).collect();
    assert_eq!(found, [("a", &*(N_KEYS * (N_KEYS - 1) / 2).to_string()), ("b", "1")]);
}
