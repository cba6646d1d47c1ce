//! Writes `model.onnx`.

use super::source::{Source, Tree};
use crate::onnx::write::Message;

/// IR version 8 with ai.onnx.ml 3: the first with f64 tensors, which every ONNX Runtime in use reads.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;
const ML_OPSET: i64 = 3;

const DOUBLE: i64 = 11;
const FLOAT: i64 = 1;

/// `AttributeProto.AttributeType` of ONNX.
mod kind {
    pub(super) const INT: i64 = 2;
    pub(super) const STRING: i64 = 3;
    pub(super) const TENSOR: i64 = 4;
    pub(super) const FLOATS: i64 = 6;
    pub(super) const INTS: i64 = 7;
    pub(super) const STRINGS: i64 = 8;
}

pub(super) fn write(source: &Source) -> Vec<u8> {
    let n_classes = source.trees[0].value[0].len() as i64;
    let ensemble = Message::default()
        .bytes(1, "features")
        .bytes(2, "probabilities")
        .bytes(4, "TreeEnsembleRegressor")
        .bytes(7, "ai.onnx.ml");
    let ensemble = attributes(source, n_classes).iter().fold(ensemble, |node, attribute| node.message(5, attribute));
    let graph = Message::default()
        .message(1, &ensemble)
        .bytes(2, "forest")
        .message(11, &matrix("features", DOUBLE, source.n_features as i64))
        .message(12, &matrix("probabilities", FLOAT, n_classes));
    Message::default()
        .int(1, IR_VERSION)
        .bytes(2, "davy")
        .message(7, &graph)
        .message(8, &Message::default().bytes(1, "").int(2, OPSET))
        .message(8, &Message::default().bytes(1, "ai.onnx.ml").int(2, ML_OPSET))
        .finish()
}

/// A declared input or output: rows times columns.
fn matrix(name: &str, elem: i64, n_columns: i64) -> Message {
    let rows = Message::default().bytes(2, "rows");
    let columns = Message::default().int(1, n_columns);
    let shape = Message::default().message(1, &rows).message(1, &columns);
    let tensor = Message::default().int(1, elem).message(2, &shape);
    Message::default().bytes(1, name).message(2, &Message::default().message(1, &tensor))
}

fn attributes(source: &Source, n_classes: i64) -> Vec<Message> {
    let split = |tree: &Tree, node: usize, of_split: i64| if tree.children(node).is_some() { of_split } else { 0 };
    let child = |children: fn(&Tree) -> &[i64]| {
        nodes(source).map(move |(_, tree, node)| split(tree, node, children(tree)[node]))
    };
    let modes = nodes(source).map(|(_, tree, node)| if tree.children(node).is_some() { "BRANCH_LEQ" } else { "LEAF" });
    let thresholds =
        nodes(source).map(|(_, tree, node)| if tree.children(node).is_some() { tree.threshold[node] } else { 0.0 });
    let has_covers = source.trees.iter().all(|tree| !tree.weighted.is_empty());
    let covers = nodes(source).filter(|_| has_covers).map(|(_, tree, node)| tree.weighted[node] as f32);
    let weights = leaves(source).flat_map(|(_, tree, node)| tree.shares(node));
    let per_class = |of: fn((usize, &Tree, usize)) -> i64| {
        leaves(source).flat_map(move |leaf| (0..n_classes).map(move |_| of(leaf)))
    };
    vec![
        Message::default().bytes(1, "aggregate_function").bytes(4, "AVERAGE").int(20, kind::STRING),
        Message::default().bytes(1, "n_targets").int(3, n_classes).int(20, kind::INT),
        Message::default().bytes(1, "post_transform").bytes(4, "NONE").int(20, kind::STRING),
        ints("nodes_treeids", nodes(source).map(|(tree, ..)| tree as i64)),
        ints("nodes_nodeids", nodes(source).map(|(.., node)| node as i64)),
        ints("nodes_featureids", nodes(source).map(|(_, tree, node)| split(tree, node, tree.feature[node]))),
        ints("nodes_truenodeids", child(|tree| &tree.children_left)),
        ints("nodes_falsenodeids", child(|tree| &tree.children_right)),
        modes
            .fold(Message::default().bytes(1, "nodes_modes"), |message, mode| message.bytes(9, mode))
            .int(20, kind::STRINGS),
        doubles("nodes_values_as_tensor", thresholds),
        floats("nodes_hitrates", covers),
        ints("target_treeids", per_class(|(tree, ..)| tree as i64)),
        ints("target_nodeids", per_class(|(.., node)| node as i64)),
        ints("target_ids", leaves(source).flat_map(|_| 0..n_classes)),
        doubles("target_weights_as_tensor", weights),
    ]
}

/// Number of the tree, tree and number of the node, for all nodes.
fn nodes(source: &Source) -> impl Iterator<Item = (usize, &Tree, usize)> {
    let trees = source.trees.iter().enumerate();
    trees.flat_map(|(index, tree)| (0..tree.feature.len()).map(move |node| (index, tree, node)))
}

fn leaves(source: &Source) -> impl Iterator<Item = (usize, &Tree, usize)> {
    nodes(source).filter(|(_, tree, node)| tree.children(*node).is_none())
}

fn ints(name: &str, values: impl Iterator<Item = i64>) -> Message {
    Message::default().bytes(1, name).ints(8, values).int(20, kind::INTS)
}

fn floats(name: &str, values: impl Iterator<Item = f32>) -> Message {
    let packed: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
    Message::default().bytes(1, name).bytes(7, packed).int(20, kind::FLOATS)
}

fn doubles(name: &str, values: impl Iterator<Item = f64>) -> Message {
    let raw: Vec<u8> = values.flat_map(f64::to_le_bytes).collect();
    let len = (raw.len() / size_of::<f64>()) as i64;
    let tensor = Message::default().ints(1, [len]).int(2, DOUBLE).bytes(8, name).bytes(9, raw);
    Message::default().bytes(1, name).message(5, &tensor).int(20, kind::TENSOR)
}
