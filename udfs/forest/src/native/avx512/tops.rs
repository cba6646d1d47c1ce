//! The tables that rows descend through.

use std::ops::Range;

use super::N_LANES;
use crate::native::columns::Columns;
use crate::native::ranks::Ranks;
use crate::native::top::{self, Found};
use crate::native::trees::{Trees, Values};

/// The most levels: the tables of one more would be 64 registers, whose permutes take longer than a walk's step.
pub(in crate::native) const N_LEVELS_MAX: usize = 10;

/// The most columns: beyond, the portable walk is as fast as the blends.
const N_COLUMNS_MAX: usize = 32;

/// What the tables may take: thousands of small trees beside one deep one must not cost gigabytes. A forest that needs more gets
/// fewer levels.
const TABLE_BYTES_MAX: usize = 64 << 20;

/// Of one position: its threshold, its column, and what is below it.
const POSITION_BYTES: usize = 2 + 1 + 8;

/// The tops of all trees. Exists only where the processor has the instructions of [`super::descend`], and every column in the
/// tables is below `n_columns`.
#[derive(Debug)]
pub(in crate::native) struct Tops {
    n_levels: usize,
    /// 8, 16, 24 or 32.
    n_columns: usize,
    ranks: Vec<Ranks>,
    /// For each tree the ranks of the thresholds, in heap order from 1.
    thresholds: Vec<[u16; 32]>,
    /// For each tree the columns, in heap order from 1.
    columns: Vec<[u8; 64]>,
    ends: Ends,
}

/// What is below the tops: for each tree and position from left to right.
#[derive(Debug)]
pub(super) enum Ends {
    /// The leaf's value: for each tree blocks of its low halves, then as many of its high halves.
    F32(Vec<[u16; 32]>),
    /// The same, where an f32 does not hold it.
    F64(Vec<f64>),
    /// The node from which to walk.
    Nodes(top::Ends),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    pub(super) thresholds: &'a [[u16; 32]],
    pub(super) columns: &'a [[u8; 64]],
}

impl Tops {
    /// `None` where the processor or the forest does not allow it: AVX-512 with BW, DQ and VBMI, at most 32 columns, a split.
    pub(in crate::native) fn build(trees: &Trees, columns: &Columns) -> Option<Self> {
        let has_instructions = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vbmi");
        let depth = trees.depth_max();
        if !has_instructions || N_COLUMNS_MAX < columns.len() || depth == 0 {
            return None;
        }
        let fits = |n_levels: &usize| (trees.len() * POSITION_BYTES) << n_levels <= TABLE_BYTES_MAX;
        (1..=depth.min(N_LEVELS_MAX))
            .rev()
            .filter(fits)
            .find_map(|n_levels| Self::with_levels(trees, columns, n_levels, depth))
    }

    /// `None` if the thresholds of so many levels are too many for ranks.
    fn with_levels(trees: &Trees, columns: &Columns, n_levels: usize, depth: usize) -> Option<Self> {
        let mut thresholds = vec![vec![]; columns.len()];
        for tree in 0..trees.len() {
            top::visit(trees, tree, n_levels, &mut |_, found| {
                if let Found::Split { column, threshold } = found {
                    thresholds[column].push(threshold);
                }
            });
        }
        let ranks = thresholds.into_iter().map(Ranks::of).collect::<Option<Vec<_>>>()?;
        let n_ends = trees.len() << n_levels;
        let ends = match trees.values() {
            _ if n_levels < depth => Ends::Nodes(top::Ends::of(trees, n_levels)),
            Values::F32 => Ends::F32(vec![[0; 32]; 2 * trees.len() * n_blocks(n_levels, 32)]),
            Values::Indexed(_) => Ends::F64(vec![0.0; n_ends]),
        };
        let n_columns = columns.len().next_multiple_of(8);
        let mut tops = Self { n_levels, n_columns, ranks, thresholds: vec![], columns: vec![], ends };
        for tree in 0..trees.len() {
            tops.add_tree(trees, tree);
        }
        Some(tops)
    }

