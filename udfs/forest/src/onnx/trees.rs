//! From the flat lists of an ensemble to trees: finds the children, puts each behind its parent, and refuses what is no tree.
//!
//! Exporters let two paths lead to one node (LightGBM's sets of categories do). ONNX Runtime scores most of such graphs as they are; our
//! kernel wants trees, so a shared node is copied for each path, up to a limit. A cycle is refused: scoring it would not end.

use std::collections::HashMap;
use std::ops::Range;

use super::compare::{Mode, as_at_most};
use crate::error::{Error, Result};
use crate::forest::{MAX_NODES, MAX_TREES, Node, Tree};

/// The most leaf values, leaves times outputs, that are laid out: 512 MiB.
const LEAF_VALUES_MAX: usize = 64 << 20;
/// How far the covers of two children may be off their parent's; more, and they are no counts of rows.
const COVER_TOLERANCE: f64 = 0.01;
/// The most nodes of a model whose trees share some, after these were copied: 128 MiB. Copies may double with every level.
const UNFOLDED_NODES_MAX: u64 = 4 << 20;
const NONE: u32 = u32::MAX;

/// All nodes, as the attributes list them; the lists before the last two are equally long.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) tree_ids: Vec<u32>,
    pub(super) node_ids: Vec<u32>,
    pub(super) features: Vec<u32>,
    pub(super) modes: Vec<Mode>,
    pub(super) true_ids: Vec<u32>,
    pub(super) false_ids: Vec<u32>,
    pub(super) values: Vec<f64>,
    /// Shorter, or empty: false for the rest.
    pub(super) nan_is_true: Vec<bool>,
    /// Shorter, or empty: unknown for the rest.
    pub(super) covers: Vec<f64>,
}

/// What the leaves add to the outputs; lists of one length.
#[derive(Debug, Default)]
pub(super) struct Weights {
    pub(super) tree_ids: Vec<u32>,
    pub(super) node_ids: Vec<u32>,
    pub(super) outputs: Vec<u32>,
    pub(super) values: Vec<f64>,
    /// Whether they stand in the file as doubles.
    pub(super) is_f64: bool,
}

/// The trees of a [`Listing`].
#[derive(Debug)]
pub(super) struct Grown {
    pub(super) trees: Vec<Tree>,
    /// For each output, whether any leaf names it.
    pub(super) used: Vec<bool>,
    /// For each output, whether any row gets a weight for it: all leaves of some tree name it.
    pub(super) always: Vec<bool>,
    /// Whether every leaf names every output.
    pub(super) is_dense: bool,
    /// Nodes with the copies of shared ones, where these are too many to make: the trees then lack some children.
    pub(super) too_shared: Option<u64>,
}

fn refuse<T>(what: impl std::fmt::Display) -> Result<T> {
    Err(Error::invalid(format!("model: {what}"), "export the model again from the trainer"))
}

impl Weights {
    pub(super) fn push(&mut self, tree: u32, node: u32, output: u32, value: f64) {
        self.tree_ids.push(tree);
        self.node_ids.push(node);
        self.outputs.push(output);
        self.values.push(value);
    }

    pub(super) fn has_negative(&self) -> bool {
        self.values.iter().any(|value| *value < 0.0)
    }
}

impl Listing {
    /// Adds a node to the lists of trees, ids and children.
    pub(super) fn begin(&mut self, tree: u32, id: u32) {
        self.tree_ids.push(tree);
        self.node_ids.push(id);
        self.true_ids.push(0);
        self.false_ids.push(0);
    }

    /// Adds it to the other lists.
    pub(super) fn push(&mut self, feature: u32, mode: Mode, value: f64, nan_is_true: bool) {
        self.features.push(feature);
        self.modes.push(mode);
        self.values.push(value);
        self.nan_is_true.push(nan_is_true);
    }

