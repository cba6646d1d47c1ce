//! The top levels of a tree as a complete binary tree in heap order: the root is 1, the children of `h` are `2h` and `2h + 1`, and
//! a leaf that comes early is repeated down.

use super::trees::Trees;

/// What is at a position of a tree's top.
pub(super) enum Found {
    /// A split, with its threshold's key.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "the portable path walks the top's nodes"))]
    Split { column: usize, threshold: u32 },
    /// The node where the walk goes on, or the leaf where it ended.
    End { node: u32 },
}

/// Visits a tree's top: its splits, and its ends at `n_levels`, each with its position `h` in the heap.
pub(super) fn visit(trees: &Trees, tree: usize, n_levels: usize, visitor: &mut impl FnMut(usize, Found)) {
    let mut level = vec![(1_usize, 0_u32)];
    for _ in 0..n_levels {
        let mut next = vec![];
        for (h, node) in level {
            let split = trees.split(tree, node);
            if let Some((column, threshold, _)) = split {
                visitor(h, Found::Split { column, threshold });
            }
            let [left, right] = split.map_or([node; 2], |(_, _, left)| [left, left + 1]);
            next.extend([(2 * h, left), (2 * h + 1, right)]);
        }
        level = next;
    }
    for (h, node) in level {
        visitor(h, Found::End { node });
    }
}

/// The node below each position of each tree's top, from left to right.
#[derive(Debug)]
pub(super) struct Ends {
    n_levels: usize,
    nodes: Vec<u32>,
}

impl Ends {
    pub(super) fn of(trees: &Trees, n_levels: usize) -> Self {
        let n_ends = 1 << n_levels;
        let mut nodes = vec![0; trees.len() * n_ends];
        for tree in 0..trees.len() {
            visit(trees, tree, n_levels, &mut |h, found| {
                if let Found::End { node } = found {
                    nodes[tree * n_ends + h - n_ends] = node;
                }
            });
        }
        Self { n_levels, nodes }
    }

    pub(super) fn n_levels(&self) -> usize {
        self.n_levels
    }

    pub(super) fn len(&self) -> usize {
        1 << self.n_levels
    }

    pub(super) fn nodes(&self, tree: usize) -> &[u32] {
        &self.nodes[tree << self.n_levels..(tree + 1) << self.n_levels]
    }
}
