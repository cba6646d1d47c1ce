//! A forest as plain data: what the ONNX reader makes and every backend of our own is built from.
//!
//! Invariants are checked once, by [`Forest::check`]; who holds a `Forest` made by [`Forest::new`] may rely on them.

use crate::error::{Error, Result};

/// A forest of binary trees over `n_features` columns of `f32`.
///
/// Output `k` of a row is `transform(base[k] + combine(leaf values of the row's leaves))`, see [`Combine`]; all sums in f64, in
/// the order of the trees.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    n_features: usize,
    n_outputs: usize,
    trees: Vec<Tree>,
    combine: Combine,
    base: Vec<f64>,
    transform: Transform,
}

/// The parts of a [`Forest`], before they are checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    pub n_features: usize,
    /// Outputs per row; for a classifier the classes.
    pub n_outputs: usize,
    /// Trees in the model's order.
    pub trees: Vec<Tree>,
    /// How leaf values become one number.
    pub combine: Combine,
    /// Added to each output before the transform; `n_outputs` values.
    pub base: Vec<f64>,
    /// What is done to the sums.
    pub transform: Transform,
}

/// How the values of a row's leaves become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    Sum,
    /// Their sum divided by the number of trees: scikit-learn's forests. A leaf's value is then the share of a class in it.
    Mean,
}

/// What is done to the summed outputs of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    Identity,
    /// `1 / (1 + e^-x)` each.
    Logistic,
    /// `e^x / Σ e^x`.
    Softmax,
    /// Two outputs from one sum `x`, which stands in output 1 (the sum of output 0 is not used): `[1 - x, x]`.
    Complement,
    /// The same after the logistic function: `[1 - s(x), s(x)]`.
    LogisticComplement,
}

/// One tree; node 0 is the root.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// Nodes; children stand behind their parents.
    pub nodes: Vec<Node>,
    /// Values of the leaves: `n_outputs` for each leaf, leaf after leaf.
    pub leaf_values: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Node {
    /// `x[feature] <= threshold` goes left; NaN goes where `nan_left` says.
    Split {
        feature: u32,
        /// Already rounded down to f32, so that comparing f32 with it decides as the trainer did in f64. May be ±Inf, never NaN.
        threshold: f32,
        /// Node where the comparison holds.
        left: u32,
        /// Node where it does not.
        right: u32,
        nan_left: bool,
        /// Training rows that came here, or 0 where the model does not say; only explanations use it.
        cover: f32,
    },
    /// The values stand at `leaf * n_outputs` in [`Tree::leaf_values`].
    Leaf {
        /// Number among the tree's leaves.
        leaf: u32,
        /// As in a split.
        cover: f32,
    },
}

/// The most features, outputs, trees and nodes that are accepted; far beyond any model that scores in time.
pub const MAX_FEATURES: usize = 4_096;
pub const MAX_OUTPUTS: usize = 256;
pub const MAX_TREES: usize = 65_536;
/// Of all trees together; see [`MAX_FEATURES`].
pub const MAX_NODES: usize = 64 << 20;

impl Forest {
    /// Checks the parts: sizes, children behind their parents and each with one parent (so every walk ends), features and
    /// leaves in range, thresholds not NaN, finite values.
    pub fn new(parts: Parts) -> Result<Self> {
        let Parts { n_features, n_outputs, trees, combine, base, transform } = parts;
        let forest = Self { n_features, n_outputs, trees, combine, base, transform };
        forest.check()?;
        Ok(forest)
    }

