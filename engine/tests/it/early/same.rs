//! What a window gives out at its close does not depend on whether it was looked at before, to the bit.

use super::rig::{Rig, records};
use super::{CASES, Row};
use crate::random::{Rng, for_seeds};

/// Aggregates whose result depends on the order in which partials merge. Not variances and what is made of them: their states change in
/// the last digit when they merge with an empty one.
const AGGREGATES: [&str; 5] = ["sum(v / 7.0)", "avg(v / 7.0)", "array_agg(v)", "first_value(v)", "approx_distinct(v)"];
const WINDOWS: [&str; 3] = [
    "tumble(INTERVAL '20 seconds')",
    "hop(INTERVAL '10 seconds', INTERVAL '25 seconds')",
    "session(INTERVAL '6 seconds')",
];

#[test]
fn early_rows_change_no_bit_of_final_rows() {
    for_seeds("early::same::early_rows_change_no_bit_of_final_rows", WINDOWS.len() as u64 * 2, |seed| {
        let window = WINDOWS[seed as usize % WINDOWS.len()];
        let shown: Vec<String> = AGGREGATES.iter().map(|call| format!("CAST({call} AS TEXT)")).collect();
        let query = format!(
            "SELECT w.start, w.\"end\", w.is_final, concat(k, ' ', all_values), 0 FROM (
                SELECT k, {window} AS w, concat_ws(' ', {}) AS all_values FROM flows GROUP BY k, w)",
            shown.join(", ")
        );
        let records = records(&mut Rng::new(seed));
        let finals = |sink: &str| {
            let mut rig = Rig::new(&CASES[0].script(&query, "'test'", sink), &records, 1 << 18);
            let rows: Vec<Row> = (0..=records.len()).flat_map(|_| rig.read()).collect();
            let n_early = rows.iter().filter(|row| !row.is_final).count();
            (rows.into_iter().filter(|row| row.is_final).collect::<Vec<_>>(), n_early)
        };
        let ((with, n_early), (without, _)) = (finals(", emit_early = '1 second'"), finals(""));
        if n_early == 0 || with != without {
            return Err(format!("{n_early} early rows and {with:#?}\nwithout them {without:#?}"));
        }
        Ok(())
    });
}
