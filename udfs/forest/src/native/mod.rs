//! Our own kernel for forests.

use crate::error::Result;
use crate::forest::Forest;

/// A forest compiled for scoring one of its outputs.
#[derive(Debug)]
pub struct Kernel {
    forest: Forest,
    output: usize,
}

impl Kernel {
    /// Compiles a forest for one of its outputs.
    pub fn compile(forest: &Forest, output: usize) -> Result<Self> {
        Ok(Self { forest: forest.clone(), output })
    }

    /// Scores rows: `columns[f][row]`, all columns as long as `scores`.
    pub fn score(&self, columns: &[&[f32]], scores: &mut [f64]) {
        for (row, score) in scores.iter_mut().enumerate() {
            let values: Vec<f32> = columns.iter().map(|column| column[row]).collect();
            *score = self.forest.outputs(&values)[self.output];
        }
    }
}
