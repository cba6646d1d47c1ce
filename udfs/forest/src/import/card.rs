//! Writes `card.toml`, with golden rows.

use std::fmt::Write as _;

use super::source::Source;
use super::{Column, Options};
use crate::package::sha256;

const GOLDEN_ROWS: usize = 32;

pub(super) fn write(source: &Source, options: &Options, model: &[u8]) -> String {
    let license = options.license.as_ref().map_or(String::new(), |license| format!("license = {}\n", quoted(license)));
    let mut card = format!(
        "format = 1\nname = {}\nversion = {}\ndescription = {}\n{license}model = \"model.onnx\"\nsha256 = \"{}\"\n\
         classes = {}\npositive = {}\nthreshold = {:?}\nnot_finite = \"null\"\ntolerance = 0.0\n\n\
         [training]\ndate = {}\ndata = {}\ntrainer = {}\ncommand = {}\n",
        quoted(&options.name),
        quoted(&options.version),
        quoted(&options.description),
        sha256(model),
        list(&options.classes),
        quoted(&options.positive),
        options.threshold,
        quoted(&options.date),
        list(&options.data),
        quoted(&source.trainer()),
        quoted(&options.command),
    );
    for Column { name, unit, description } in &options.features {
        let (name, unit, description) = (quoted(name), quoted(unit), quoted(description));
        write!(card, "\n[[features]]\nname = {name}\nunit = {unit}\ndescription = {description}\n")
            .expect("a String takes all text");
    }
    let positive = options.classes.iter().position(|class| *class == options.positive).unwrap_or_default();
    for row in golden_rows(source) {
        let score = source.predict(&row)[positive];
        let values: Vec<String> = row.iter().map(|value| format!("{:?}", f64::from(*value))).collect();
        write!(card, "\n[[golden]]\nfeatures = [{}]\nscore = {score:?}\n", values.join(", "))
            .expect("a String takes all text");
    }
    card
}

/// Rows of which every value is a threshold of its feature, rounded to f32; preferably of thresholds that f32 does not hold,
/// which are rounded up as often as down.
fn golden_rows(source: &Source) -> Vec<Vec<f32>> {
    let mut thresholds: Vec<Vec<f64>> = vec![Vec::new(); source.n_features];
    for tree in &source.trees {
        for node in (0..tree.feature.len()).filter(|node| tree.children(*node).is_some()) {
            let feature = usize::try_from(tree.feature[node]).expect("a checked split has a feature");
            thresholds[feature].push(tree.threshold[node]);
        }
    }
    let is_rounded = |threshold: &f64| f64::from(*threshold as f32) != *threshold;
    for thresholds in &mut thresholds {
        thresholds.sort_by(f64::total_cmp);
        thresholds.dedup();
        if GOLDEN_ROWS <= thresholds.iter().filter(|threshold| is_rounded(threshold)).count() {
            thresholds.retain(is_rounded);
        }
    }
    // Steps of different size through the sorted thresholds, so that the rows meet many combinations of low and high values.
    let value = |row: usize, feature: usize| match &thresholds[feature][..] {
        [] => row as f32,
        thresholds => {
            (thresholds[(row * (2 * feature + 1) * thresholds.len() / GOLDEN_ROWS + row) % thresholds.len()]) as f32
        }
    };
    let rows = (0..GOLDEN_ROWS).map(|row| (0..source.n_features).map(|feature| value(row, feature)).collect());
    rows.filter(|row: &Vec<f32>| row.iter().all(|value| value.is_finite())).collect()
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}
