//! Rows in, scores out: a package with a backend, after its golden rows were reproduced.
//!
//! **Who computes.** With [`Backend::Auto`] our own kernel scores every model that is nothing but a tree ensemble it takes
//! (`onnx/ensemble.rs` says which those are), ONNX Runtime everything else; the shared library is looked for only then. If the
//! options name a backend, it is used or the load fails.
//!
//! **What a score is.** The output of the card's positive class; of a model with one output, that output. Our kernel gives it in
//! f64, exactly as scikit-learn's forests do; ONNX Runtime in f32, so its golden rows may be off by 1e-6 whatever the card says.
//!
//! **What a class is.** The positive one from the card's threshold on; else the other one, or of several others the one with the
//! largest output, the first of equals.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::card::{Card, NotFinite};
use crate::error::{Error, Result};
use crate::explain::Explainer;
use crate::forest::Forest;
use crate::native::{Kernel, Path};
use crate::onnxruntime::Session;
use crate::package::Package;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// Native for tree ensembles, ONNX Runtime for everything else.
    #[default]
    Auto,
    Native,
    OnnxRuntime,
}

#[derive(Clone, Debug, Default)]
pub struct Options {
    pub backend: Backend,
    /// Where ONNX Runtime's shared library is; only looked at when that backend is used.
    pub onnxruntime: Option<PathBuf>,
}

/// Scores rows; shared by threads.
#[derive(Debug)]
pub struct Scorer {
    card: Card,
    positive: usize,
    engine: Engine,
    forest: Option<Forest>,
    explainer: OnceLock<Explainer>,
}

#[derive(Debug)]
enum Engine {
    Native(Box<Native>),
    OnnxRuntime(Session),
}

/// A forest compiled for its score, and for its other outputs when a call first needs them.
#[derive(Debug)]
struct Native {
    score: Kernel,
    others: OnceLock<Result<Vec<(u32, Kernel)>>>,
}

/// What ONNX Runtime's f32 sums may be off.
const TOLERANCE_F32: f64 = 1e-6;

impl Scorer {
    /// Builds the backend and reproduces the card's golden rows with it.
    pub fn new(package: &Package, options: &Options) -> Result<Self> {
        let card = package.card.clone();
        let positive = match &package.forest {
            Some(forest) if forest.n_outputs() == 1 => 0,
            _ => card.positive_index(),
        };
        let engine = match (&options.backend, &package.forest) {
            (Backend::Auto | Backend::Native, Some(forest)) => {
                let score = Kernel::compile(forest, positive)?;
                Engine::Native(Box::new(Native { score, others: OnceLock::new() }))
            }
            (Backend::Native, None) => return Err(not_native(&card, package.too_shared)),
            (Backend::Auto, None) | (Backend::OnnxRuntime, _) => {
                Engine::OnnxRuntime(Session::open(&package.model, &card, options.onnxruntime.as_deref())?)
            }
        };
        let scorer = Self { card, positive, engine, forest: package.forest.clone(), explainer: OnceLock::new() };
        scorer.check_golden()?;
        Ok(scorer)
    }

    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The backend's name: `native (avx512)`, `onnxruntime 1.31.1`.
    pub fn backend(&self) -> &str {
        match &self.engine {
            Engine::Native(native) => match native.score.path() {
                Path::Avx512 => "native (avx512)",
                Path::Portable => "native (portable)",
                Path::Plain => "native (plain)",
            },
            Engine::OnnxRuntime(session) => session.name(),
        }
    }

    /// Scores rows: `columns[f][row]`, in the card's order, all as long as `scores`. A row without a score (the card's rule for
    /// values that are not finite) gets NaN.
    pub fn score(&self, columns: &[&[f32]], scores: &mut [f64]) -> Result<()> {
        self.check_shape(columns, scores.len())?;
        let replaced = self.replace_not_finite(columns);
        let columns: Vec<&[f32]> = replaced.iter().map(AsRef::as_ref).collect();
        match &self.engine {
            Engine::Native(native) => native.score.score(&columns, scores),
            Engine::OnnxRuntime(session) => session.score(&columns, scores)?,
        }
        if self.card.not_finite == NotFinite::Null {
            for column in columns.into_iter().filter(|column| has_not_finite(column)) {
                for (score, value) in scores.iter_mut().zip(column) {
                    *score = if value.is_finite() { *score } else { f64::NAN };
                }
            }
        }
        Ok(())
    }

    /// The class of each row as an index into the card's classes; `None` where there is no score.
    pub fn classify(&self, columns: &[&[f32]], classes: &mut [Option<u32>]) -> Result<()> {
        let mut scores = vec![0.0; classes.len()];
        self.score(columns, &mut scores)?;
        let positive = self.card.positive_index() as u32;
        let mut likeliest = vec![1 - positive.min(1); classes.len()];
        if 2 < self.card.classes.len() {
            self.likeliest_others(columns, &mut likeliest)?;
        }
        for ((class, score), other) in classes.iter_mut().zip(&scores).zip(likeliest) {
            *class = match score {
                score if score.is_nan() => None,
                score if self.card.threshold <= *score => Some(positive),
                _ => Some(other),
            };
        }
        Ok(())
    }

