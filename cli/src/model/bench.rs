//! `davy model bench`: rows per second of every backend on this machine, one thread.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use davy_engine::Result;
use davy_forest::scorer::Scorer;
use indicatif::HumanCount;

use super::rows::made_up;
use crate::args::ModelBenchArgs;
use crate::output::{draw, print};

/// Runs per number; their median is shown.
const RUNS: usize = 5;
/// A run lasts at least this long.
const RUN: Duration = Duration::from_millis(200);

pub(super) fn bench(args: &ModelBenchArgs) -> Result<ExitCode> {
    let package = super::open(&args.card)?;
    let largest = args.batch.iter().copied().max().unwrap_or(1);
    // Values that are not finite may be left out by the card's rule, and would flatter the numbers.
    let columns: Vec<Vec<f32>> = made_up(&package, largest, 1)
        .into_iter()
        .map(|column| column.into_iter().map(|value| if value.is_finite() { value } else { 0.0 }).collect())
        .collect();
    let mut rows = Vec::new();
    for backend in super::backends(&package) {
        let scorer = super::scorer(&args.card, &package, backend, args.onnxruntime.as_deref())?;
        for batch in &args.batch {
            let rate = measure(&scorer, &columns, *batch)?;
            let nanoseconds = 1e9 / rate;
            rows.push(vec![
                scorer.backend().to_owned(),
                batch.to_string(),
                HumanCount(rate as u64).to_string(),
                format!("{nanoseconds:.0}"),
            ]);
        }
    }
    print(&draw(&["backend", "batch", "rows/s", "ns/row"].map(str::to_owned), &rows))?;
    Ok(ExitCode::SUCCESS)
}

/// The median rows per second.
#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn measure(scorer: &Scorer, columns: &[Vec<f32>], batch: usize) -> Result<f64> {
    let slices: Vec<&[f32]> = columns.iter().map(|column| &column[..batch]).collect();
    let mut scores = vec![0.0; batch];
    scorer.score(&slices, &mut scores)?;
    let mut rates = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        let mut n_rows = 0_u64;
        while begun.elapsed() < RUN {
            scorer.score(&slices, &mut scores)?;
            n_rows += batch as u64;
        }
        rates.push(n_rows as f64 / begun.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[RUNS / 2])
}
