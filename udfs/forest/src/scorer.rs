//! Rows in, scores out: a package with a backend, after its golden rows were reproduced.

use std::path::PathBuf;

use crate::card::Card;
use crate::error::Result;
use crate::package::Package;

/// Who computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// Native for tree ensembles, ONNX Runtime for everything else.
    #[default]
    Auto,
    /// Our own kernel.
    Native,
    /// ONNX Runtime.
    OnnxRuntime,
}

/// What surrounds a scorer.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Who computes.
    pub backend: Backend,
    /// Where ONNX Runtime's shared library is; only looked at when that backend is used.
    pub onnxruntime: Option<PathBuf>,
}

/// Scores rows; shared by threads.
#[derive(Debug)]
pub struct Scorer {
    card: Card,
}

impl Scorer {
    /// Builds the backend and reproduces the card's golden rows with it.
    pub fn new(package: &Package, _options: &Options) -> Result<Self> {
        Ok(Self { card: package.card.clone() })
    }

    /// The card.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The backend's name: `native (avx512)`, `onnxruntime 1.31.1`.
    pub fn backend(&self) -> &str {
        todo!()
    }

    /// Scores rows: `columns[f][row]`, in the card's order, all as long as `scores`. A row without a score (the card's rule for
    /// values that are not finite) gets NaN.
    pub fn score(&self, _columns: &[&[f32]], _scores: &mut [f64]) -> Result<()> {
        todo!()
    }

    /// The class of each row as an index into the card's classes; `None` where there is no score.
    pub fn classify(&self, _columns: &[&[f32]], _classes: &mut [Option<u32>]) -> Result<()> {
        todo!()
    }

    /// What each feature added to the score of a row.
    pub fn explain(&self, _row: &[f32]) -> Result<Option<Explanation>> {
        todo!()
    }
}

/// Why a row has its score: `base + Σ contributions = score`, up to rounding, before the transform.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The score.
    pub score: f64,
    /// The score of a row of which nothing is known.
    pub base: f64,
    /// Per feature, in the card's order.
    pub contributions: Vec<f64>,
}
