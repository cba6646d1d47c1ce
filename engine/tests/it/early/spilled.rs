//! Windows that do not fit into memory have the rows of those that do, whatever the query above them brings together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use davy_engine::Result;
use davy_engine::operator::spill::{Budget, MemorySpill, Spill, SpilledParts};
use davy_engine::task::ROWS_PER_ADVANCE;

use super::rig::{Record, Rig, records};
use super::{CASES, Row};
use crate::random::{Rng, for_seeds};

/// Counts what is spilled.
#[derive(Debug, Default)]
struct CountedSpill {
    n_written: AtomicUsize,
}

impl Spill for CountedSpill {
    fn write(&self, parts: &[Option<RecordBatch>]) -> Result<Arc<dyn SpilledParts>> {
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
            let has_panes_with_keys = !case.name.contains("session") && !case.name.contains("without keys");
            if found != expected || (n_spilled == 0) == has_panes_with_keys {
                return Err(format!(
                    "{}, {rows_per_advance} rows per advance: {n_spilled} times spilled, {found:#?}\nin memory {expected:#?}",
                    case.name
                ));
            }
        }
        Ok(())
    });
}
