//! The committed packages load, and every score is the trainer's own, with both backends.

use std::path::{Path, PathBuf};

use davy_forest::card::NotFinite;
use davy_forest::package::Package;
use davy_forest::scorer::{Backend, Options, Scorer};

/// Names of the packages that are tree ensembles.
const TREES: &[&str] = &[
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

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/packages")
}

pub(crate) fn open(name: &str) -> Package {
    Package::open(&folder().join(name).join("card.toml")).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Where `make setup` puts the library, or what the environment names.
#[expect(clippy::disallowed_methods, reason = "a test has no command line that could say it")]
pub(crate) fn onnxruntime() -> Options {
    let named = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let home = PathBuf::from(std::env::var_os("HOME").expect("HOME is set"));
    let path = named.unwrap_or_else(|| home.join(".cache/davy/onnxruntime/1.31.1/libonnxruntime.so"));
    Options { backend: Backend::OnnxRuntime, onnxruntime: Some(path) }
}

pub(crate) fn native() -> Options {
    Options { backend: Backend::Native, onnxruntime: None }
}

fn scorer(package: &Package, options: &Options) -> Scorer {
    Scorer::new(package, options).unwrap_or_else(|error| panic!("{}: {error}", package.card.name))
}

/// Rows of all magnitudes, some with values that are not finite, from a generator that is the same everywhere.
fn rows(n_features: usize, n_rows: usize) -> Vec<Vec<f32>> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let uniform = (state >> 11) as f64 / (1_u64 << 53) as f64;
        match state % 97 {
            0 => f32::NAN,
            1 => f32::INFINITY,
            2 => f32::NEG_INFINITY,
            3 => 0.0,
            4..20 => (20.0 * uniform).round() as f32,
            _ => (16.0 * (uniform - 0.4)).exp() as f32,
        }
    };
    (0..n_features).map(|_| (0..n_rows).map(|_| next()).collect()).collect()
}

#[test]
fn tree_ensembles_reproduce_the_trainers_scores() {
    for name in TREES {
        let scorer = scorer(&open(name), &native());
        assert!(scorer.backend().starts_with("native"), "{}", scorer.backend());
    }
}

#[test]
fn onnx_runtime_reproduces_the_trainers_scores() {
    for name in TREES.iter().chain(&["linear"]) {
        let scorer = scorer(&open(name), &onnxruntime());
        assert!(scorer.backend().starts_with("onnxruntime 1."), "{}", scorer.backend());
    }
}

#[test]
fn both_backends_agree_on_rows_of_any_kind() {
    for name in TREES {
        let mut package = open(name);
        package.card.not_finite = NotFinite::Model;
        let (native, runtime) = (scorer(&package, &native()), scorer(&package, &onnxruntime()));
        let columns = rows(package.card.features.len(), 5_000);
        let columns: Vec<&[f32]> = columns.iter().map(Vec::as_slice).collect();
        let (mut ours, mut theirs) = (vec![0.0; 5_000], vec![0.0; 5_000]);
        native.score(&columns, &mut ours).unwrap();
        runtime.score(&columns, &mut theirs).unwrap();
        for (row, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert!((ours - theirs).abs() <= 1e-6, "{name}, row {row}: {ours} and {theirs}");
        }
        let (mut our_classes, mut their_classes) = (vec![None; 5_000], vec![None; 5_000]);
        native.classify(&columns, &mut our_classes).unwrap();
        runtime.classify(&columns, &mut their_classes).unwrap();
        let differing = our_classes.iter().zip(&their_classes).filter(|(ours, theirs)| ours != theirs).count();
        assert!(differing < 5, "{name}: {differing} rows are classified differently"); // Sums of f32 that tie.
    }
}

#[test]
fn explanations_sum_to_the_score() {
    for name in TREES.iter().filter(|name| name.starts_with("forest")) {
        let scorer = scorer(&open(name), &native());
        for golden in &scorer.card().golden {
            let row: Vec<f32> = golden.features.iter().map(|value| *value as f32).collect();
            let explanation = scorer.explain(&row).unwrap().expect("a forest explains itself");
            let sum = explanation.base + explanation.contributions.iter().sum::<f64>();
            assert!((sum - explanation.score).abs() < 1e-9, "{name}: {explanation:?}");
        }
    }
}
