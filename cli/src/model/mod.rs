//! `davy model`: inspects, verifies, measures and makes model packages, and compares their input with the training data.

mod bench;
mod drift;
mod import;
mod info;
mod rows;
mod verify;

use std::path::Path;
use std::process::ExitCode;

use davy_engine::{Error, Result};
use davy_forest::package::Package;
use davy_forest::scorer::{Backend, Options, Scorer};

use crate::args::ModelCommand;

pub(crate) fn run(command: &ModelCommand) -> Result<ExitCode> {
    match command {
        ModelCommand::Info(args) => info::info(args),
        ModelCommand::Verify(args) => verify::verify(args),
        ModelCommand::Bench(args) => bench::bench(args),
        ModelCommand::Import(args) => import::import(args),
        ModelCommand::Drift(args) => drift::drift(args),
    }
}

/// From which score on a row is of the class that the model looks for.
pub(crate) fn threshold(card: &Path) -> Result<f64> {
    open(card).map(|package| package.card.threshold)
}

/// Reads a package; errors name its card.
fn open(card: &Path) -> Result<Package> {
    Package::open(card).map_err(|error| about(card, error))
}

fn about(card: &Path, error: davy_forest::Error) -> Error {
    Error::from(error).context(&format!("model `{}`", card.display()))
}

/// The backends that can run a package, in the order they are shown.
fn backends(package: &Package) -> Vec<Backend> {
    let native = package.forest.as_ref().map(|_| Backend::Native);
    native.into_iter().chain([Backend::OnnxRuntime]).collect()
}

/// A scorer with one backend.
fn scorer(card: &Path, package: &Package, backend: Backend, onnxruntime: Option<&Path>) -> Result<Scorer> {
    let options = Options { backend, onnxruntime: crate::settings::onnxruntime(onnxruntime, None) };
    Scorer::new(package, &options).map_err(|error| about(card, error))
}