    /// Whether our own kernel knows all comparisons.
    pub(super) fn is_comparable(&self) -> bool {
        let is_infinite =
            |at: usize| self.modes[at] != Mode::Leaf && self.modes[at] != Mode::Leq && self.values[at].is_infinite();
        !self.modes.contains(&Mode::Other) && !(0..self.modes.len()).any(is_infinite)
    }

    /// Builds the trees with `n_outputs` values in each leaf.
    pub(super) fn grow(&self, weights: &Weights, n_outputs: usize) -> Result<Grown> {
        let n_leaves = self.modes.iter().filter(|mode| **mode == Mode::Leaf).count();
        if MAX_NODES < self.modes.len() || LEAF_VALUES_MAX < n_leaves.saturating_mul(n_outputs) {
            return refuse(format!(
                "it has {} nodes and {n_leaves} leaves with {n_outputs} values, which is too much",
                self.modes.len()
            ));
        }
        let runs = self.runs()?;
        let mut leaf_numbers = vec![NONE; self.modes.len()];
        let mut trees = Vec::with_capacity(runs.list.len());
        let mut unfolded = Unfolded::default();
        for run in &runs.list {
            trees.push(self.grow_tree(run, n_outputs, &mut leaf_numbers, &mut unfolded)?);
        }
        let leaves = Leaves { runs, leaf_numbers, n_outputs };
        Ok(Grown { too_shared: unfolded.too_many(), ..leaves.fill(weights, trees)? })
    }

    /// Cuts the lists into trees: the nodes of a tree stand together.
    fn runs(&self) -> Result<Runs> {
        let mut runs = Runs { list: Vec::new(), by_tree: HashMap::new() };
        let mut begin = 0;
        while begin < self.tree_ids.len() {
            let tree = self.tree_ids[begin];
            let len = self.tree_ids[begin..].iter().take_while(|id| **id == tree).count();
            let nodes = begin..begin + len;
            if runs.list.len() == MAX_TREES {
                return refuse(format!("it has more than {MAX_TREES} trees"));
            }
            if runs.by_tree.insert(tree, runs.list.len()).is_some() {
                return refuse(format!("the nodes of tree {tree} do not stand together"));
            }
            let ids = &self.node_ids[nodes.clone()];
            let is_counted = ids.iter().enumerate().all(|(at, id)| *id as usize == at);
            let mut by_id = HashMap::new();
            if !is_counted {
                for (id, at) in ids.iter().zip(nodes.clone()) {
                    if *id == NONE || by_id.insert(*id, at).is_some() {
                        return refuse(format!("tree {tree} has two nodes {id}, or a negative one"));
                    }
                }
            }
            begin = nodes.end;
            runs.list.push(Run { tree, nodes, by_id });
        }
        Ok(runs)
    }

