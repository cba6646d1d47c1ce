//! Any bytes as a model: it is refused, or it loads and scores; nothing panics, and nothing is allocated without bound
//! (`-rss_limit_mb=512 -malloc_limit_mb=128`).
//!
//! The first byte says how many features and classes the card has, so that a committed package's model becomes a seed by one
//! byte in front: 4 for two classes, 12 for three (they have five features).
#![no_main]

use davy_forest::package::{Package, sha256};
use davy_forest::scorer::{Backend, Options, Scorer};
use libfuzzer_sys::fuzz_target;

fn card(n_features: usize, n_classes: usize, model: &[u8]) -> String {
    let classes: Vec<String> = (0..n_classes).map(|class| format!("\"{class}\"")).collect();
    let mut card = format!(
        "format = 1\nname = \"m\"\nversion = \"1\"\ndescription = \"d\"\nmodel = \"m.onnx\"\nsha256 = \"{}\"\n\
         classes = [{}]\npositive = \"1\"\nthreshold = 0.5\nnot_finite = \"model\"\ntolerance = 0.01\n\
         [training]\ndate = \"2026-11-21\"\ndata = [\"d\"]\ntrainer = \"t\"\ncommand = \"c\"\n\
         [[golden]]\nfeatures = [{}]\nscore = 0\n",
        sha256(model),
        classes.join(", "),
        vec!["0"; n_features].join(", "),
    );
    for feature in 0..n_features {
        card += &format!("[[features]]\nname = \"x{feature}\"\nunit = \"1\"\ndescription = \"d\"\n");
    }
    card
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, model)) = data.split_first() else { return };
    let (n_features, n_classes) = (1 + usize::from(choice % 8), 2 + usize::from(choice >> 3) % 3);
    let card = card(n_features, n_classes, model);
    let Ok(mut package) = Package::parse(&card, model.to_vec()) else { return };
    let Some(forest) = &package.forest else { return };
    assert_eq!(forest.n_features(), n_features);
    // The golden row is whatever this model scores, so that it loads.
    let positive = package.card.positive_index().min(forest.n_outputs() - 1);
    let positive = if forest.n_outputs() == 1 { 0 } else { positive };
    let score = forest.outputs(&vec![0.0; n_features])[positive];
    if !score.is_finite() {
        return;
    }
    package.card.golden[0].score = score;
    let options = Options { backend: Backend::Native, onnxruntime: None };
    let scorer = Scorer::new(&package, &options).expect("a forest scores its own golden row");
    let values = [0.0, -1.0, 1e30, f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    let columns = vec![&values[..]; n_features];
    let (mut scores, mut classes) = ([0.0; 6], [None; 6]);
    scorer.score(&columns, &mut scores).expect("scores");
    scorer.classify(&columns, &mut classes).expect("classes");
    for value in values {
        scorer.explain(&vec![value; n_features]).expect("an explanation");
    }
});
