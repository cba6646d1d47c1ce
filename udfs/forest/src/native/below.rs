//! The walk below the tops of deep trees: rows sorted by sub-tree, then walked side by side.
//!
//! Deep trees do not fit in a cache: a walk waits for memory. Sorted by sub-tree, neighbouring rows walk the same few hundred
//! nodes, and the tree is read in order; and what the next tree will read is fetched while this one is walked, in equal
//! shares. Estimate: 2 to 3 cycles a node as if the tree were in L2, some 10 cycles a row and tree for the sort, and at least the
//! time in which the memory delivers all nodes once for each block of rows.

use super::columns::Columns;
use super::tile::{self, Tile};
use super::top::Ends;
use super::trees::{Compact, Trees};
use super::walk::{N_LANES, Walk};

/// Rows that go through a tree together. More rows share the cost of reading a tree, and their keys take more cache.
const N_BLOCK_ROWS: usize = 4_096;
const N_BLOCK_ROWS_LARGE: usize = 16_384;

/// Nodes in bytes beyond which blocks are large: such a forest comes from memory for each block.
const LARGE_BYTES: usize = 24 << 20;

/// Few rows read little of a large tree: beyond so many cache lines for each row nothing is fetched ahead.
const N_FETCHED_LINES_MAX: usize = 16;

const CACHE_LINE_BYTES: usize = 64;

/// How many rows to take together.
pub(super) fn n_block_rows(trees: &Trees) -> usize {
    if trees.n_bytes() < LARGE_BYTES { N_BLOCK_ROWS } else { N_BLOCK_ROWS_LARGE }
}

/// A block of rows that passes through the trees, in buffers that are used again.
#[derive(Debug)]
pub(super) struct Block {
    n_rows: usize,
    tile: Tile,
    /// Each row's position below the current tree's top.
    positions: Vec<[u16; 32]>,
    /// Where the rows of each position begin in `order`.
    begins: Vec<u32>,
    /// Numbers of the rows in the block, sorted by position.
    order: Vec<u16>,
}

impl Block {
    /// For at most `n_rows` rows, which are fewer than 65,536.
    pub(super) fn new(n_rows: usize, ends: &Ends, trees: &Trees) -> Self {
        assert!(n_rows <= 1 << 16, "rows of a block are numbered in 16 bits");
        Self {
            n_rows: 0,
            tile: Tile::new(n_rows, trees.stride()),
            positions: vec![[0; 32]; n_rows.div_ceil(32)],
            begins: vec![0; ends.len()],
            order: vec![0; n_rows],
        }
    }

    pub(super) fn fill(&mut self, columns: &Columns, inputs: &[&[f32]], begin: usize, n_rows: usize) {
        let stride = self.tile.stride();
        self.tile.fill(columns, inputs, tile::Block { begin, n_rows, stride, n_lanes: 1 });
        self.n_rows = n_rows;
    }

