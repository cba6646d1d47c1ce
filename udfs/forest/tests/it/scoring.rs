//! Opening packages from disk, and the card's rules when rows are scored.

use davy_forest::Error;
use davy_forest::card::NotFinite;
use davy_forest::package::{MAX_CARD_BYTES, MAX_MODEL_BYTES, Package};
use davy_forest::scorer::{Explanation, Scorer};

use crate::packages::{native, open};
use crate::tiny::Attribute::{Floats, Ints, Texts};
use crate::tiny::{card, model};

fn tiny(not_finite: NotFinite) -> Scorer {
    let model = model().write();
    let mut package = Package::parse(&card(&model), model).expect("a package");
    package.card.not_finite = not_finite;
    Scorer::new(&package, &native()).expect("a scorer")
}

fn scores(scorer: &Scorer, bytes: &[f32], packets: &[f32]) -> Vec<f64> {
    let mut scores = vec![0.0; bytes.len()];
    scorer.score(&[bytes, packets], &mut scores).expect("scores");
    scores
}

#[test]
fn values_that_are_not_finite_follow_the_card() {
    let bytes = [0.0, 1.0, f32::NAN, f32::INFINITY, 0.0];
    let packets = [0.0, 0.0, 0.0, 0.0, f32::NEG_INFINITY];
    let cases = [
        (NotFinite::Null, "[0.25, 1.0, NaN, NaN, NaN]"),
        (NotFinite::Model, "[0.25, 1.0, 1.0, 1.0, 0.25]"),
        (NotFinite::Replace(0.0), "[0.25, 1.0, 0.25, 0.25, 0.25]"),
    ];
    for (rule, expected) in cases {
        assert_eq!(format!("{:?}", scores(&tiny(rule), &bytes, &packets)), expected, "{rule:?}");
    }
}

#[test]
fn a_row_is_positive_from_the_threshold_on() {
    let scorer = tiny(NotFinite::Null);
    let mut classes = [None; 3];
    scorer.classify(&[&[0.0, 1.0, f32::NAN], &[0.0; 3]], &mut classes).unwrap();
    assert_eq!(classes, [Some(0), Some(1), None]);
}

#[test]
fn of_several_classes_the_positive_one_has_a_threshold_and_the_likeliest_other_follows() {
    let mut package = open("forest_three");
    let golden: Vec<Vec<f32>> =
        package.card.golden.iter().map(|row| row.features.iter().map(|value| *value as f32).collect()).collect();
    let forest = package.forest.clone().expect("a forest");
    for threshold in [0.0, 0.3, 0.5, 1.0, 2.0] {
        package.card.threshold = threshold;
        let scorer = Scorer::new(&package, &native()).unwrap();
        for row in &golden {
            let columns: Vec<&[f32]> = row.chunks(1).collect();
            let mut class = [None];
            scorer.classify(&columns, &mut class).unwrap();
            let shares = forest.outputs(row);
            let other = if shares[2] > shares[0] { 2 } else { 0 };
            assert_eq!(class, [Some(if threshold <= shares[1] { 1 } else { other })], "{threshold}: {shares:?}");
        }
    }
}

#[test]
fn a_single_split_explains_itself() {
    let scorer = tiny(NotFinite::Null);
    let expected = Explanation { score: 0.25, base: 0.625, contributions: vec![-0.375, 0.0] };
    assert_eq!(scorer.explain(&[0.0, 7.0]).unwrap(), Some(expected));
    assert_eq!(scorer.explain(&[f32::NAN, 7.0]).unwrap(), None);
}

#[test]
fn columns_that_do_not_fit_are_refused() {
    let scorer = tiny(NotFinite::Null);
    let cases: [(&[&[f32]], &str); 3] = [
        (
            &[&[0.0]],
            "model `tiny` takes 2 features, 1 columns were given; give one column for each feature of the card, in its order",
        ),
        (&[&[0.0], &[]], "column `packets` has 0 rows for 1 scores; give columns of one length"),
        (&[&[0.0, 1.0], &[0.0]], "column `bytes` has 2 rows for 1 scores; give columns of one length"),
    ];
    for (columns, expected) in cases {
        assert_eq!(scorer.score(columns, &mut [0.0]).unwrap_err().to_string(), expected);
    }
    scorer.score(&[&[], &[]], &mut []).unwrap();
}