    /// Walks from the root, which is listed first, and numbers nodes and leaves as it meets them, children behind parents.
    fn grow_tree(
        &self,
        run: &Run,
        n_outputs: usize,
        leaf_numbers: &mut [u32],
        unfolded: &mut Unfolded,
    ) -> Result<Tree> {
        let tree = run.tree;
        let mut was_seen = vec![false; run.nodes.len()];
        let mut n_seen = 0;
        let mut is_shared = false;
        let mut nodes: Vec<Node> = Vec::with_capacity(run.nodes.len());
        let mut n_leaves = 0;
        let mut open = vec![(run.nodes.start, None)];
        while let Some((at, parent)) = open.pop() {
            if std::mem::replace(&mut was_seen[at - run.nodes.start], true) {
                if !std::mem::replace(&mut is_shared, true) {
                    unfolded.add(self.n_unfolded(run)?);
                }
                if unfolded.too_many().is_some() {
                    continue;
                }
            } else {
                n_seen += 1;
            }
            let number = u32::try_from(nodes.len()).expect("MAX_NODES is below 2^32");
            if let Some((parent, is_left)) = parent {
                let parent: &mut Node = &mut nodes[parent];
                match parent {
                    Node::Split { left, .. } if is_left => *left = number,
                    Node::Split { right, .. } => *right = number,
                    Node::Leaf { .. } => unreachable!("only splits are opened"),
                }
            }
            if self.modes[at] == Mode::Leaf {
                // The copies of a leaf have its values in common.
                if leaf_numbers[at] == NONE {
                    leaf_numbers[at] = n_leaves;
                    n_leaves += 1;
                }
                nodes.push(Node::Leaf { leaf: leaf_numbers[at], cover: self.cover(at) });
                continue;
            }
            let [on_true, on_false] = self.children(run, at)?;
            let Some((threshold, swaps)) = as_at_most(self.modes[at], self.values[at]) else {
                return refuse(format!("tree {tree}: node {} compares with NaN", self.node_ids[at]));
            };
            let (left, right) = if swaps { (on_false, on_true) } else { (on_true, on_false) };
            let nan_is_true = self.nan_is_true.get(at).copied().unwrap_or(false);
            let parent = nodes.len();
            nodes.push(Node::Split {
                feature: self.features[at],
                threshold,
                left: NONE,
                right: NONE,
                nan_left: nan_is_true != swaps,
                cover: self.cover(at),
            });
            open.push((right, Some((parent, false))));
            open.push((left, Some((parent, true))));
        }
        if n_seen != run.nodes.len() {
            return refuse(format!(
                "tree {tree}: nothing leads from its first node to {} others",
                run.nodes.len() - n_seen
            ));
        }
        if unfolded.too_many().is_none() {
            forget_wrong_covers(&mut nodes);
        }
        Ok(Tree { nodes, leaf_values: vec![0.0; n_leaves as usize * n_outputs] })
    }

    /// Where a split leads to when its comparison holds, and when it does not.
    fn children(&self, run: &Run, at: usize) -> Result<[usize; 2]> {
        let child = |id: u32| match run.find(id) {
            Some(child) => Ok(child),
            None => refuse(format!("tree {}: node {} has a child that is not there", run.tree, self.node_ids[at])),
        };
        Ok([child(self.true_ids[at])?, child(self.false_ids[at])?])
    }

    /// How many nodes a tree has once every shared one is copied for each path to it; refuses a cycle.
    fn n_unfolded(&self, run: &Run) -> Result<u64> {
        let begin = run.nodes.start;
        // Of each node: 0 before it was met, and while it is open; afterwards the nodes below it and itself.
        let mut sizes = vec![0_u64; run.nodes.len()];
        let mut is_open = vec![false; run.nodes.len()];
        let mut stack = vec![begin];
        while let Some(&at) = stack.last() {
            if sizes[at - begin] != 0 {
                stack.pop();
                continue;
            }
            if self.modes[at] == Mode::Leaf {
                sizes[at - begin] = 1;
                continue;
            }
            let children = self.children(run, at)?;
            if is_open[at - begin] {
                let [a, b] = children.map(|child| sizes[child - begin]);
                sizes[at - begin] = a.saturating_add(b).saturating_add(1);
                continue;
            }
            is_open[at - begin] = true;
            for child in children.into_iter().filter(|child| sizes[child - begin] == 0) {
                if is_open[child - begin] {
                    return refuse(format!(
                        "tree {}: node {} leads back to itself, so scoring would not end",
                        run.tree, self.node_ids[child]
                    ));
                }
                stack.push(child);
            }
        }
        Ok(sizes[0])
    }

    fn cover(&self, at: usize) -> f32 {
        self.covers.get(at).map_or(0.0, |cover| *cover as f32)
    }
}

/// Nodes of all trees that share some, with their copies.
#[derive(Debug, Default)]
struct Unfolded(u64);

impl Unfolded {
    fn add(&mut self, n_nodes: u64) {
        self.0 = self.0.saturating_add(n_nodes);
    }

    fn too_many(&self) -> Option<u64> {
        (UNFOLDED_NODES_MAX < self.0).then_some(self.0)
    }
}

