//! The forest as the JSON has it, checked, and the plainest scoring of it.

use serde::Deserialize;

use super::Options;
use crate::error::{Error, Result, shown};
use crate::forest::{MAX_FEATURES, MAX_NODES, MAX_OUTPUTS, MAX_TREES};
use crate::package::MAX_MODEL_BYTES;

/// A checked forest: lists of equal length, children behind their parents, leaf values that sum to something.
#[derive(Debug, Deserialize)]
pub(super) struct Source {
    pub(super) n_features: usize,
    pub(super) trees: Vec<Tree>,
    #[serde(default)]
    params: Params,
}

/// scikit-learn's `tree_`.
#[derive(Debug, Deserialize)]
pub(super) struct Tree {
    pub(super) children_left: Vec<i64>,
    pub(super) children_right: Vec<i64>,
    pub(super) feature: Vec<i64>,
    pub(super) threshold: Vec<f64>,
    /// Weights of the classes in a node, or their shares.
    pub(super) value: Vec<Vec<f64>>,
    #[serde(default)]
    pub(super) weighted: Vec<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Params {
    n_estimators: Option<usize>,
    max_depth: Option<u64>,
    #[serde(rename = "_sklearn_version")]
    sklearn_version: Option<String>,
}

/// How far shares that are rounded to f64 may be from summing to 1.
const SHARES_SUM_TOLERANCE: f64 = 1e-9;

fn refuse<T>(what: impl std::fmt::Display, hint: &str) -> Result<T> {
    Err(Error::invalid(format!("forest in JSON: {what}"), hint))
}

const REMEDY: &str = "write it again from the fitted `RandomForestClassifier`, each list as in `estimator.tree_`";

impl Source {
    pub(super) fn parse(json: &[u8], options: &Options) -> Result<Self> {
        if MAX_MODEL_BYTES < json.len() as u64 {
            return refuse(format!("it has more than {MAX_MODEL_BYTES} bytes"), "train a smaller forest");
        }
        let source: Self = match serde_json::from_slice(json) {
            Ok(source) => source,
            Err(error) => return refuse(error.to_string().chars().take(200).collect::<String>(), REMEDY),
        };
        source.check(options)?;
        Ok(source)
    }

    fn check(&self, options: &Options) -> Result<()> {
        let n_classes = options.classes.len();
        if self.n_features != options.features.len() || MAX_FEATURES < self.n_features {
            let what = format!("it takes {} features, {} are named", self.n_features, options.features.len());
            return refuse(what, "name each feature, in the order of the training");
        }
        if !(1..=MAX_TREES).contains(&self.trees.len()) || !(2..=MAX_OUTPUTS).contains(&n_classes) {
            return refuse(format!("it has {} trees and {n_classes} classes", self.trees.len()), REMEDY);
        }
        if self.params.n_estimators.is_some_and(|n_estimators| n_estimators != self.trees.len()) {
            return refuse(format!("it has {} trees, `params.n_estimators` says otherwise", self.trees.len()), REMEDY);
        }
        if MAX_NODES < self.trees.iter().map(|tree| tree.feature.len()).sum() {
            return refuse(format!("it has more than {MAX_NODES} nodes"), "train a smaller forest");
        }
        for (index, tree) in self.trees.iter().enumerate() {
            if let Err(what) = tree.check(self.n_features, n_classes) {
                return refuse(format!("tree {index}: {what}"), REMEDY);
            }
        }
        Ok(())
    }

    /// The probabilities of a row, as scikit-learn computes them.
    pub(super) fn predict(&self, row: &[f32]) -> Vec<f64> {
        let mut totals = vec![0.0; self.trees[0].value[0].len()];
        for tree in &self.trees {
            for (total, share) in totals.iter_mut().zip(tree.shares(tree.leaf(row))) {
                *total += share;
            }
        }
        totals.iter().map(|total| total / self.trees.len() as f64).collect()
    }

    pub(super) fn trainer(&self) -> String {
        let version = self
            .params
            .sklearn_version
            .as_deref()
            .map_or("scikit-learn".to_owned(), |version| format!("scikit-learn {}", shown(version)));
        let depth = self.params.max_depth.map_or("None".to_owned(), |depth| depth.to_string());
        format!("{version}, RandomForestClassifier(n_estimators={}, max_depth={depth})", self.trees.len())
    }
}

impl Tree {
    fn check(&self, n_features: usize, n_classes: usize) -> Result<(), String> {
        let n_nodes = self.feature.len();
        let lengths = [self.children_left.len(), self.children_right.len(), self.threshold.len(), self.value.len()];
        if n_nodes == 0 || lengths != [n_nodes; 4] || !(self.weighted.is_empty() || self.weighted.len() == n_nodes) {
            return Err("its lists differ in length, or are empty".to_owned());
        }
        let mut has_parent = vec![false; n_nodes];
        for node in 0..n_nodes {
            let value = &self.value[node];
            let is_distribution = value.iter().all(|weight| weight.is_finite() && 0.0 <= *weight);
            let total: f64 = value.iter().sum();
            if value.len() != n_classes || !is_distribution || total <= 0.0 || !total.is_finite() {
                return Err(format!("node {node}: `value` is not a weight for each of {n_classes} classes"));
            }
            let Some((left, right)) = self.children(node) else {
                if (self.children_left[node], self.children_right[node]) != (-1, -1) {
                    return Err(format!("node {node} has one child"));
                }
                continue;
            };
            let is_feature = usize::try_from(self.feature[node]).is_ok_and(|feature| feature < n_features);
            if !is_feature || !self.threshold[node].is_finite() {
                return Err(format!("node {node} compares feature {} of {n_features}", self.feature[node]));
            }
            for child in [left, right] {
                if child <= node || n_nodes <= child || std::mem::replace(&mut has_parent[child], true) {
                    return Err(format!("node {node} has node {child} as a child, which is no tree"));
                }
            }
        }
        match has_parent[1..].iter().position(|has_parent| !has_parent) {
            Some(orphan) => Err(format!("nothing leads to node {}", orphan + 1)),
            None => Ok(()),
        }
    }

    /// The children of a split.
    pub(super) fn children(&self, node: usize) -> Option<(usize, usize)> {
        let left = usize::try_from(self.children_left[node]).ok()?;
        let right = usize::try_from(self.children_right[node]).ok()?;
        Some((left, right))
    }

    fn leaf(&self, row: &[f32]) -> usize {
        let mut node = 0;
        while let Some((left, right)) = self.children(node) {
            let feature = usize::try_from(self.feature[node]).expect("a checked split has a feature");
            node = if f64::from(row[feature]) <= self.threshold[node] { left } else { right };
        }
        node
    }

    /// The shares of the classes in a node. Since scikit-learn 1.3 they are what `value` holds, and are not divided again.
    pub(super) fn shares(&self, node: usize) -> impl Iterator<Item = f64> {
        let total: f64 = self.value[node].iter().sum();
        let divisor = if (total - 1.0).abs() < SHARES_SUM_TOLERANCE { 1.0 } else { total };
        self.value[node].iter().map(move |weight| weight / divisor)
    }
}
