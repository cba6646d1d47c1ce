//! The Cryptomining Detection System's forest, imported, scores its authors' samples as they did.

use std::io::Read;
use std::path::{Path, PathBuf};

use davy_forest::import::{self, Imported};
use davy_forest::package::Package;
use davy_forest::scorer::{Options, Scorer};

use crate::packages::{native, onnxruntime};

/// td, ipkt, ibyt, opkt, obyt and the eight aggregates stand in these columns of a record.
const COLUMNS: [usize; 13] = [2, 11, 12, 13, 14, 49, 50, 51, 52, 53, 54, 55, 56];

#[expect(clippy::disallowed_methods, reason = "a test has no command line that could say it")]
#[allow(clippy::print_stderr, reason = "says which cases were left out")]
fn data() -> Option<PathBuf> {
    let named = std::env::var_os("DAVY_TEST_DATA").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let beside = ["../shared/data", "../../shared/data"].map(|place| root.join(place));
    let found = named.into_iter().chain(beside).find(|folder| folder.join("cds").is_dir());
    if found.is_none() {
        eprintln!("left out: the CDS forest (no DAVY_TEST_DATA and no ../shared/data)");
    }
    found.map(|folder| folder.join("cds"))
}

fn imported(folder: &Path) -> Imported {
    let mut json = Vec::new();
    let file = std::fs::File::open(folder.join("cds-forest.json.gz")).expect("the forest is there");
    flate2::read::GzDecoder::new(file).read_to_end(&mut json).expect("gzip");
    import::forest(&json, &import::Options::cds("2026-11-21")).expect("it is imported")
}

/// The rows of a sample whose features are numbers, with the confidence in the last column.
fn sample(path: &Path) -> Vec<(Vec<f32>, f64)> {
    let text = std::fs::read_to_string(path).expect("a sample");
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let row: Option<Vec<f32>> = COLUMNS.iter().map(|column| fields.get(*column)?.parse().ok()).collect();
        row.zip(fields.get(73)?.parse().ok())
    };
    text.lines().filter_map(parse).collect()
}

fn check(options: &Options, tolerance: f64) {
    let Some(folder) = data() else { return };
    let Imported { model, card } = imported(&folder);
    let scorer = Scorer::new(&Package::parse(&card, model).expect("a package"), options).expect("a scorer");
    let rows = sample(&folder.join("sample-new-output.csv"));
    assert_eq!(rows.iter().map(|(_, confidence)| *confidence).collect::<Vec<_>>(), [0.0, 1.0]);
    for (row, confidence) in rows {
        let columns: Vec<&[f32]> = row.chunks(1).collect();
        let mut score = [f64::NAN];
        scorer.score(&columns, &mut score).expect("a score");
        assert!((score[0] - confidence).abs() <= tolerance, "{row:?}: {} where {confidence} was found", score[0]);
        let explanation = scorer.explain(&row).expect("no error").expect("a forest explains itself");
        let sum = explanation.base + explanation.contributions.iter().sum::<f64>();
        assert!((sum - confidence).abs() < 1e-9, "{explanation:?}");
    }
}

#[test]
fn the_cds_forest_scores_its_samples_exactly() {
    check(&native(), 0.0);
}

#[test]
fn onnx_runtime_scores_the_cds_forest_too() {
    check(&onnxruntime(), 1e-6);
}
