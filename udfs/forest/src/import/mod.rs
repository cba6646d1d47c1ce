//! Turns a scikit-learn random forest that was written as plain JSON into a model package.
//!
//! JSON, because a pickle runs code when it is opened. The forest becomes a TreeEnsembleRegressor with a target for each class
//! that averages over the trees, thresholds and leaf shares as f64 tensors: read back natively, that is scikit-learn's own
//! arithmetic, the sum of the shares in tree order divided by the number of trees, to the bit. A TreeEnsembleClassifier can
//! only sum, so its shares would have to be divided beforehand, and rounded. ONNX Runtime takes either.
//!
//! The golden rows are scored by a walk over the JSON's own trees and f64 thresholds, and know nothing of ONNX; many of their
//! values sit on a threshold, where a wrong rounding shows. What is written is loaded once before it is handed out.

mod card;
mod model;
mod source;

use self::source::Source;
use crate::error::Result;
use crate::package::Package;
use crate::scorer::{self, Backend, Scorer};

/// What the JSON does not say.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub name: String,
    pub version: String,
    /// One or two sentences for an analyst.
    pub description: String,
    pub license: Option<String>,
    /// In the order of the forest's columns.
    pub features: Vec<Column>,
    /// Names of the classes, in the order of the trees' values.
    pub classes: Vec<String>,
    /// The class whose probability is the score.
    pub positive: String,
    /// From this score on a row is `positive`.
    pub threshold: f64,
    /// Day of the training, or of the import where that is not known: `2026-11-21`.
    pub date: String,
    /// What it was trained on.
    pub data: Vec<String>,
    /// The command that imports it again.
    pub command: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// Its unit; `1` for pure numbers.
    pub unit: String,
    pub description: String,
}

/// The two files of a package; the model's is called `model.onnx`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    pub model: Vec<u8>,
    pub card: String,
}

/// The features of the Cryptomining Detection System, in its forest's order.
const CDS_FEATURES: [(&str, &str, &str); 13] = [
    ("td", "s", "duration of the flow"),
    ("ipkt", "packets", "packets towards the first collector"),
    ("ibyt", "B", "bytes towards the first collector"),
    ("opkt", "packets", "packets back"),
    ("obyt", "B", "bytes back"),
    ("pktips", "packets/s", "ipkt / td"),
    ("pktops", "packets/s", "opkt / td"),
    ("bytips", "B/s", "ibyt / td"),
    ("bytops", "B/s", "obyt / td"),
    ("bytippkt", "B/packet", "ibyt / ipkt"),
    ("bytoppkt", "B/packet", "obyt / opkt"),
    ("bytipo", "1", "ibyt / obyt"),
    ("pktipo", "1", "ipkt / opkt"),
];

impl Options {
    /// For the forest of the Cryptomining Detection System, imported on `date`.
    pub fn cds(date: &str) -> Self {
        let column = |(name, unit, description): (&str, &str, &str)| Column {
            name: name.to_owned(),
            unit: unit.to_owned(),
            description: description.to_owned(),
        };
        Self {
            name: "cds".to_owned(),
            version: "1.0.0".to_owned(),
            description: "The Cryptomining Detection System's forest: one flow, bidirectional, with its rates."
                .to_owned(),
            license: None,
            features: CDS_FEATURES.map(column).to_vec(),
            classes: vec!["benign".to_owned(), "miner".to_owned()],
            positive: "miner".to_owned(),
            threshold: 0.7,
            date: date.to_owned(),
            data: vec!["flows of its authors' laboratory, not published".to_owned()],
            command: "davy model import cds-forest.json".to_owned(),
        }
    }
}

/// Makes a package of a forest in JSON: `{"n_features": …, "trees": [{"children_left": […], "children_right": […],
/// "feature": […], "threshold": […], "value": [[…], …]}, …]}`, each list as scikit-learn's `tree_` has it; `weighted` (the
/// training rows of a node) and `params` are used where they are there, other fields are not looked at.
pub fn forest(json: &[u8], options: &Options) -> Result<Imported> {
    let source = Source::parse(json, options)?;
    let model = model::write(&source);
    let card = card::write(&source, options, &model);
    let package = Package::parse(&card, model.clone())?;
    Scorer::new(&package, &scorer::Options { backend: Backend::Native, onnxruntime: None })?;
    Ok(Imported { model, card })
}