    /// What each feature added to the score of a row; `None` where there is no score, or the model is no tree ensemble.
    pub fn explain(&self, row: &[f32]) -> Result<Option<Explanation>> {
        let columns: Vec<&[f32]> = row.chunks(1).collect();
        let mut score = [0.0];
        self.score(&columns, &mut score)?;
        let Some(forest) = self.forest.as_ref().filter(|_| !score[0].is_nan()) else { return Ok(None) };
        let explainer = self.explainer.get_or_init(|| Explainer::new(forest, self.positive));
        let row: Vec<f32> = self.replace_not_finite(&columns).iter().map(|column| column[0]).collect();
        Ok(Some(explainer.explain(forest, &row, score[0])))
    }

    /// For each row the class with the largest output that is not the positive one.
    fn likeliest_others(&self, columns: &[&[f32]], likeliest: &mut [u32]) -> Result<()> {
        let replaced = self.replace_not_finite(columns);
        let columns: Vec<&[f32]> = replaced.iter().map(AsRef::as_ref).collect();
        let native = match &self.engine {
            Engine::Native(native) => native,
            Engine::OnnxRuntime(session) => return session.likeliest_others(&columns, likeliest),
        };
        let others = native.others.get_or_init(|| self.compile_others()).as_ref().map_err(Error::clone)?;
        let mut best = vec![f64::NEG_INFINITY; likeliest.len()];
        let mut outputs = vec![0.0; likeliest.len()];
        for (class, kernel) in others {
            kernel.score(&columns, &mut outputs);
            for ((likeliest, best), output) in likeliest.iter_mut().zip(&mut best).zip(&outputs) {
                if *best < *output {
                    (*likeliest, *best) = (*class, *output);
                }
            }
        }
        Ok(())
    }

    fn compile_others(&self) -> Result<Vec<(u32, Kernel)>> {
        let Some(forest) = &self.forest else { return Ok(vec![]) };
        let others = (0..forest.n_outputs()).filter(|output| *output != self.positive);
        others.map(|output| Ok((output as u32, Kernel::compile(forest, output)?))).collect()
    }

    fn check_shape(&self, columns: &[&[f32]], n_rows: usize) -> Result<()> {
        if columns.len() != self.card.features.len() {
            return Err(Error::invalid(
                format!(
                    "model `{}` takes {} features, {} columns were given",
                    self.card.name,
                    self.card.features.len(),
                    columns.len()
                ),
                "give one column for each feature of the card, in its order",
            ));
        }
        match columns.iter().zip(&self.card.features).find(|(column, _)| column.len() != n_rows) {
            Some((column, feature)) => Err(Error::invalid(
                format!("column `{}` has {} rows for {n_rows} scores", feature.name, column.len()),
                "give columns of one length",
            )),
            None => Ok(()),
        }
    }

    /// The columns themselves, except for those that hold a value for which the card names another.
    fn replace_not_finite<'a>(&self, columns: &[&'a [f32]]) -> Vec<Cow<'a, [f32]>> {
        let NotFinite::Replace(with) = self.card.not_finite else {
            return columns.iter().map(|column| Cow::Borrowed(*column)).collect();
        };
        let replace = |column: &&'a [f32]| {
            if !has_not_finite(column) {
                return Cow::Borrowed(*column);
            }
            Cow::Owned(column.iter().map(|value| if value.is_finite() { *value } else { with }).collect())
        };
        columns.iter().map(replace).collect()
    }

    fn check_golden(&self) -> Result<()> {
        let golden = &self.card.golden;
        let column = |feature: usize| golden.iter().map(|row| row.features[feature] as f32).collect::<Vec<f32>>();
        let columns: Vec<Vec<f32>> = (0..self.card.features.len()).map(column).collect();
        let columns: Vec<&[f32]> = columns.iter().map(Vec::as_slice).collect();
        let mut scores = vec![0.0; golden.len()];
        self.score(&columns, &mut scores)?;
        let tolerance = match &self.engine {
            Engine::Native(_) => self.card.tolerance,
            Engine::OnnxRuntime(_) => self.card.tolerance.max(TOLERANCE_F32),
        };
        for (index, (row, score)) in golden.iter().zip(&scores).enumerate() {
            let is_reproduced = (row.score - score).abs() <= tolerance;
            if !is_reproduced {
                return Err(Error::invalid(
                    format!(
                        "model `{}`: golden row {index} scores {score}, the trainer's score is {}; more than {tolerance} apart ({})",
                        self.card.name,
                        row.score,
                        // Without the path or version: the same model gives the same message on any machine.
                        self.backend().split(' ').next().unwrap_or_default()
                    ),
                    "check the order of the features and classes in the card; else export the model and its golden rows again",
                ));
            }
        }
        Ok(())
    }
}

fn not_native(card: &Card, too_shared: Option<u64>) -> Error {
    let name = &card.name;
    let message = match too_shared {
        Some(n_nodes) => {
            format!(
                "model `{name}`: paths share nodes; with a copy for each path it has {n_nodes} nodes, too many for the native kernel"
            )
        }
        None => format!("model `{name}` is no tree ensemble that the native kernel takes"),
    };
    Error::invalid(message, "choose the backend `auto` or `onnxruntime`")
}

/// Looks at every value, without a branch for each: several at once, and columns that hold one are rare.
fn has_not_finite(column: &[f32]) -> bool {
    column.iter().fold(false, |found, value| found | !value.is_finite())
}

/// Why a row has its score: `base + Σ contributions = score`, up to rounding, before the transform.
///
/// Models that end in a logistic function or softmax are explained in front of it: the sum is then the logit, not the score.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    pub score: f64,
    /// The score of a row of which nothing is known.
    pub base: f64,
    /// Per feature, in the card's order.
    pub contributions: Vec<f64>,
}
