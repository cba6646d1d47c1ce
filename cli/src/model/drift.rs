//! `davy model drift`: does a model still see what it was trained on?
//!
//! Runs the script that computes the features, sorts each feature's values into bins and gives the population stability index,
//! `Σ (now - then) ln(now / then)` over the bins' shares: below 0.1 nothing happened, from 0.25 on the feature is not what it was.
//! `then` is the training, by the bins of the card, or with `--reference` an earlier time of the same network, by its deciles: no
//! network looks like the mixture that a model was trained on, but it should go on looking like itself.

use std::process::ExitCode;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use davy_engine::{Error, Result};
use davy_forest::card::{Card, Feature};

use crate::args::{InputArgs, ModelDriftArgs, ScriptArgs};
use crate::collect;
use crate::output::{draw, print, say};
use crate::script::load;
use crate::settings::read_file;

/// A share below this counts as this, so that an empty bin does not make the index infinite.
const SHARE_MIN: f64 = 1e-4;
/// From here on a feature has moved.
const MOVED: f64 = 0.1;
/// From here on it is another one.
const DRIFTED: f64 = 0.25;
/// Fewer rows than this say little.
const ROWS_MIN: usize = 500;

/// Compares; exit code 1 when a feature has drifted.
pub(super) fn drift(args: &ModelDriftArgs) -> Result<ExitCode> {
    let mut card = super::open(&args.card)?.card;
    let script = script(args, &card)?;
    if let Some(reference) = &args.reference {
        let input = InputArgs { input: Some(reference.clone()), ..args.run.clone() };
        let earlier = ScriptArgs { script: script.script.clone(), input };
        take_deciles(&mut card, &run(&earlier)?)?;
    }
    if card.features.iter().all(|feature| feature.edges.is_empty()) {
        return Err(Error::invalid(format!("model `{}` has no `edges` and `shares` to compare with", card.name))
            .hint("add them to the features of its card, or compare with an earlier input: --reference FILE"));
    }
    let batches = run(&script)?;
    let (mut rows, mut worst) = (Vec::new(), 0.0_f64);
    let n_rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if n_rows == 0 {
        return Err(Error::invalid("the script gives no rows to compare").hint("give it more input"));
    }
    for feature in card.features.iter().filter(|feature| !feature.edges.is_empty()) {
        let counts = count(feature, &batches)?;
        let psi = index(feature, &counts);
        worst = worst.max(psi);
        let verdict = if psi < MOVED {
            "stable"
        } else if psi < DRIFTED {
            "moved"
        } else {
            "DRIFTED"
        };
        rows.push(vec![feature.name.clone(), format!("{psi:.3}"), counts.missing.to_string(), verdict.to_owned()]);
    }
    print(&draw(&["feature", "psi", "nulls", "verdict"].map(str::to_owned), &rows))?;
    let then = args.reference.as_deref().unwrap_or("its training data");
    say(&format!("{} {}: {n_rows} rows compared with {then}", card.name, card.version));
    if n_rows < ROWS_MIN {
        say(&format!("with fewer than {ROWS_MIN} rows chance alone moves the index"));
    }
    Ok(if worst < DRIFTED { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Puts the deciles of earlier rows in place of the card's bins.
fn take_deciles(card: &mut Card, batches: &[RecordBatch]) -> Result<()> {
    for feature in &mut card.features {
        let mut values: Vec<f64> = values(feature, batches)?.into_iter().flatten().collect();
        if values.is_empty() {
            return Err(Error::invalid(format!("the reference has no values of `{}`", feature.name))
                .hint("give --reference more input"));
        }
        values.sort_by(f64::total_cmp);
        feature.edges = (1..10).map(|tenth| values[(values.len() - 1) * tenth / 10]).collect();
        feature.edges.dedup();
        let counts = count(feature, batches)?;
        feature.shares = counts.bins.iter().map(|n| *n as f64 / values.len() as f64).collect();
    }
    Ok(())
}

fn script(args: &ModelDriftArgs, card: &Card) -> Result<ScriptArgs> {
    let named = args.script.clone().or_else(|| card.training.sql.as_ref().map(Into::into));
    let Some(script) = named else {
        return Err(Error::invalid(format!("the card of `{}` names no script that computes its features", card.name))
            .hint("give one with --script"));
    };
    Ok(ScriptArgs { script, input: args.run.clone() })
}

/// Runs a script to its end and keeps the rows of its SELECT.
fn run(args: &ScriptArgs) -> Result<Vec<RecordBatch>> {
    let file = read_file(args.input.config.as_deref())?;
    collect::rows(load(args, &file)?)
}

/// A feature's values by bin.
#[derive(Debug, PartialEq)]
struct Counts {
    bins: Vec<u64>,
    missing: u64,
}

fn count(feature: &Feature, batches: &[RecordBatch]) -> Result<Counts> {
    let mut counts = Counts { bins: vec![0; feature.edges.len() + 1], missing: 0 };
    for value in values(feature, batches)? {
        match value {
            Some(value) => counts.bins[bin(&feature.edges, value)] += 1,
            None => counts.missing += 1,
        }
    }
    Ok(counts)
}

/// A feature's values; NaN is none.
fn values(feature: &Feature, batches: &[RecordBatch]) -> Result<Vec<Option<f64>>> {
    let mut found = Vec::new();
    for batch in batches {
        let Some(column) = batch.column_by_name(&feature.name) else {
            let names: Vec<String> =
                batch.schema().fields().iter().map(|field| format!("`{}`", field.name())).collect();
            return Err(Error::invalid(format!("the script gives no column `{}`", feature.name))
                .hint(format!("it gives {}; name the script that computes the model's features", names.join(", "))));
        };
        let column = cast(column, &DataType::Float64)?;
        found.extend(column.as_primitive::<Float64Type>().iter().map(|value| value.filter(|value| !value.is_nan())));
    }
    Ok(found)
}

/// Bin `i` holds `(edges[i - 1], edges[i]]`.
fn bin(edges: &[f64], value: f64) -> usize {
    edges.partition_point(|edge| *edge < value)
}

/// The population stability index. Rows without a value are a bin of their own, which the training did not have.
fn index(feature: &Feature, counts: &Counts) -> f64 {
    let then = feature.shares.iter().copied().chain([0.0]);
    let now: Vec<u64> = counts.bins.iter().copied().chain([counts.missing]).collect();
    let total: u64 = now.iter().sum();
    if total == 0 {
        return 0.0;
    }
    then.zip(now)
        .map(|(then, now)| {
            let (then, now) = (then.max(SHARE_MIN), (now as f64 / total as f64).max(SHARE_MIN));
            (now - then) * (now / then).ln()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_belongs_to_the_bin_below_it() {
        let edges = [1.0, 2.0];
        let cases = [(f64::NEG_INFINITY, 0), (1.0, 0), (1.5, 1), (2.0, 1), (2.1, 2), (f64::INFINITY, 2)];
        for (value, expected) in cases {
            assert_eq!(bin(&edges, value), expected, "{value}");
        }
    }

    #[test]
    fn the_index_grows_with_the_distance() {
        // By hand: (0.5 - 0.25) ln 2 + (0.5 - 0.75) ln (2/3) = 0.17329 + 0.10137.
        let cases: [(&[f64], &[u64], u64, f64); 5] = [
            (&[0.5, 0.5], &[10, 10], 0, 0.0),
            (&[0.25, 0.75], &[10, 10], 0, 0.274_653),
            (&[0.5, 0.5], &[], 0, 0.0),
            (&[0.5, 0.5], &[20, 0], 0, 4.604_2),
            (&[0.5, 0.5], &[0, 0], 20, 17.725),
        ];
        for (then, now, missing, expected) in cases {
            let feature = Feature {
                name: "a".to_owned(),
                unit: "1".to_owned(),
                description: String::new(),
                edges: vec![1.0],
                shares: then.to_vec(),
            };
            let found = index(&feature, &Counts { bins: now.to_vec(), missing });
            assert!((found - expected).abs() < 1e-2, "{then:?} {now:?} {missing}: {found}");
        }
    }
}
