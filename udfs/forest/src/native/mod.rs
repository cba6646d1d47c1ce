//! Our own kernel for forests: the same result as [`Forest::outputs`], to the bit, at about a cycle a node.
//!
//! Two paths, chosen when the program runs: the tops of the trees in vector registers where the processor has AVX-512 with VBMI
//! ([`avx512`]), and everywhere else many walks side by side ([`walk`]). Deep trees are walked in two parts, with the rows sorted
//! by sub-tree in between ([`below`]). All sum f64 in the order of the trees. Outputs that need the sums of all classes (softmax),
//! and trees too big for an index, are left to the plain walk.
//!
//! What bounds it, measured with 100 trees and 8 features on one core: at depth 8, AVX-512 is bound by its instructions (0.4 cycles a
//! node for the descent, a fifth of the time for ranking, a sixth for the leaves' values), the portable walk by its loads and
//! additions (2.2 cycles a node); deep forests by memory latency, then by the bytes of the model for each block of rows.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod below;
mod columns;
#[cfg(target_arch = "x86_64")]
mod ranks;
mod tile;
mod top;
mod trees;
mod walk;

#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::forest::{Combine, Forest, Transform};
use columns::Columns;
use tile::{Block, Tile};
use trees::Trees;

/// Rows that are taken through all trees together by the portable path: with 8 columns their keys fill half of an L1 cache.
const N_BLOCK_ROWS: usize = 256;

/// A forest compiled for scoring one of its outputs.
#[derive(Debug)]
pub struct Kernel {
    n_features: usize,
    engine: Engine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The tops of trees in AVX-512 registers.
    Avx512,
    /// Interleaved walks; any processor.
    Portable,
    /// Row by row, tree by tree.
    Plain,
}

impl Path {
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Portable => "portable",
            Self::Plain => "plain",
        }
    }
}

#[derive(Debug)]
enum Engine {
    #[cfg(target_arch = "x86_64")]
    Avx512 {
        tops: avx512::Tops,
        columns: Columns,
        trees: Trees,
        finish: Finish,
    },
    /// `ends` are those of deep trees.
    Portable {
        ends: Option<top::Ends>,
        columns: Columns,
        trees: Trees,
        finish: Finish,
    },
    Plain {
        forest: Forest,
        output: usize,
    },
}

impl Kernel {
    /// Compiles a forest for one of its outputs, for the fastest path that this processor and the forest allow.
    pub fn compile(forest: &Forest, output: usize) -> Result<Self> {
        for path in [Path::Avx512, Path::Portable] {
            if let Some(kernel) = Self::with_path(forest, output, path)? {
                return Ok(kernel);
            }
        }
        Ok(Self { n_features: forest.n_features(), engine: Engine::Plain { forest: forest.clone(), output } })
    }

    /// Compiles for one path, for tests and benches; `None` where this processor or this forest does not allow it.
    pub fn with_path(forest: &Forest, output: usize, path: Path) -> Result<Option<Self>> {
        if forest.n_outputs() <= output {
            let what = format!("output {output} of a forest with {}", forest.n_outputs());
            return Err(Error::invalid(what, "name one of the model's outputs"));
        }
        let engine = match path {
            Path::Plain => Some(Engine::Plain { forest: forest.clone(), output }),
            Path::Portable => Engine::portable(forest, output),
            Path::Avx512 => Engine::avx512(forest, output),
        };
        Ok(engine.map(|engine| Self { n_features: forest.n_features(), engine }))
    }

    pub fn path(&self) -> Path {
        match &self.engine {
            #[cfg(target_arch = "x86_64")]
            Engine::Avx512 { .. } => Path::Avx512,
            Engine::Portable { .. } => Path::Portable,
            Engine::Plain { .. } => Path::Plain,
        }
    }

    pub fn name(&self) -> &'static str {
        self.path().name()
    }

    /// Scores rows: `columns[f][row]`, all columns as long as `scores`.
    ///
    /// # Panics
    /// If there are not as many columns as the forest has features, or they are not as long as `scores`.
    pub fn score(&self, columns: &[&[f32]], scores: &mut [f64]) {
        assert_eq!(columns.len(), self.n_features, "a column for each feature");
        assert!(columns.iter().all(|column| column.len() == scores.len()), "columns are as long as the scores");
        match &self.engine {
            #[cfg(target_arch = "x86_64")]
            Engine::Avx512 { tops, columns: keys, trees, finish } => {
                avx512::score(tops, keys, trees, columns, scores);
                finish.apply(scores);
            }
            Engine::Portable { ends, columns: keys, trees, finish } => {
                match ends {
                    Some(ends) if N_ROWS_DEEP_MIN <= scores.len() => score_deep(ends, keys, trees, columns, scores),
                    _ => score_portable(keys, trees, columns, scores),
                }
                finish.apply(scores);
            }
            Engine::Plain { forest, output } => score_plain(forest, *output, columns, scores),
        }
    }
}

impl Engine {
    fn portable(forest: &Forest, output: usize) -> Option<Self> {
        let (sum, finish) = Finish::of(forest, output)?;
        let columns = Columns::of(forest);
        let trees = Trees::build(forest, &columns, sum, N_LEVELS_SORTED)?;
        let ends = (DEPTH_UNSORTED_MAX < trees.depth_max()).then(|| top::Ends::of(&trees, N_LEVELS_SORTED));
        Some(Self::Portable { ends, columns, trees, finish })
    }

