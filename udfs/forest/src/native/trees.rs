//! A forest's trees as arrays of 8-byte nodes, for walks without branches.
//!
//! - Siblings stand side by side, so a node needs one index: `next = left + (threshold < key)`.
//! - A leaf is its own left child and compares a column that is always 0, so a walk may go on at a leaf and stays there: lanes
//!   of unequal depth need no test. Its value stands where a split has its threshold.
//! - Two sibling leaves with values that another pair of the tree has are stored once. Fully grown trees consist of such pairs,
//!   mostly (0, 1) and (1, 0): a third of the bytes.
//! - Below the top levels (an argument of [`Trees::build`]) the nodes of a sub-tree are adjacent: rows that are sorted by sub-tree
//!   then read the tree's memory in order.

use std::collections::{HashMap, VecDeque};

use super::columns::{Columns, Source, threshold_key};
use crate::forest::{Forest, Node, Tree};

/// A node of a compiled tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
pub(super) struct Compact {
    /// A split's threshold key, or a leaf's value; see [`Values`].
    pub(super) threshold: u32,
    /// `left << column_bits | column`: the left child's index in the tree, and the column to compare.
    pub(super) link: u32,
}

/// Compiled trees. Every `left + 1` is within its tree or the node is a leaf, and every column is below [`Trees::stride`]: the
/// walks rely on it.
#[derive(Debug)]
pub(super) struct Trees {
    nodes: Vec<Compact>,
    /// Where each tree begins in `nodes`, and the end of the last.
    begins: Vec<usize>,
    depths: Vec<usize>,
    values: Values,
    column_bits: u32,
    stride: usize,
}

/// What a leaf's 32 bits mean.
#[derive(Debug)]
pub(super) enum Values {
    /// An f32's bits: every leaf value of the forest is an f32.
    F32,
    /// An index into these values, where some leaf value is no f32.
    Indexed(Vec<f64>),
}

impl Values {
    #[inline(always)]
    pub(super) fn get(&self, bits: u32) -> f64 {
        match self {
            Self::F32 => f64::from(f32::from_bits(bits)),
            Self::Indexed(values) => values[bits as usize],
        }
    }
}

impl Trees {
    /// Compiles for one output's leaf values. `None` if an index does not fit in a node: millions of nodes in a tree, or
    /// hundreds of thousands over thousands of features; [`Forest::outputs`] is left for such.
    pub(super) fn build(forest: &Forest, columns: &Columns, sum: usize, n_top_levels: usize) -> Option<Self> {
        // One more column is the leaves'.
        let stride = padded_stride(columns.len() + 1);
        let column_bits = if columns.len() < 128 { 7 } else { usize::BITS - columns.len().leading_zeros() };
        let mut coder = ValueCoder::of(forest, sum);
        let mut trees =
            Self { nodes: vec![], begins: vec![0], depths: vec![], values: Values::F32, column_bits, stride };
        for tree in forest.trees() {
            if 1_usize << (32 - column_bits) <= tree.nodes.len() {
                return None;
            }
            let mut layout = Layout { tree, columns, column_bits, nodes: vec![], shared: HashMap::new() };
            layout
                .append_tree(&mut |leaf| coder.encode(tree.leaf_values[leaf * forest.n_outputs() + sum]), n_top_levels);
            trees.nodes.append(&mut layout.nodes);
            trees.begins.push(trees.nodes.len());
            trees.depths.push(depth(tree));
        }
        trees.values = coder.values();
        Some(trees)
    }

    pub(super) fn len(&self) -> usize {
        self.depths.len()
    }

    /// The nodes of a tree; the root is the first.
    #[inline(always)]
    pub(super) fn nodes(&self, tree: usize) -> &[Compact] {
        &self.nodes[self.begins[tree]..self.begins[tree + 1]]
    }

    /// Levels below a tree's root.
    #[inline(always)]
    pub(super) fn depth(&self, tree: usize) -> usize {
        self.depths[tree]
    }

    pub(super) fn depth_max(&self) -> usize {
        self.depths.iter().copied().max().unwrap_or(0)
    }

    /// A split's column, threshold key and left child; `None` for a leaf.
    pub(super) fn split(&self, tree: usize, node: u32) -> Option<(usize, u32, u32)> {
        let Compact { threshold, link } = self.nodes(tree)[node as usize];
        let left = link >> self.column_bits;
        let column = (link & ((1 << self.column_bits) - 1)) as usize;
        (left != node).then_some((column, threshold, left))
    }

    pub(super) fn n_bytes(&self) -> usize {
        size_of_val(self.nodes.as_slice())
    }

    pub(super) fn values(&self) -> &Values {
        &self.values
    }

    /// Bits of [`Compact::link`] that hold the column.
    pub(super) fn column_bits(&self) -> u32 {
        self.column_bits
    }

    /// Keys per row in a tile: the columns, zeros from then on; at least one.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }
}

/// A power of two while that is cheap, so that a row does not straddle cache lines and its address is a shift.
fn padded_stride(n_columns: usize) -> usize {
    if n_columns <= 128 { n_columns.next_power_of_two().max(16) } else { n_columns }
}

/// Levels below a tree's root.
pub(super) fn depth(tree: &Tree) -> usize {
    let mut depths = vec![0_usize; tree.nodes.len()];
    for (index, node) in tree.nodes.iter().enumerate() {
        if let Node::Split { left, right, .. } = *node {
            depths[left as usize] = depths[index] + 1;
            depths[right as usize] = depths[index] + 1;
        }
    }
    // Nodes that no parent names count as roots, which only makes walks longer than they must be.
    depths.into_iter().max().unwrap_or(0)
}