    fn check(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::invalid(what, "export the model again from the trainer"));
        let in_bounds = (1..=MAX_FEATURES).contains(&self.n_features)
            && (1..=MAX_OUTPUTS).contains(&self.n_outputs)
            && (1..=MAX_TREES).contains(&self.trees.len());
        if !in_bounds {
            return refuse(format!(
                "the forest has {} features, {} outputs and {} trees; the limits are {MAX_FEATURES}, {MAX_OUTPUTS} and {MAX_TREES}",
                self.n_features,
                self.n_outputs,
                self.trees.len()
            ));
        }
        if self.base.len() != self.n_outputs || self.base.iter().any(|base| !base.is_finite()) {
            return refuse(format!(
                "the forest's base values {:?} are not {} finite numbers",
                self.base, self.n_outputs
            ));
        }
        let is_pair = matches!(self.transform, Transform::Complement | Transform::LogisticComplement);
        if is_pair && self.n_outputs != 2 {
            return refuse(format!("a two-class transform over {} outputs", self.n_outputs));
        }
        if MAX_NODES < self.trees.iter().map(|tree| tree.nodes.len()).sum() {
            return refuse(format!("the forest has more than {MAX_NODES} nodes"));
        }
        for (index, tree) in self.trees.iter().enumerate() {
            if let Err(what) = tree.check(self.n_features, self.n_outputs) {
                return refuse(format!("tree {index}: {what}"));
            }
        }
        Ok(())
    }

    pub fn n_features(&self) -> usize {
        self.n_features
    }

    pub fn n_outputs(&self) -> usize {
        self.n_outputs
    }

    /// Trees in the model's order.
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// How leaf values become one number.
    pub fn combine(&self) -> Combine {
        self.combine
    }

    /// Added to each output before the transform.
    pub fn base(&self) -> &[f64] {
        &self.base
    }

    /// What is done to the sums.
    pub fn transform(&self) -> Transform {
        self.transform
    }
}

impl Tree {
    fn check(&self, n_features: usize, n_outputs: usize) -> Result<(), String> {
        let n_nodes = self.nodes.len();
        if n_nodes == 0 {
            return Err("it has no nodes".to_owned());
        }
        if !self.leaf_values.len().is_multiple_of(n_outputs) || self.leaf_values.iter().any(|value| !value.is_finite())
        {
            return Err("its leaf values are not finite numbers, one for each output".to_owned());
        }
        let n_leaves = self.leaf_values.len() / n_outputs;
        let mut has_parent = vec![false; n_nodes];
        for (index, node) in self.nodes.iter().enumerate() {
            match *node {
                Node::Leaf { leaf, .. } if (leaf as usize) < n_leaves => {}
                Node::Leaf { leaf, .. } => return Err(format!("node {index} names leaf {leaf} of {n_leaves}")),
                Node::Split { feature, threshold, left, right, .. } => {
                    if n_features <= feature as usize || threshold.is_nan() {
                        return Err(format!(
                            "node {index} compares feature {feature} of {n_features} with {threshold}"
                        ));
                    }
                    for child in [left as usize, right as usize] {
                        if child <= index || n_nodes <= child || std::mem::replace(&mut has_parent[child], true) {
                            return Err(format!("node {index} has node {child} as a child, which is no tree"));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The number of the leaf that a row falls into; `value(feature)` gives the row's values.
    pub fn leaf(&self, value: impl Fn(usize) -> f32) -> usize {
        let mut at = 0_usize;
        loop {
            match self.nodes[at] {
                Node::Leaf { leaf, .. } => return leaf as usize,
                Node::Split { feature, threshold, left, right, nan_left, .. } => {
                    let x = value(feature as usize);
                    let goes_left = if x.is_nan() { nan_left } else { x <= threshold };
                    at = if goes_left { left as usize } else { right as usize };
                }
            }
        }
    }
}

impl Forest {
    /// All outputs of one row, by the plainest walk there is: what the kernels are compared with, and what explains a score.
    pub fn outputs(&self, row: &[f32]) -> Vec<f64> {
        let mut sums = vec![0.0; self.n_outputs];
        for tree in &self.trees {
            let begin = tree.leaf(|feature| row[feature]) * self.n_outputs;
            for (sum, value) in sums.iter_mut().zip(&tree.leaf_values[begin..]) {
                *sum += value;
            }
        }
        self.finish(&mut sums);
        sums
    }

    /// From the sums of a row's leaf values, in tree order, to its outputs.
    pub fn finish(&self, sums: &mut [f64]) {
        for (sum, base) in sums.iter_mut().zip(&self.base) {
            if self.combine == Combine::Mean {
                *sum /= self.trees.len() as f64;
            }
            *sum += base;
        }
        match self.transform {
            Transform::Identity => {}
            Transform::Logistic => sums.iter_mut().for_each(|sum| *sum = logistic(*sum)),
            Transform::Softmax => softmax(sums),
            Transform::Complement => sums[0] = 1.0 - sums[1],
            Transform::LogisticComplement => {
                sums[1] = logistic(sums[1]);
                sums[0] = 1.0 - sums[1];
            }
        }
    }
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softmax(sums: &mut [f64]) {
    let max = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = sums.iter().map(|sum| (sum - max).exp()).sum();
    sums.iter_mut().for_each(|sum| *sum = (*sum - max).exp() / total);
}