#[test]
fn files_that_are_missing_too_large_or_no_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let open = |card: &str| {
        Package::open(&path(card)).map(drop).map_err(|error| {
            assert!(matches!(error, Error::Invalid { .. }), "{error}");
            error.to_string().replace(&*folder.path().to_string_lossy(), "…")
        })
    };
    let large = |name: &str, bytes: u64| std::fs::File::create(path(name)).unwrap().set_len(bytes).unwrap();
    let good = model().write();
    std::fs::write(path("card.toml"), card(&good)).unwrap();
    let missing = |what: &str, name: &str| {
        let text = format!(
            "{what} `…/{name}` cannot be read: No such file or directory (os error 2); check the path, and that the {what} is readable"
        );
        Err(text)
    };
    assert_eq!(open("none.toml"), missing("card", "none.toml"));
    assert_eq!(open("card.toml"), missing("model", "model.onnx"));

    let no_file = "is no regular file; give the path of a card.toml with its model beside it";
    std::fs::create_dir(path("folder")).unwrap();
    assert_eq!(open("folder"), Err(format!("card `…/folder` {no_file}")));
    // The pipe has no writer: opening it would wait for ever.
    let status = std::process::Command::new("mkfifo").arg(path("model.onnx")).status().unwrap();
    assert!(status.success());
    assert_eq!(open("card.toml"), Err(format!("model `…/model.onnx` {no_file}")));
    std::fs::remove_file(path("model.onnx")).unwrap();

    let remedy = "is it the right file? if so, train a smaller model";
    large("model.onnx", MAX_MODEL_BYTES + 1);
    assert_eq!(
        open("card.toml"),
        Err(format!("model `…/model.onnx` has 536870913 bytes, more than 536870912; {remedy}"))
    );
    large("large.toml", MAX_CARD_BYTES + 1);
    assert_eq!(open("large.toml"), Err(format!("card `…/large.toml` has 1048577 bytes, more than 1048576; {remedy}")));

    std::fs::write(path("binary.toml"), [b'#', 0xff]).unwrap();
    assert_eq!(open("binary.toml"), Err("card `…/binary.toml`: byte 1 is not UTF-8; save it as UTF-8 text".to_owned()));
    std::fs::write(path("model.onnx"), &good).unwrap();
    assert_eq!(open("card.toml"), Ok(()));
    std::fs::write(path("model.onnx"), [&good[..], &[0]].concat()).unwrap();
    let message = open("card.toml").unwrap_err();
    assert!(
        message.contains("the card says") && message.contains("take card and model from the same package"),
        "{message}"
    );
}

/// A forest of 50 fully grown stumps, 37 of which call a small value a miner; as skl2onnx writes it for two classes, with the
/// weight of the second class under the number of the first, and as it writes it for more.
#[test]
fn votes_that_were_rounded_to_f32_are_exact_again() {
    for is_one_column in [true, false] {
        let mut model = model();
        let per_leaf: &[i64] = if is_one_column { &[0] } else { &[0, 1] };
        let trees = || (0..50_i64).flat_map(|tree| [tree; 3]);
        let leaves = || (0..50_i64).flat_map(|tree| [(tree, 1), (tree, 2)]);
        let weights = leaves().flat_map(|(tree, leaf)| {
            let share = if (tree < 37) == (leaf == 1) { 1.0_f32 / 50.0 } else { 0.0 };
            if is_one_column { vec![share] } else { vec![1.0 / 50.0 - share, share] }
        });
        model.set("nodes_treeids", Ints(trees().collect()));
        model.set("nodes_nodeids", Ints([0, 1, 2].repeat(50)));
        model.set("nodes_featureids", Ints([0, 0, 0].repeat(50)));
        model.set("nodes_modes", Texts(["BRANCH_LEQ", "LEAF", "LEAF"].repeat(50)));
        model.set("nodes_truenodeids", Ints([1, 0, 0].repeat(50)));
        model.set("nodes_falsenodeids", Ints([2, 0, 0].repeat(50)));
        model.set("nodes_values", Floats([0.5, 0.0, 0.0].repeat(50)));
        model.set("class_treeids", Ints(leaves().flat_map(|(tree, _)| vec![tree; per_leaf.len()]).collect()));
        model.set("class_nodeids", Ints(leaves().flat_map(|(_, leaf)| vec![leaf; per_leaf.len()]).collect()));
        model.set("class_ids", Ints(leaves().flat_map(|_| per_leaf.to_vec()).collect()));
        model.set("class_weights", Floats(weights.collect()));
        let model = model.write();
        let card = card(&model).replace("score = 0.25", "score = 0.74").replace("score = 1\n", "score = 0.26\n");
        let card = card.replace("tolerance = 1e-6", "tolerance = 0");
        Scorer::new(&Package::parse(&card, model).unwrap(), &native()).unwrap_or_else(|error| panic!("{error}"));
    }
}
