//! Forests imported from JSON score as scikit-learn does: the Cryptomining Detection System's, and a committed one.

use std::io::Read;
use std::path::{Path, PathBuf};

use davy_forest::import::{self, Imported};
use davy_forest::package::Package;
use davy_forest::scorer::{Options, Scorer};

use crate::packages::{folder, native, onnxruntime};

/// td, ipkt, ibyt, opkt, obyt and the eight aggregates stand in these columns of a record.
const COLUMNS: [usize; 13] = [2, 11, 12, 13, 14, 49, 50, 51, 52, 53, 54, 55, 56];

#[expect(clippy::disallowed_methods, reason = "a test has no command line that could say it")]
#[allow(clippy::print_stderr, reason = "says which cases were left out")]
fn data() -> Option<PathBuf> {
    let named = std::env::var_os("DAVY_TEST_DATA").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let beside = ["../shared/data", "../../shared/data"].map(|folder| root.join(folder));
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

/// Options for the committed forest.
fn options() -> import::Options {
    let column = |name: &str| import::Column { name: name.into(), unit: "1".into(), description: "made up".into() };
    import::Options {
        name: "three".to_owned(),
        features: ["x0", "x1", "x2", "x3", "x4"].map(column).to_vec(),
        classes: ["benign", "miner", "scanner"].map(str::to_owned).to_vec(),
        ..import::Options::cds("2026-11-21")
    }
}

#[test]
fn an_imported_forest_scores_as_scikit_learn_to_the_bit() {
    let json = std::fs::read(folder().join("forest.json")).unwrap();
    let Imported { model, card } = import::forest(&json, &options()).unwrap();
    let scorer = Scorer::new(&Package::parse(&card, model).unwrap(), &native()).unwrap();
    let expected: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let rows: Vec<Vec<f32>> = serde_json::from_value(expected["rows"].clone()).unwrap();
    let scores: Vec<f64> = serde_json::from_value(expected["scores"].clone()).unwrap();
    for (row, expected) in rows.iter().zip(scores) {
        let columns: Vec<&[f32]> = row.chunks(1).collect();
        let mut score = [f64::NAN];
        scorer.score(&columns, &mut score).unwrap();
        assert_eq!(score, [expected], "{row:?}");
    }
}

const STUMP: &str = r#"{"n_features": 5, "trees": [{"children_left": [1, -1, -1], "children_right": [2, -1, -1],
    "feature": [0, -2, -2], "threshold": [0.5, -2.0, -2.0], "value": [[2, 1, 1], [2, 0, 0], [0, 1, 1]]}]}"#;

#[test]
fn a_forest_in_json_that_is_none_is_refused() {
    let remedy = "write it again from the fitted `RandomForestClassifier`, each list as in `estimator.tree_`";
    let cases = [
        ("\"n_features\": 5", "\"n_features\": 4", "it takes 4 features, 5 are named"),
        ("{\"n_features\": 5,", "{", "missing field `n_features` at line 2"),
        ("]]}]}", "]]}]", "EOF while parsing an object at line 2"),
        ("[1, -1, -1]", "[1, -1, \"x\"]", "invalid type: string \"x\", expected i64 at line 1"),
        ("[1, -1, -1]", "[1, -1]", "tree 0: its lists differ in length, or are empty"),
        ("[1, -1, -1]", "[0, -1, -1]", "tree 0: node 0 has node 0 as a child, which is no tree"),
        ("[1, -1, -1]", "[2, -1, -1]", "tree 0: node 0 has node 2 as a child, which is no tree"),
        ("[1, -1, -1]", "[9, -1, -1]", "tree 0: node 0 has node 9 as a child, which is no tree"),
        ("[1, -1, -1]", "[-1, -1, -1]", "tree 0: node 0 has one child"),
        ("[0, -2, -2]", "[5, -2, -2]", "tree 0: node 0 compares feature 5 of 5"),
        ("[0, -2, -2]", "[-2, -2, -2]", "tree 0: node 0 compares feature -2 of 5"),
        ("[2, 0, 0]", "[0, 0, 0]", "tree 0: node 1: `value` is not a weight for each of 3 classes"),
        ("[2, 0, 0]", "[2, 0]", "tree 0: node 1: `value` is not a weight for each of 3 classes"),
        ("[2, 0, 0]", "[2, 0, -1]", "tree 0: node 1: `value` is not a weight for each of 3 classes"),
        ("[2, 0, 0]", "[1e300, 1e308, 1e308]", "tree 0: node 1: `value` is not a weight for each of 3 classes"),
        (
            "\"trees\": [",
            "\"params\": {\"n_estimators\": 2}, \"trees\": [",
            "it has 1 trees, `params.n_estimators` says otherwise",
        ),
        ("\"trees\": [", "\"trees\": [], \"trees\": [", "duplicate field `trees` at line 1"),
    ];
    import::forest(STUMP.as_bytes(), &options()).unwrap();
    for (from, to, expected) in cases {
        assert!(STUMP.contains(from), "{from}");
        let message = import::forest(STUMP.replacen(from, to, 1).as_bytes(), &options()).unwrap_err().to_string();
        let remedy = if to.contains("\": 4") { "name each feature, in the order of the training" } else { remedy };
        // serde_json counts columns one way or the other, depending on features that other crates switch on.
        let message = match message.split_once(" column ") {
            Some((before, after)) => format!("{before}{}", after.trim_start_matches(|c: char| c.is_ascii_digit())),
            None => message,
        };
        assert_eq!(message, format!("forest in JSON: {expected}; {remedy}"));
    }
}
