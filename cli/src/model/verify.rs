//! `davy model verify`: every backend against the trainer's scores, and against each other on generated rows.

use std::process::ExitCode;

use davy_engine::Result;
use davy_forest::package::Package;
use davy_forest::scorer::Scorer;

use super::rows::made_up;
use crate::args::ModelVerifyArgs;
use crate::output::{draw, print, say};

/// How far backends may be apart: ONNX Runtime adds up in f32.
const AGREEMENT: f64 = 1e-6;

/// Verifies; exit code 1 when something disagrees.
pub(super) fn verify(args: &ModelVerifyArgs) -> Result<ExitCode> {
    let package = super::open(&args.card)?;
    let columns = made_up(&package, args.rows, args.seed);
    let slices: Vec<&[f32]> = columns.iter().map(Vec::as_slice).collect();
    let mut results: Vec<(String, f64, Vec<f64>)> = Vec::new();
    for backend in super::backends(&package) {
        // Building a scorer reproduces the golden rows within the card's tolerance, or fails.
        let scorer = super::scorer(&args.card, &package, backend, args.onnxruntime.as_deref())?;
        let golden = golden_error(&package, &scorer)?;
        let mut scores = vec![0.0; args.rows];
        scorer.score(&slices, &mut scores)?;
        results.push((scorer.backend().to_owned(), golden, scores));
    }
    let threshold = package.card.threshold;
    let mut agrees = true;
    let mut rows = Vec::new();
    for (backend, golden, scores) in &results {
        let Difference { largest, n_classes, n_missing } = difference(&results[0].2, scores, threshold);
        agrees &= largest <= AGREEMENT && n_classes == 0 && n_missing == 0;
        rows.push(vec![
            backend.clone(),
            format!("{golden:.1e}"),
            format!("{largest:.1e}"),
            n_classes.to_string(),
            n_missing.to_string(),
        ]);
    }
    let header =
        ["backend", "golden rows, max error", "generated rows, max difference", "other class", "score or none"];
    print(&draw(&header.map(str::to_owned), &rows))?;
    let compared =
        format!("{} golden rows, {} generated rows (seed {})", package.card.golden.len(), args.rows, args.seed);
    if agrees {
        say(&format!("{} {}: all agree; {compared}", package.card.name, package.card.version));
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("{}: the backends DISAGREE by more than {AGREEMENT:e}; {compared}", package.card.name));
    Ok(ExitCode::from(1))
}

/// The largest distance from the trainer's scores.
fn golden_error(package: &Package, scorer: &Scorer) -> Result<f64> {
    let golden = &package.card.golden;
    let column = |index: usize| golden.iter().map(|row| row.features[index] as f32).collect::<Vec<f32>>();
    let columns: Vec<Vec<f32>> = (0..package.card.features.len()).map(column).collect();
    let slices: Vec<&[f32]> = columns.iter().map(Vec::as_slice).collect();
    let mut scores = vec![0.0; golden.len()];
    scorer.score(&slices, &mut scores)?;
    let errors = golden.iter().zip(&scores).map(|(row, score)| (row.score - score).abs());
    Ok(errors.fold(0.0, f64::max))
}

#[derive(Debug, PartialEq)]
struct Difference {
    largest: f64,
    /// Rows on different sides of the threshold, and not because they stand on it.
    n_classes: usize,
    /// Rows that have a score from one only.
    n_missing: usize,
}

fn difference(left: &[f64], right: &[f64], threshold: f64) -> Difference {
    let mut difference = Difference { largest: 0.0, n_classes: 0, n_missing: 0 };
    for (left, right) in left.iter().zip(right) {
        if left.is_nan() || right.is_nan() {
            difference.n_missing += usize::from(left.is_nan() != right.is_nan());
            continue;
        }
        difference.largest = difference.largest.max((left - right).abs());
        let is_on_threshold = (left - threshold).abs() <= AGREEMENT;
        difference.n_classes += usize::from((threshold <= *left) != (threshold <= *right) && !is_on_threshold);
    }
    difference
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_found_by_kind() {
        let nan = f64::NAN;
        let cases = [
            (vec![0.1, nan], vec![0.1, nan], Difference { largest: 0.0, n_classes: 0, n_missing: 0 }),
            (vec![0.1, nan], vec![0.1, 0.5], Difference { largest: 0.0, n_classes: 0, n_missing: 1 }),
            (vec![0.25, 0.75], vec![0.25, 0.25], Difference { largest: 0.5, n_classes: 1, n_missing: 0 }),
            (vec![0.5], vec![0.5 - 1e-9], Difference { largest: 0.5 - (0.5 - 1e-9), n_classes: 0, n_missing: 0 }),
        ];
        for (left, right, expected) in cases {
            assert_eq!(difference(&left, &right, 0.5), expected, "{left:?} {right:?}");
        }
    }
}