    /// To be written before each tree.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn positions(&mut self) -> &mut [[u16; 32]] {
        &mut self.positions
    }

    /// Walks down a tree's top without the instructions that make it fast.
    pub(super) fn find_positions(&mut self, trees: &Trees, tree: usize, n_levels: usize) {
        match (trees.column_bits(), self.tile.stride()) {
            (7, 16) => self.find_positions_inner::<7, 16>(trees, tree, n_levels),
            (7, 32) => self.find_positions_inner::<7, 32>(trees, tree, n_levels),
            _ => self.find_positions_inner::<0, 0>(trees, tree, n_levels),
        }
    }

    #[inline(always)]
    fn find_positions_inner<const BITS: u32, const STRIDE: usize>(
        &mut self,
        trees: &Trees,
        tree: usize,
        n_levels: usize,
    ) {
        let stride = if STRIDE == 0 { self.tile.stride() } else { STRIDE };
        let walk = Walk::<BITS>::of(trees);
        let nodes = trees.nodes(tree);
        let positions = self.positions.as_flattened_mut().as_chunks_mut::<N_LANES>().0;
        for (positions, rows) in positions.iter_mut().zip(self.tile.keys().chunks_exact(N_LANES * stride)) {
            let rows: [&[u32]; N_LANES] = std::array::from_fn(|lane| &rows[lane * stride..(lane + 1) * stride]);
            *positions = walk.positions(nodes, rows, n_levels);
        }
    }

    /// Adds the leaf values of a tree, from the nodes that stand below each position on.
    pub(super) fn add_tree(&mut self, trees: &Trees, tree: usize, ends: &Ends, sums: &mut [f64]) {
        assert!(sums.len() == self.n_rows);
        self.sort();
        match (trees.column_bits(), trees.stride()) {
            (7, 16) => self.walk::<7, 16>(trees, tree, ends, sums),
            (7, 32) => self.walk::<7, 32>(trees, tree, ends, sums),
            _ => self.walk::<0, 0>(trees, tree, ends, sums),
        }
    }

    fn sort(&mut self) {
        let positions = &self.positions.as_flattened()[..self.n_rows];
        self.begins.fill(0);
        for position in positions {
            self.begins[usize::from(*position)] += 1;
        }
        let mut n_before = 0;
        for begin in &mut self.begins {
            n_before += std::mem::replace(begin, n_before);
        }
        for (row, position) in positions.iter().enumerate() {
            let begin = &mut self.begins[usize::from(*position)];
            self.order[*begin as usize] = row as u16;
            *begin += 1;
        }
    }

    #[inline(always)]
    fn walk<const BITS: u32, const STRIDE: usize>(&self, trees: &Trees, tree: usize, ends: &Ends, sums: &mut [f64]) {
        let stride = if STRIDE == 0 { trees.stride() } else { STRIDE };
        let walk = Walk::<BITS>::of(trees);
        let nodes = trees.nodes(tree);
        let n_levels = trees.depth(tree).saturating_sub(ends.n_levels());
        let ends = ends.nodes(tree);
        let mut next = Fetch::of(trees, tree, self.n_rows);
        let positions = self.positions.as_flattened();
        for order in self.order[..self.n_rows].chunks(N_LANES) {
            // Lanes beyond the last row repeat it, and are not added.
            let rows: [usize; N_LANES] = std::array::from_fn(|lane| usize::from(order[lane.min(order.len() - 1)]));
            let from = rows.map(|row| ends[usize::from(positions[row])]);
            let keys = rows.map(|row| &self.tile.keys()[row * stride..(row + 1) * stride]);
            let at = walk.to_leaves([nodes; N_LANES], keys, from, n_levels);
            for (row, at) in rows.into_iter().zip(at).take(order.len()) {
                sums[row] += trees.values().get(nodes[at as usize].threshold);
            }
            next.fetch();
        }
    }
}

/// Fetches the next tree's nodes into the cache, in equal shares.
struct Fetch<'a> {
    nodes: &'a [Compact],
    n_nodes_each: usize,
}

impl<'a> Fetch<'a> {
    fn of(trees: &'a Trees, tree: usize, n_rows: usize) -> Self {
        // After the last tree comes the first one again, for the next block.
        let nodes = trees.nodes((tree + 1) % trees.len());
        let n_nodes_line = CACHE_LINE_BYTES / size_of::<Compact>();
        let n_nodes_each = nodes.len().div_ceil(n_rows.div_ceil(N_LANES)).next_multiple_of(n_nodes_line);
        let is_worth_it = nodes.len() / n_nodes_line <= n_rows * N_FETCHED_LINES_MAX;
        Self { nodes: if is_worth_it { nodes } else { &[] }, n_nodes_each }
    }

    #[inline(always)]
    fn fetch(&mut self) {
        let (share, rest) = self.nodes.split_at(self.n_nodes_each.min(self.nodes.len()));
        self.nodes = rest;
        for line in share.chunks(CACHE_LINE_BYTES / size_of::<Compact>()) {
            prefetch(&line[0]);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[expect(unsafe_code, reason = "a hint to the cache")]
fn prefetch(node: &Compact) {
    use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
    // SAFETY: a hint reads nothing, and SSE is part of x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(node).cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn prefetch(_node: &Compact) {}
