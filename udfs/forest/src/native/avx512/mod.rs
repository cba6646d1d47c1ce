//! The tops of trees in vector registers: 32 rows descend together, without memory accesses or branches.
//!
//! A tree's top levels are a complete binary tree in heap order (children of `h`: `2h`, `2h + 1`; a leaf that comes early is
//! repeated down). The 16-bit lanes of a register hold the `h` of 32 rows; a level's thresholds (as ranks) and columns for each
//! lane come out of registers by permutes, and the row's rank in that column is picked by blends.
//!
//! Estimate for 8 columns: a level is 1 to 4 permutes for the threshold, 1 to 3 for the column, 3 tests, 7 blends, a comparison and
//! 2 additions: 15 to 20 instructions of 512 bits at half to one cycle each for 32 visits, 0.5 cycles a node, plus the leaves' values
//! and the ranking once a row. 24 columns: 23 blends instead of 7.
//! Measured: 0.4 cycles a node; a level's latency (permute, test, three blends, compare, add: 20 cycles) is what one group of rows
//! alone is bound by, so two descend abreast. Gathers for the leaves' values took a quarter of the time: they are permuted too.

mod descend;
mod tops;

pub(super) use tops::{N_LEVELS_MAX, Tops};

use super::columns::Columns;
use super::trees::Trees;
use super::{below, walk};
use descend::{Groups, N_ABREAST, Sums, slot};
use tops::Ends;

/// Rows that descend together.
const N_LANES: usize = 32;

/// Fewer rows than this are faster one by one.
const N_ROWS_ALONE: usize = 6;

/// Half of an L1 cache for a block's ranks.
const BLOCK_RANKS: usize = 8_192;

/// Sums of leaf values, not finished.
pub(super) fn score(tops: &Tops, columns: &Columns, trees: &Trees, inputs: &[&[f32]], sums: &mut [f64]) {
    if sums.len() <= N_ROWS_ALONE {
        return super::score_rows_alone(columns, trees, inputs, sums);
    }
    match tops.n_columns() {
        8 => score_blocks::<8>(tops, columns, trees, inputs, sums),
        16 => score_blocks::<16>(tops, columns, trees, inputs, sums),
        24 => score_blocks::<24>(tops, columns, trees, inputs, sums),
        _ => score_blocks::<32>(tops, columns, trees, inputs, sums),
    }
}

fn score_blocks<const C: usize>(tops: &Tops, columns: &Columns, trees: &Trees, inputs: &[&[f32]], sums: &mut [f64]) {
    const N_ROWS: usize = N_LANES * N_ABREAST;
    let (n_rows_max, ends) = match tops.ends() {
        Ends::F32(_) | Ends::F64(_) => ((BLOCK_RANKS / C).next_multiple_of(N_ROWS), None),
        Ends::Nodes(ends) => (below::n_block_rows(trees), Some(ends)),
    };
    let n_block_rows = n_rows_max.min(sums.len().next_multiple_of(N_ROWS));
    let mut groups: Vec<Groups<C>> = vec![[[[0; N_LANES]; C]; N_ABREAST]; n_block_rows / N_ROWS];
    let mut padded: Vec<Sums> = vec![[[[0.0; 8]; N_LANES / 8]; N_ABREAST]; n_block_rows / N_ROWS];
    let mut lower = ends.map(|ends| (ends, below::Block::new(n_block_rows, ends, trees)));
    for (index, sums) in sums.chunks_mut(n_block_rows).enumerate() {
        let begin = index * n_block_rows;
        let groups = &mut groups[..sums.len().div_ceil(N_ROWS)];
        tops.rank(columns, inputs, begin..begin + sums.len(), groups.as_flattened_mut());
        if let Some((ends, lower)) = &mut lower {
            sums.fill(0.0);
            lower.fill(columns, inputs, begin, sums.len());
            for tree in 0..trees.len() {
                descend::positions(tops, tree, groups, lower.positions().as_chunks_mut().0);
                lower.add_tree(trees, tree, ends, sums);
            }
            continue;
        }
        let padded = &mut padded[..groups.len()];
        padded.as_flattened_mut().as_flattened_mut().as_flattened_mut().fill(0.0);
        for tree in 0..trees.len() {
            descend::add_values(tops, tree, groups, padded);
        }
        for (sums, padded) in sums.chunks_mut(N_LANES).zip(padded.as_flattened()) {
            for (row, sum) in sums.iter_mut().enumerate() {
                *sum = padded.as_flattened()[slot(row)];
            }
        }
    }
}

const _: () = assert!(N_LANES.is_multiple_of(walk::N_LANES));
