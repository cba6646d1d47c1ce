//! TreeEnsemble, the operator of ai.onnx.ml 5: splits and leaves in lists of their own, children by index.
//!
//! Rewritten into the older lists, as ONNX Runtime does (`TreeEnsembleAttributesV5::convert_to_v3`), so that one builder checks
//! both.

use super::compare::Mode;
use super::ensemble::{Described, Post, ids};
use super::model::Node;
use super::trees::{Listing, Weights};
use crate::error::{Error, Result};
use crate::forest::{Combine, MAX_NODES};

/// The lists of the operator, equally long within each group.
struct Lists {
    roots: Vec<u32>,
    features: Vec<u32>,
    modes: Vec<Mode>,
    splits: Vec<f64>,
    on_true: Vec<u32>,
    on_false: Vec<u32>,
    true_is_leaf: Vec<bool>,
    false_is_leaf: Vec<bool>,
    nan_is_true: Vec<bool>,
    leaf_outputs: Vec<u32>,
    leaf_weights: Vec<f64>,
}

fn refuse<T>(what: impl std::fmt::Display) -> Result<T> {
    Err(Error::invalid(format!("model: TreeEnsemble: {what}"), "export the model again from the trainer"))
}

pub(super) fn describe(node: &Node<'_>, n_outputs: usize) -> Result<Described> {
    let lists = Lists::read(node)?;
    let (listing, weights) = lists.rewrite()?;
    let post = match int(node, "post_transform", 0)? {
        0 => Post::None,
        // The specification says that 1 is SOFTMAX and 2 LOGISTIC; ONNX Runtime (1.31) takes them the other way round.
        1..=4 => Post::Other,
        other => return refuse(format!("`post_transform` is {other}")),
    };
    let combine = match int(node, "aggregate_function", 1)? {
        0 => Some(Combine::Mean),
        1 => Some(Combine::Sum),
        2 | 3 => None,
        other => return refuse(format!("`aggregate_function` is {other}")),
    };
    Ok(Described { n_outputs, post, combine, base: vec![], listing, weights })
}

fn int(node: &Node<'_>, name: &str, default: i64) -> Result<i64> {
    node.attribute(name).map_or(Ok(default), |attribute| attribute.int())
}

fn flags(node: &Node<'_>, name: &str) -> Result<Vec<bool>> {
    node.attribute(name).map_or(Ok(vec![]), |attribute| attribute.ints(|flag| Some(flag != 0)))
}

fn numbers(node: &Node<'_>, name: &str) -> Result<Vec<f64>> {
    node.attribute(name).map_or(Ok(vec![]), |attribute| attribute.tensor()?.numbers())
}

fn mode(code: u8) -> Mode {
    match code {
        0 => Mode::Leq,
        1 => Mode::Lt,
        2 => Mode::Gte,
        3 => Mode::Gt,
        _ => Mode::Other,
    }
}

impl Lists {
    fn read(node: &Node<'_>) -> Result<Self> {
        let modes = node.attribute("nodes_modes").map_or(Ok(vec![]), |attribute| attribute.tensor()?.bytes())?;
        if let Some(unknown) = modes.iter().find(|code| 6 < **code) {
            return refuse(format!("`nodes_modes` holds {unknown}, which is not known"));
        }
        let lists = Self {
            roots: ids(node, "tree_roots")?,
            features: ids(node, "nodes_featureids")?,
            modes: modes.into_iter().map(mode).collect(),
            splits: numbers(node, "nodes_splits")?,
            on_true: ids(node, "nodes_truenodeids")?,
            on_false: ids(node, "nodes_falsenodeids")?,
            true_is_leaf: flags(node, "nodes_trueleafs")?,
            false_is_leaf: flags(node, "nodes_falseleafs")?,
            nan_is_true: flags(node, "nodes_missing_value_tracks_true")?,
            leaf_outputs: ids(node, "leaf_targetids")?,
            leaf_weights: numbers(node, "leaf_weights")?,
        };
        let n_splits = lists.features.len();
        let lengths = [
            lists.modes.len(),
            lists.splits.len(),
            lists.on_true.len(),
            lists.on_false.len(),
            lists.true_is_leaf.len(),
            lists.false_is_leaf.len(),
        ];
        if lengths != [n_splits; 6] || lists.leaf_outputs.len() != lists.leaf_weights.len() {
            return refuse("its lists of nodes, or of leaves, differ in length");
        }
        Ok(lists)
    }

    /// Walks all trees. A split is listed once in each tree, so that the walk ends; [`Listing::grow`] looks at what is shared.
    fn rewrite(&self) -> Result<(Listing, Weights)> {
        let mut listing = Listing::default();
        let mut weights = Weights { is_f64: true, ..Weights::default() };
        let mut id_in_tree = vec![(u32::MAX, 0); self.features.len()];
        for (tree, root) in (0_u32..).zip(&self.roots) {
            let at = *root as usize;
            if self.features.len() <= at {
                return refuse(format!("tree {tree} has root {root}, which is not there"));
            }
            // A tree that is nothing but a leaf has a split of which both children are that leaf.
            let is_leaf = self.true_is_leaf[at] && self.false_is_leaf[at] && self.on_true[at] == self.on_false[at];
            let first = if is_leaf { self.on_true[at] } else { *root };
            let begin = listing.tree_ids.len();
            let mut open = vec![(first, is_leaf, None)];
            while let Some((at, is_leaf, parent)) = open.pop() {
                let index_in_list = listing.tree_ids.len();
                if MAX_NODES < index_in_list {
                    return refuse(format!("its trees have more than {MAX_NODES} nodes"));
                }
                let next_id = u32::try_from(index_in_list - begin).unwrap_or(u32::MAX);
                let index = at as usize;
                let met = id_in_tree.get(index).filter(|(of, _)| !is_leaf && *of == tree);
                let id = met.map_or(next_id, |(_, id)| *id);
                match parent {
                    Some((parent, true)) => listing.true_ids[parent] = id,
                    Some((parent, false)) => listing.false_ids[parent] = id,
                    None => {}
                }
                if met.is_some() {
                    continue;
                }
                listing.begin(tree, id);
                if is_leaf {
                    let leaf = self.leaf_outputs.get(at as usize).zip(self.leaf_weights.get(at as usize));
                    let Some((output, weight)) = leaf else {
                        return refuse(format!("tree {tree} has leaf {at}, which is not there"));
                    };
                    weights.push(tree, id, *output, *weight);
                    listing.push(0, Mode::Leaf, 0.0, false);
                    continue;
                }
                match id_in_tree.get_mut(index) {
                    Some(of_tree) => *of_tree = (tree, id),
                    None => return refuse(format!("tree {tree} has node {at}, which is not there")),
                }
                let nan_is_true = self.nan_is_true.get(index).copied().unwrap_or(false);
                listing.push(self.features[index], self.modes[index], self.splits[index], nan_is_true);
                open.push((self.on_false[index], self.false_is_leaf[index], Some((index_in_list, false))));
                open.push((self.on_true[index], self.true_is_leaf[index], Some((index_in_list, true))));
            }
        }
        Ok((listing, weights))
    }
}
