//! The portable walk: many independent walks at once, without branches.
//!
//! One step of one walk waits for two loads that depend on each other, a comparison and an addition: some 14 cycles, in which a
//! core could issue 80 instructions; a step has 7. So eight walks go side by side: estimated 8 × 7 instructions ÷ 6 a cycle,
//! 1.2 cycles a node with everything in L1, 2 to 2.5 in L2. Rows are walked side by side through one tree, or for a single row
//! the trees.

use super::trees::{Compact, Trees};

/// Walks side by side. Blocks of rows are padded to a multiple of it.
pub(super) const N_LANES: usize = 8;

/// Trees no deeper are walked a fixed number of steps; in deeper ones it pays to look whether all lanes have arrived.
const DEPTH_UNCHECKED_MAX: usize = 12;
const STEPS_BETWEEN_CHECKS: usize = 4;

/// Adds one tree's leaf values to the sums of a block of rows: `tile` has [`Trees::stride`] keys for each sum.
pub(super) fn add_tree(trees: &Trees, tree: usize, tile: &[u32], sums: &mut [f64]) {
    assert!(sums.len().is_multiple_of(N_LANES) && tile.len() == sums.len() * trees.stride());
    match (trees.column_bits(), trees.stride()) {
        (7, 16) => add_tree_inner::<7>(trees, tree, (tile, 16), sums),
        (7, 32) => add_tree_inner::<7>(trees, tree, (tile, 32), sums),
        (7, stride) => add_tree_inner::<7>(trees, tree, (tile, stride), sums),
        (_, stride) => add_tree_inner::<0>(trees, tree, (tile, stride), sums),
    }
}

/// Inlined for each constant stride, so that lanes are constant offsets.
#[inline(always)]
fn add_tree_inner<const BITS: u32>(trees: &Trees, tree: usize, (tile, stride): (&[u32], usize), sums: &mut [f64]) {
    let walk = Walk::<BITS>::of(trees);
    let nodes = trees.nodes(tree);
    for (sums, rows) in sums.chunks_exact_mut(N_LANES).zip(tile.chunks_exact(N_LANES * stride)) {
        let rows: [&[u32]; N_LANES] = std::array::from_fn(|lane| &rows[lane * stride..(lane + 1) * stride]);
        let at = walk.to_leaves([nodes; N_LANES], rows, [0; N_LANES], trees.depth(tree));
        for (sum, at) in sums.iter_mut().zip(at) {
            *sum += trees.values().get(nodes[at as usize].threshold);
        }
    }
}

/// The sum of one row's leaf values over all trees, in their order; `row` has [`Trees::stride`] keys.
pub(super) fn sum_row(trees: &Trees, row: &[u32]) -> f64 {
    assert!(row.len() == trees.stride());
    match trees.column_bits() {
        7 => sum_row_inner::<7>(trees, row),
        _ => sum_row_inner::<0>(trees, row),
    }
}

fn sum_row_inner<const BITS: u32>(trees: &Trees, row: &[u32]) -> f64 {
    let walk = Walk::<BITS>::of(trees);
    let mut sum = 0.0;
    for begin in (0..trees.len()).step_by(N_LANES) {
        // Lanes beyond the last tree repeat it, and are not added.
        let lanes: [usize; N_LANES] = std::array::from_fn(|lane| (begin + lane).min(trees.len() - 1));
        let nodes = lanes.map(|tree| trees.nodes(tree));
        let depth = lanes.into_iter().map(|tree| trees.depth(tree)).max().unwrap_or(0);
        let at = walk.to_leaves(nodes, [row; N_LANES], [0; N_LANES], depth);
        for lane in 0..N_LANES.min(trees.len() - begin) {
            sum += trees.values().get(nodes[lane][at[lane] as usize].threshold);
        }
    }
    sum
}

/// How nodes are to be read. `BITS` is [`Trees::column_bits`] where the compiler is to know it, else 0.
#[derive(Clone, Copy)]
pub(super) struct Walk<const BITS: u32> {
    column_bits: u32,
}

impl<const BITS: u32> Walk<BITS> {
    #[inline(always)]
    pub(super) fn of(trees: &Trees) -> Self {
        assert!(BITS == 0 || BITS == trees.column_bits());
        Self { column_bits: trees.column_bits() }
    }

    #[inline(always)]
    fn step(self, nodes: &[Compact], row: &[u32], at: u32) -> u32 {
        let bits = if BITS == 0 { self.column_bits } else { BITS };
        let node = node(nodes, at);
        let key = key(row, node.link & ((1 << bits) - 1));
        (node.link >> bits) + u32::from(node.threshold < key)
    }

    /// The positions below `n_levels` from the root: of each level the bit that says whether the path went right.
    #[inline(always)]
    pub(super) fn positions<const N: usize>(self, nodes: &[Compact], rows: [&[u32]; N], n_levels: usize) -> [u16; N] {
        let bits = if BITS == 0 { self.column_bits } else { BITS };
        let mut at = [0; N];
        let mut positions = [0; N];
        for _ in 0..n_levels {
            let next: [u32; N] = std::array::from_fn(|lane| self.step(nodes, rows[lane], at[lane]));
            for lane in 0..N {
                let is_right = next[lane] - (node(nodes, at[lane]).link >> bits);
                positions[lane] = 2 * positions[lane] + is_right as u16;
            }
            at = next;
        }
        positions
    }

    /// From one node for each lane to the leaves below, at most `n_levels` further down.
    #[inline(always)]
    pub(super) fn to_leaves<const N: usize>(
        self,
        nodes: [&[Compact]; N],
        rows: [&[u32]; N],
        mut at: [u32; N],
        n_levels: usize,
    ) -> [u32; N] {
        if n_levels <= DEPTH_UNCHECKED_MAX {
            for _ in 0..n_levels {
                at = std::array::from_fn(|lane| self.step(nodes[lane], rows[lane], at[lane]));
            }
            return at;
        }
        loop {
            for _ in 1..STEPS_BETWEEN_CHECKS {
                at = std::array::from_fn(|lane| self.step(nodes[lane], rows[lane], at[lane]));
            }
            let next = std::array::from_fn(|lane| self.step(nodes[lane], rows[lane], at[lane]));
            if next == at {
                return at;
            }
            at = next;
        }
    }
}

/// `nodes[at]` of a compiled tree; not checked, because it is in the innermost loop.
#[inline(always)]
#[expect(unsafe_code, reason = "bounds checks would be a third of the walk's instructions")]
fn node(nodes: &[Compact], at: u32) -> Compact {
    debug_assert!((at as usize) < nodes.len());
    // SAFETY: walks begin at a node of the tree; `Trees` guarantees that the children of a tree's splits are in its array and that
    // a leaf's only successor is itself: its column's key is 0, which is above no threshold.
    unsafe { *nodes.get_unchecked(at as usize) }
}

/// `row[column]`; not checked either.
#[inline(always)]
#[expect(unsafe_code, reason = "bounds checks would be a third of the walk's instructions")]
fn key(row: &[u32], column: u32) -> u32 {
    debug_assert!((column as usize) < row.len());
    // SAFETY: `Trees` guarantees that every column is below its stride, and rows have `stride` keys (asserted by the callers).
    unsafe { *row.get_unchecked(column as usize) }
}
