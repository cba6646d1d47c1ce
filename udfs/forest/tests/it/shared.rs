//! Trees in which two paths lead to one node: the backends that take them score them as a walk of the graph does, to the bit.

use davy_forest::package::Package;
use davy_forest::scorer::{Options, Scorer};

use crate::packages::{native, onnxruntime};
use crate::tiny::Attribute::{Floats, Ints, Raw, Texts};
use crate::tiny::{Model, Node, card, field, int, model};

/// A split on `x[feature]` with where it leads to, or a leaf with its vote for the positive class.
#[derive(Clone, Copy)]
enum Step {
    Split { feature: usize, mode: &'static str, threshold: f32, on_true: i64, on_false: i64 },
    Leaf(f32),
}

use Step::{Leaf, Split};

const fn split(feature: usize, threshold: f32, on_true: i64, on_false: i64) -> Step {
    Split { feature, mode: "BRANCH_LEQ", threshold, on_true, on_false }
}

const fn equal(threshold: f32, on_true: i64, on_false: i64) -> Step {
    Split { feature: 0, mode: "BRANCH_EQ", threshold, on_true, on_false }
}

/// The oracle: follows the graph.
fn walk(steps: &[Step], row: [f32; 2]) -> f64 {
    let mut at = 0;
    loop {
        match steps[at] {
            Leaf(vote) => return f64::from(vote),
            Split { feature, mode, threshold, on_true, on_false } => {
                let holds = if mode == "BRANCH_EQ" { row[feature] == threshold } else { row[feature] <= threshold };
                at = usize::try_from(if holds { on_true } else { on_false }).expect("a node");
            }
        }
    }
}

fn classifier(steps: &[Step]) -> Model {
    let each = |value: fn(&Step) -> i64| Ints(steps.iter().map(value).collect());
    let of = |value: fn(&Step) -> f32| Floats(steps.iter().map(value).collect());
    let leaves: Vec<(i64, f32)> = (0..)
        .zip(steps)
        .filter_map(|(id, step)| match step {
            Leaf(vote) => Some((id, *vote)),
            Split { .. } => None,
        })
        .collect();
    let mut model = model();
    model.set("nodes_treeids", Ints(vec![0; steps.len()]));
    model.set("nodes_nodeids", Ints((0..).take(steps.len()).collect()));
    model.set("nodes_featureids", each(|step| if let Split { feature, .. } = step { *feature as i64 } else { 0 }));
    let mode = |step: &Step| if let Split { mode, .. } = step { *mode } else { "LEAF" };
    model.set("nodes_modes", Texts(steps.iter().map(mode).collect()));
    model.set("nodes_truenodeids", each(|step| if let Split { on_true, .. } = step { *on_true } else { 0 }));
    model.set("nodes_falsenodeids", each(|step| if let Split { on_false, .. } = step { *on_false } else { 0 }));
    model.set("nodes_values", of(|step| if let Split { threshold, .. } = step { *threshold } else { 0.0 }));
    let twice = |value: fn(&(i64, f32)) -> i64| leaves.iter().flat_map(|leaf| [value(leaf); 2]).collect();
    model.set("class_treeids", Ints(vec![0; 2 * leaves.len()]));
    model.set("class_nodeids", Ints(twice(|leaf| leaf.0)));
    model.set("class_ids", Ints([0, 1].repeat(leaves.len())));
    model.set("class_weights", Floats(leaves.iter().flat_map(|leaf| [1.0 - leaf.1, leaf.1]).collect()));
    model
}

fn package(model: &Model, steps: &[Step]) -> Package {
    let model = model.write();
    let mut package = Package::parse(&card(&model), model).expect("a package");
    for golden in &mut package.card.golden {
        golden.score = walk(steps, [golden.features[0] as f32, golden.features[1] as f32]);
    }
    package
}

/// The scores of a grid of rows are the oracle's, to the bit.
fn check(package: &Package, steps: &[Step], options: &Options) {
    let scorer = Scorer::new(package, options).expect("a scorer");
    let grid: Vec<[f32; 2]> = (0..100).map(|at| [(at % 10) as f32 * 0.5, (at / 10) as f32 * 0.5]).collect();
    let column = |feature: usize| grid.iter().map(|row| row[feature]).collect::<Vec<f32>>();
    let mut scores = vec![0.0; grid.len()];
    scorer.score(&[&column(0), &column(1)], &mut scores).expect("scores");
    let found: Vec<u64> = scores.iter().map(|score| score.to_bits()).collect();
    let wanted: Vec<u64> = grid.iter().map(|row| walk(steps, *row).to_bits()).collect();
    assert_eq!(found, wanted, "{}", scorer.backend());
}

/// A leaf and a split that two paths lead to. ONNX Runtime wants the nodes for comparisons that do not hold to be of one path.
const SHARED: [Step; 7] = [
    split(0, 0.5, 1, 2),
    split(1, 1.0, 5, 6),
    split(1, 2.0, 4, 5),
    Leaf(0.25),
    Leaf(0.75),
    split(0, 3.0, 4, 3),
    Leaf(0.5),
];

/// The same with paths that ONNX Runtime does not take.
const SHARED_ANYHOW: [Step; 6] =
    [split(0, 0.5, 1, 2), split(1, 1.0, 3, 4), split(1, 2.0, 4, 5), Leaf(0.25), Leaf(0.75), split(0, 3.0, 1, 4)];

/// Membership in {1, 4}, as LightGBM's exporters write it.
const MEMBER: [Step; 4] = [equal(1.0, 1, 2), Leaf(0.25), equal(4.0, 1, 3), Leaf(0.875)];

/// Both children of each split are the next one: with every level twice as many paths.
fn ladder(n_levels: i64) -> Vec<Step> {
    let mut steps: Vec<Step> =
        (1..=n_levels).map(|next| split((next % 2) as usize, next as f32 / 4.0, next, next)).collect();
    steps.extend([split(0, 2.0, n_levels + 1, n_levels + 2), Leaf(0.25), Leaf(0.5)]);
    steps
}

#[test]
fn shared_nodes_score_alike_in_both_backends() {
    for steps in [&SHARED[..], &ladder(10)] {
        let package = package(&classifier(steps), steps);
        check(&package, steps, &native());
        check(&package, steps, &onnxruntime());
    }
}

#[test]
fn onnx_runtime_scores_what_the_native_kernel_does_not_take() {
    for steps in [&MEMBER[..], &ladder(40)] {
        let package = package(&classifier(steps), steps);
        check(&package, steps, &onnxruntime());
    }
}

#[test]
fn too_many_copies_for_the_native_kernel_are_refused_by_their_number() {
    let steps = ladder(40);
    let error = Scorer::new(&package(&classifier(&steps), &steps), &native()).unwrap_err().to_string();
    assert!(error.contains("with a copy for each path it has 4398046511103 nodes"), "{error}");
    assert!(error.contains("`auto` or `onnxruntime`"), "{error}");
}

#[test]
fn a_cycle_is_refused_whatever_the_backend() {
    let cycle = [split(0, 0.5, 1, 2), split(1, 1.0, 3, 2), split(1, 2.0, 1, 3), Leaf(0.25)];
    let model = classifier(&cycle).write();
    let error = Package::parse(&card(&model), model).unwrap_err().to_string();
    assert!(error.contains("leads back to itself"), "{error}");
}

/// The same as a TreeEnsemble of ai.onnx.ml 5 with one output, in which leaves have a list of their own.
fn unified(steps: &[Step]) -> Model {
    let mut places = Vec::new();
    let (mut n_splits, mut n_leaves) = (0, 0);
    for step in steps {
        let count = if matches!(step, Leaf(_)) { &mut n_leaves } else { &mut n_splits };
        places.push((*count, i64::from(matches!(step, Leaf(_)))));
        *count += 1;
    }
    let mut model = model();
    model.opsets = vec![("", 17), ("ai.onnx.ml", 5)];
    let splits = || steps.iter().filter(|step| matches!(step, Split { .. }));
    let child = |is_true: bool| {
        splits().map(move |step| match step {
            Split { on_true, on_false, .. } => {
                usize::try_from(if is_true { *on_true } else { *on_false }).expect("a node")
            }
            Leaf(_) => 0,
        })
    };
    let thresholds = splits().map(|step| if let Split { threshold, .. } = step { *threshold } else { 0.0 });
    let votes = steps.iter().filter_map(|step| if let Leaf(vote) = step { Some(*vote) } else { None });
    let number = |value: i64| Raw([int(20, 2), int(3, value)].concat());
    model.nodes = vec![Node {
        op: "TreeEnsemble",
        outputs: vec!["scores"],
        attributes: vec![
            ("tree_roots", Ints(vec![0])),
            (
                "nodes_featureids",
                Ints(splits().map(|step| if let Split { feature, .. } = step { *feature as i64 } else { 0 }).collect()),
            ),
            ("nodes_modes", tensor(2, &vec![0; n_splits as usize])),
            ("nodes_splits", floats(thresholds)),
            ("nodes_truenodeids", Ints(child(true).map(|at| places[at].0).collect())),
            ("nodes_falsenodeids", Ints(child(false).map(|at| places[at].0).collect())),
            ("nodes_trueleafs", Ints(child(true).map(|at| places[at].1).collect())),
            ("nodes_falseleafs", Ints(child(false).map(|at| places[at].1).collect())),
            ("leaf_targetids", Ints(vec![0; n_leaves as usize])),
            ("leaf_weights", floats(votes)),
            ("n_targets", number(1)),
            ("post_transform", number(0)),
            ("aggregate_function", number(1)),
        ],
        ..model.nodes[0].clone()
    }];
    model.outputs[0].2 = 1;
    model
}

fn floats(values: impl Iterator<Item = f32>) -> crate::tiny::Attribute {
    tensor(1, &values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>())
}

/// A tensor of one dimension; `code` is its type's.
fn tensor(code: i64, bytes: &[u8]) -> crate::tiny::Attribute {
    let width = if code == 1 { 4 } else { 1 };
    let mut tensor = [int(1, (bytes.len() / width) as i64), int(2, code)].concat();
    field(&mut tensor, 9, bytes);
    let mut attribute = int(20, 4);
    field(&mut attribute, 5, &tensor);
    Raw(attribute)
}

#[test]
fn the_native_kernel_scores_shared_nodes_that_onnx_runtime_does_not_take() {
    for steps in [&SHARED_ANYHOW[..], &SHARED, &ladder(10)] {
        check(&package(&classifier(steps), steps), steps, &native());
        let unified = package(&unified(steps), steps);
        check(&unified, steps, &native());
        assert!(
            Scorer::new(&unified, &onnxruntime()).is_err(),
            "if ONNX Runtime takes it, its scores are to be compared too"
        );
    }
}