    #[cfg(target_arch = "x86_64")]
    fn avx512(forest: &Forest, output: usize) -> Option<Self> {
        let (sum, finish) = Finish::of(forest, output)?;
        let columns = Columns::of(forest);
        let trees = Trees::build(forest, &columns, sum, avx512::N_LEVELS_MAX)?;
        let tops = avx512::Tops::build(&trees, &columns)?;
        Some(Self::Avx512 { tops, columns, trees, finish })
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn avx512(_forest: &Forest, _output: usize) -> Option<Self> {
        None
    }
}

/// Deeper trees are walked in two parts, with the rows sorted in between.
const DEPTH_UNSORTED_MAX: usize = 12;
/// By the position below so many levels.
const N_LEVELS_SORTED: usize = 8;
/// Fewer rows are not worth sorting.
const N_ROWS_DEEP_MIN: usize = 64;

/// Sums of leaf values of deep trees, not finished.
fn score_deep(ends: &top::Ends, columns: &Columns, trees: &Trees, inputs: &[&[f32]], sums: &mut [f64]) {
    let n_block_rows = below::n_block_rows(trees).min(sums.len().next_multiple_of(walk::N_LANES));
    let mut block = below::Block::new(n_block_rows, ends, trees);
    for (index, sums) in sums.chunks_mut(n_block_rows).enumerate() {
        sums.fill(0.0);
        block.fill(columns, inputs, index * n_block_rows, sums.len());
        for tree in 0..trees.len() {
            block.find_positions(trees, tree, ends.n_levels());
            block.add_tree(trees, tree, ends, sums);
        }
    }
}

/// So few rows are faster one by one, with trees side by side.
const N_ROWS_ALONE: usize = 3;

/// Sums of leaf values, not finished.
fn score_portable(columns: &Columns, trees: &Trees, inputs: &[&[f32]], sums: &mut [f64]) {
    if sums.len() <= N_ROWS_ALONE {
        return score_rows_alone(columns, trees, inputs, sums);
    }
    let stride = trees.stride();
    let mut tile = Tile::new(N_BLOCK_ROWS.min(sums.len().next_multiple_of(walk::N_LANES)), stride);
    let mut padded = [0.0; N_BLOCK_ROWS];
    for (index, sums) in sums.chunks_mut(N_BLOCK_ROWS).enumerate() {
        let block = Block { begin: index * N_BLOCK_ROWS, n_rows: sums.len(), stride, n_lanes: walk::N_LANES };
        let keys = tile.fill(columns, inputs, block);
        let padded = &mut padded[..keys.len() / stride];
        padded.fill(0.0);
        for tree in 0..trees.len() {
            walk::add_tree(trees, tree, keys, padded);
        }
        sums.copy_from_slice(&padded[..sums.len()]);
    }
}

/// The same for a few rows.
fn score_rows_alone(columns: &Columns, trees: &Trees, inputs: &[&[f32]], sums: &mut [f64]) {
    let stride = trees.stride();
    let mut tile = Tile::new(sums.len(), stride);
    let keys = tile.fill(columns, inputs, Block { begin: 0, n_rows: sums.len(), stride, n_lanes: 1 });
    for (sum, row) in sums.iter_mut().zip(keys.chunks_exact(stride)) {
        *sum = walk::sum_row(trees, row);
    }
}

fn score_plain(forest: &Forest, output: usize, columns: &[&[f32]], scores: &mut [f64]) {
    let n_outputs = forest.n_outputs();
    let mut sums = vec![0.0; n_outputs];
    for (row, score) in scores.iter_mut().enumerate() {
        sums.fill(0.0);
        for tree in forest.trees() {
            let begin = tree.leaf(|feature| columns[feature][row]) * n_outputs;
            for (sum, value) in sums.iter_mut().zip(&tree.leaf_values[begin..]) {
                *sum += value;
            }
        }
        forest.finish(&mut sums);
        *score = sums[output];
    }
}

/// From the sum of a row's leaf values to its output, as [`Forest::finish`] does.
#[derive(Debug)]
struct Finish {
    n_trees: Option<f64>,
    base: f64,
    is_logistic: bool,
    is_complement: bool,
}

impl Finish {
    /// The output whose leaf values are to be summed, and what is to be done with the sum; `None` if one sum is not enough.
    fn of(forest: &Forest, output: usize) -> Option<(usize, Self)> {
        let (sum, is_logistic, is_complement) = match forest.transform() {
            Transform::Identity => (output, false, false),
            Transform::Logistic => (output, true, false),
            Transform::Softmax => return None,
            Transform::Complement => (1, false, output == 0),
            Transform::LogisticComplement => (1, true, output == 0),
        };
        let n_trees = (forest.combine() == Combine::Mean).then_some(forest.trees().len() as f64);
        Some((sum, Self { n_trees, base: forest.base()[sum], is_logistic, is_complement }))
    }

    fn apply(&self, scores: &mut [f64]) {
        for score in scores {
            let mut x = *score;
            if let Some(n_trees) = self.n_trees {
                x /= n_trees;
            }
            x += self.base;
            if self.is_logistic {
                x = 1.0 / (1.0 + (-x).exp());
            }
            *score = if self.is_complement { 1.0 - x } else { x };
        }
    }
}