/// Where each node's leaf values are.
struct Leaves {
    runs: Runs,
    /// The number of each listed node among its tree's leaves; [`NONE`] for splits.
    leaf_numbers: Vec<u32>,
    n_outputs: usize,
}

impl Leaves {
    /// Puts the weights into the leaves.
    fn fill(self, weights: &Weights, mut trees: Vec<Tree>) -> Result<Grown> {
        let Self { runs, leaf_numbers, n_outputs } = self;
        let mut was_given: Vec<Vec<bool>> = trees.iter().map(|tree| vec![false; tree.leaf_values.len()]).collect();
        let mut used = vec![false; n_outputs];
        for at in 0..weights.values.len() {
            let (tree_id, node_id, output) = (weights.tree_ids[at], weights.node_ids[at], weights.outputs[at] as usize);
            let Some(tree) = runs.by_tree.get(&tree_id).copied() else {
                return refuse(format!("there are weights for tree {tree_id}, which is not there"));
            };
            let leaf = runs.list[tree].find(node_id).map(|node| leaf_numbers[node]).filter(|leaf| *leaf != NONE);
            let Some(leaf) = leaf else {
                return refuse(format!("tree {tree_id}: there are weights for node {node_id}, which is no leaf"));
            };
            if n_outputs <= output {
                return refuse(format!(
                    "tree {tree_id}: leaf {node_id} has a weight for output {output} of {n_outputs}"
                ));
            }
            let slot = leaf as usize * n_outputs + output;
            if std::mem::replace(&mut was_given[tree][slot], true) {
                return refuse(format!("tree {tree_id}: leaf {node_id} has two weights for output {output}"));
            }
            used[output] = true;
            trees[tree].leaf_values[slot] = weights.values[at];
        }
        let mut always = vec![false; n_outputs];
        let mut is_dense = true;
        for (run, given) in runs.list.iter().zip(&was_given) {
            let mut in_all = vec![true; n_outputs];
            for leaf in given.chunks_exact(n_outputs) {
                if !leaf.contains(&true) {
                    return refuse(format!("tree {}: a leaf has no weight", run.tree));
                }
                in_all.iter_mut().zip(leaf).for_each(|(in_all, given)| *in_all &= given);
            }
            is_dense &= !in_all.contains(&false);
            always.iter_mut().zip(in_all).for_each(|(always, in_all)| *always |= in_all);
        }
        Ok(Grown { trees, used, always, is_dense, too_shared: None })
    }
}

/// The trees' ranges in the lists.
struct Runs {
    list: Vec<Run>,
    by_tree: HashMap<u32, usize>,
}

/// The nodes of one tree.
struct Run {
    tree: u32,
    nodes: Range<usize>,
    /// Empty where node `i` is at index `i`.
    by_id: HashMap<u32, usize>,
}

impl Run {
    fn find(&self, id: u32) -> Option<usize> {
        if self.by_id.is_empty() {
            Some(self.nodes.start + id as usize).filter(|at| self.nodes.contains(at))
        } else {
            self.by_id.get(&id).copied()
        }
    }
}

/// Covers that do not add up are no counts of training rows (skl2onnx writes 1 everywhere): none is better than a wrong one.
fn forget_wrong_covers(nodes: &mut [Node]) {
    let cover_of = |node: &Node| match *node {
        Node::Split { cover, .. } | Node::Leaf { cover, .. } => f64::from(cover),
    };
    let adds_up = |node: &Node| match *node {
        Node::Leaf { cover, .. } => cover.is_finite() && 0.0 < cover,
        Node::Split { left, right, cover, .. } => {
            let (cover, sum) = (f64::from(cover), cover_of(&nodes[left as usize]) + cover_of(&nodes[right as usize]));
            (cover - sum).abs() <= COVER_TOLERANCE * cover
        }
    };
    if nodes.iter().all(adds_up) {
        return;
    }
    for node in nodes {
        match node {
            Node::Split { cover, .. } | Node::Leaf { cover, .. } => *cover = 0.0,
        }
    }
}