/// Chooses how leaf values are stored, and stores them.
enum ValueCoder {
    F32,
    Indexed { values: Vec<f64>, indices: HashMap<u64, u32> },
}

impl ValueCoder {
    fn of(forest: &Forest, sum: usize) -> Self {
        let mut values =
            forest.trees().iter().flat_map(|tree| tree.leaf_values.iter().skip(sum).step_by(forest.n_outputs()));
        if values.all(|value| f64::from(*value as f32) == *value) {
            return Self::F32;
        }
        Self::Indexed { values: vec![], indices: HashMap::new() }
    }

    fn encode(&mut self, value: f64) -> u32 {
        match self {
            Self::F32 => (value as f32).to_bits(),
            Self::Indexed { values, indices } => *indices.entry(value.to_bits()).or_insert_with(|| {
                values.push(value);
                u32::try_from(values.len() - 1).expect("a forest has fewer leaves than that")
            }),
        }
    }

    fn values(self) -> Values {
        match self {
            Self::F32 => Values::F32,
            Self::Indexed { values, .. } => Values::Indexed(values),
        }
    }
}

/// One tree that is being laid out in an array.
struct Layout<'a> {
    tree: &'a Tree,
    columns: &'a Columns,
    column_bits: u32,
    nodes: Vec<Compact>,
    /// Where each pair of sibling leaves that occurs more than once stands.
    shared: HashMap<(u32, u32), u32>,
}

impl Layout<'_> {
    fn append_tree(&mut self, encode: &mut impl FnMut(usize) -> u32, n_top_levels: usize) {
        let values: Vec<u32> = self.tree.nodes.iter().map(|node| leaf_of(node).map_or(0, &mut *encode)).collect();
        self.nodes.push(Compact::default());
        self.append_shared(&values);
        let mut sub_roots = self.append_below(vec![(0, 0)], n_top_levels, &values);
        // Neighbours come from the left to the right, which is the order of the positions below the top levels.
        for sub_root in std::mem::take(&mut sub_roots) {
            self.append_below(vec![sub_root], usize::MAX, &values);
        }
    }

    fn append_shared(&mut self, values: &[u32]) {
        let mut uses: HashMap<(u32, u32), u32> = HashMap::new();
        let pairs = self.tree.nodes.iter().filter_map(|node| self.leaf_pair(node, values));
        for pair in pairs {
            *uses.entry(pair).or_default() += 1;
        }
        let mut repeated: Vec<_> = uses.into_iter().filter(|(_, n_uses)| 1 < *n_uses).collect();
        // Those of most uses together, and the same layout for the same forest.
        repeated.sort_unstable_by_key(|(pair, n_uses)| (std::cmp::Reverse(*n_uses), *pair));
        for (pair, _) in repeated {
            let at = self.reserve_pair();
            self.put_leaf(at, pair.0);
            self.put_leaf(at + 1, pair.1);
            self.shared.insert(pair, at);
        }
    }

    fn leaf_pair(&self, node: &Node, values: &[u32]) -> Option<(u32, u32)> {
        let Node::Split { left, right, .. } = *node else { return None };
        let [left, right] = [left as usize, right as usize];
        leaf_of(&self.tree.nodes[left]).and(leaf_of(&self.tree.nodes[right])).map(|_| (values[left], values[right]))
    }

    /// Writes nodes (index in the tree, reserved index in the array) and `n_levels` of their descendants level by level; returns the
    /// nodes below, which have an index and are not yet written.
    fn append_below(&mut self, from: Vec<(u32, u32)>, n_levels: usize, values: &[u32]) -> Vec<(u32, u32)> {
        let mut queue: VecDeque<(u32, u32, usize)> = from.into_iter().map(|(index, at)| (index, at, 0)).collect();
        let mut below = vec![];
        while let Some((index, at, level)) = queue.pop_front() {
            let node = &self.tree.nodes[index as usize];
            let (Node::Split { threshold, left, right, .. }, Some(source)) = (*node, Source::of(node)) else {
                self.put_leaf(at, values[index as usize]);
                continue;
            };
            if level == n_levels {
                below.push((index, at));
                continue;
            }
            let shared = self.leaf_pair(node, values).and_then(|pair| self.shared.get(&pair).copied());
            let children = shared.unwrap_or_else(|| {
                let children = self.reserve_pair();
                queue.extend([(left, children, level + 1), (right, children + 1, level + 1)]);
                children
            });
            let column = self.columns.number(source);
            self.nodes[at as usize] = self.compact(threshold_key(threshold), children, column);
        }
        below
    }

    fn reserve_pair(&mut self) -> u32 {
        self.nodes.resize(self.nodes.len() + 2, Compact::default());
        u32::try_from(self.nodes.len() - 2).expect("the tree's size was checked")
    }

    fn put_leaf(&mut self, at: u32, value: u32) {
        self.nodes[at as usize] = self.compact(value, at, self.columns.len());
    }

    fn compact(&self, threshold: u32, left: u32, column: usize) -> Compact {
        Compact { threshold, link: left << self.column_bits | u32::try_from(column).expect("columns are few") }
    }
}

fn leaf_of(node: &Node) -> Option<usize> {
    match *node {
        Node::Leaf { leaf, .. } => Some(leaf as usize),
        Node::Split { .. } => None,
    }
}
