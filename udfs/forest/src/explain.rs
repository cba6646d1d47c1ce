//! Explains scores by the paths that a row takes (Saabas, 2014, <https://blog.datadive.net/interpreting-random-forests/>).
//!
//! What is known of a row at a node is the mean of the leaves below it, weighted by the training rows that came there (equally
//! where the model does not say). A split on a feature moves it from the parent's mean to the child's; the moves of a feature,
//! over all trees, are its contribution. It costs one walk a row, unlike SHAP values, and like them sums to the score exactly;
//! unlike them it gives more to the splits near the leaves.

use crate::forest::{Combine, Forest, Node, Transform, Tree};
use crate::scorer::Explanation;

/// The mean of each node, for one output of a forest.
#[derive(Debug)]
pub(crate) struct Explainer {
    output: usize,
    /// `means[tree][node]`.
    means: Vec<Vec<f64>>,
    /// Sum over the trees of what a row of which nothing is known gets.
    base: f64,
    /// What a leaf's value counts in the sum.
    weight: f64,
}

impl Explainer {
    pub(crate) fn new(forest: &Forest, output: usize) -> Self {
        // Of a pair that is made from one sum, output 0 is explained by the same sum, mirrored below.
        let is_pair = matches!(forest.transform(), Transform::Complement | Transform::LogisticComplement);
        let source = if is_pair { 1 } else { output };
        let weight = match forest.combine() {
            Combine::Sum => 1.0,
            Combine::Mean => 1.0 / forest.trees().len() as f64,
        };
        let means: Vec<Vec<f64>> =
            forest.trees().iter().map(|tree| node_means(tree, forest.n_outputs(), source)).collect();
        let roots: f64 = means.iter().map(|tree| tree[0]).sum();
        let sum = roots * weight + forest.base()[source];
        let (base, weight) = match (forest.transform(), output) {
            (Transform::Complement, 0) => (1.0 - sum, -weight),
            (Transform::LogisticComplement, 0) => (-sum, -weight),
            _ => (sum, weight),
        };
        Self { output, means, base, weight }
    }

    pub(crate) fn explain(&self, forest: &Forest, row: &[f32], score: f64) -> Explanation {
        debug_assert!(self.output < forest.n_outputs());
        let mut contributions = vec![0.0; forest.n_features()];
        for (tree, means) in forest.trees().iter().zip(&self.means) {
            let mut at = 0;
            while let Node::Split { feature, threshold, left, right, nan_left, .. } = tree.nodes[at] {
                let value = row[feature as usize];
                let goes_left = if value.is_nan() { nan_left } else { value <= threshold };
                let child = if goes_left { left as usize } else { right as usize };
                contributions[feature as usize] += means[child] - means[at];
                at = child;
            }
        }
        contributions.iter_mut().for_each(|contribution| *contribution *= self.weight);
        Explanation { score, base: self.base, contributions }
    }
}

/// Children stand behind their parents, so that one walk backwards meets them first.
fn node_means(tree: &Tree, n_outputs: usize, output: usize) -> Vec<f64> {
    let cover_of = |node: u32| match tree.nodes[node as usize] {
        Node::Split { cover, .. } | Node::Leaf { cover, .. } => f64::from(cover),
    };
    let mut means = vec![0.0; tree.nodes.len()];
    for (at, node) in tree.nodes.iter().enumerate().rev() {
        means[at] = match *node {
            Node::Leaf { leaf, .. } => tree.leaf_values[leaf as usize * n_outputs + output],
            Node::Split { left, right, .. } => {
                let (left_cover, right_cover) = (cover_of(left), cover_of(right));
                let (left, right) = (means[left as usize], means[right as usize]);
                let total = left_cover + right_cover;
                if 0.0 < total { (left * left_cover + right * right_cover) / total } else { f64::midpoint(left, right) }
            }
        };
    }
    means
}