    fn add_tree(&mut self, trees: &Trees, tree: usize) {
        // Below a leaf that comes early nothing is above the threshold; its end is the same everywhere.
        let mut thresholds = vec![[u16::MAX; 32]; n_blocks(self.n_levels, 32)];
        let mut columns = vec![[0; 64]; n_blocks(self.n_levels, 64)];
        let (n_levels, n) = (self.n_levels, n_blocks(self.n_levels, 32));
        let ranks = &self.ranks;
        let ends = &mut self.ends;
        top::visit(trees, tree, self.n_levels, &mut |h, found| match found {
            Found::Split { column, threshold } => {
                thresholds[h / 32][h % 32] = ranks[column].rank_of_threshold(threshold);
                columns[h / 64][h % 64] = u8::try_from(column).expect("at most 32 columns");
            }
            Found::End { node } => {
                let at = (tree << self.n_levels) + h - (1 << self.n_levels);
                match ends {
                    Ends::F32(halves) => {
                        let value = trees.nodes(tree)[node as usize].threshold;
                        // A level narrower than a block stands where its positions say.
                        let (block, within) = if n_levels < 5 { (0, h) } else { (h / 32 - n, h % 32) };
                        halves[2 * tree * n + block][within] = value as u16;
                        halves[(2 * tree + 1) * n + block][within] = (value >> 16) as u16;
                    }
                    Ends::F64(values) => values[at] = trees.values().get(trees.nodes(tree)[node as usize].threshold),
                    Ends::Nodes(_) => {}
                }
            }
        });
        self.thresholds.append(&mut thresholds);
        self.columns.append(&mut columns);
    }

    pub(super) fn n_levels(&self) -> usize {
        self.n_levels
    }

    pub(super) fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// Positions below a tree's top.
    pub(super) fn n_ends(&self) -> usize {
        1 << self.n_levels
    }

    pub(super) fn ends(&self) -> &Ends {
        &self.ends
    }

    /// The low and the high halves of a tree's leaf values.
    pub(super) fn halves(&self, tree: usize) -> [&[[u16; 32]]; 2] {
        let Ends::F32(halves) = &self.ends else { unreachable!("only f32 values have halves") };
        let n = n_blocks(self.n_levels, 32);
        [2 * tree, 2 * tree + 1].map(|half| &halves[half * n..(half + 1) * n])
    }

    pub(super) fn table(&self, tree: usize) -> Table<'_> {
        let of_tree = |n| tree * n..(tree + 1) * n;
        Table {
            thresholds: &self.thresholds[of_tree(n_blocks(self.n_levels, 32))],
            columns: &self.columns[of_tree(n_blocks(self.n_levels, 64))],
        }
    }

    /// The ranks of rows, in groups of [`N_LANES`]; padding rows get some rank.
    pub(super) fn rank<const C: usize>(
        &self,
        columns: &Columns,
        inputs: &[&[f32]],
        rows: Range<usize>,
        groups: &mut [[[u16; N_LANES]; C]],
    ) {
        for ((column, source), ranks) in columns.sources().iter().enumerate().zip(&self.ranks) {
            let input = &inputs[source.feature as usize][rows.clone()];
            for (group, values) in groups.iter_mut().zip(input.chunks(N_LANES)) {
                let mut keys = [0; N_LANES];
                for (key, value) in keys.iter_mut().zip(values) {
                    *key = source.key(*value);
                }
                for (ranked, keys) in group[column].as_chunks_mut().0.iter_mut().zip(keys.as_chunks().0) {
                    *ranked = ranks.ranks(*keys);
                }
            }
        }
    }
}

/// Blocks of `size` entries for a heap of so many levels.
fn n_blocks(n_levels: usize, size: usize) -> usize {
    (1_usize << n_levels).div_ceil(size)
}
