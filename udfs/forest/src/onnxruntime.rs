//! ONNX Runtime, for models that are no tree ensemble, or when the options name it.
//!
//! The shared library is loaded when the first session is opened, from the path that the caller gives; the process keeps it,
//! so that a second path is an error. One thread scores a block at a time: a task has one core, and its blocks are small.
//!
//! The graph has passed the checks of [`crate::onnx`] before it comes here. They keep files and unknown operators out; how much
//! a graph of known operators allocates is up to ONNX Runtime.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ort::environment::Environment;
use ort::value::TensorRef;

use crate::card::Card;
use crate::error::{Error, Result};
use crate::onnx::{self, RuntimeModel};

/// Rows that are handed over at once; their copy in row order is the memory that a batch costs.
const BLOCK_ROWS: usize = 4_096;

const REMEDY: &str = "run `make setup`, or set ORT_DYLIB_PATH to libonnxruntime.so 1.30 or newer";

/// The library of this process.
static LIBRARY: Mutex<Option<Library>> = Mutex::new(None);

#[derive(Clone)]
struct Library {
    path: PathBuf,
    environment: Environment,
    name: String,
}

/// A model in ONNX Runtime.
pub(crate) struct Session {
    session: Mutex<ort::session::Session>,
    name: String,
    takes_f64: bool,
    gives_f64: bool,
    n_features: usize,
    n_classes: usize,
    positive: usize,
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Session {
    /// Fails without the library, and for a model that ONNX Runtime refuses.
    pub(crate) fn open(model: &[u8], card: &Card, library: Option<&Path>) -> Result<Self> {
        let library = load(library)?;
        let RuntimeModel { bytes, takes_f64, gives_f64 } = onnx::prepare(model)?;
        let session = build(&library.environment, &bytes).map_err(|error| {
            Error::invalid(
                format!("model `{}`: ONNX Runtime does not take it: {}", card.name, one_line(&error)),
                "export the model again, or check it with `onnx.checker.check_model`",
            )
        })?;
        Ok(Self {
            session: Mutex::new(session),
            name: library.name,
            takes_f64,
            gives_f64,
            n_features: card.features.len(),
            n_classes: card.classes.len(),
            positive: card.positive_index(),
        })
    }

    /// The library's name and version.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The output of the positive class, or the only output there is.
    pub(crate) fn score(&self, columns: &[&[f32]], scores: &mut [f64]) -> Result<()> {
        self.each_row(columns, scores.len(), |row, outputs| {
            scores[row] = if outputs.len() == 1 { outputs[0] } else { outputs[self.positive] };
        })
    }

    /// The class with the largest output that is not the positive one.
    pub(crate) fn likeliest_others(&self, columns: &[&[f32]], likeliest: &mut [u32]) -> Result<()> {
        let n_rows = likeliest.len();
        self.each_row(columns, n_rows, |row, outputs| {
            let mut best = f64::NEG_INFINITY;
            for (class, output) in outputs.iter().enumerate() {
                if class != self.positive && best < *output {
                    (likeliest[row], best) = (class as u32, *output);
                }
            }
        })
    }

    /// Runs all rows, block by block, and shows each row's outputs.
    pub(crate) fn each_row(
        &self,
        columns: &[&[f32]],
        n_rows: usize,
        mut show: impl FnMut(usize, &[f64]),
    ) -> Result<()> {
        for begin in (0..n_rows).step_by(BLOCK_ROWS) {
            let end = n_rows.min(begin + BLOCK_ROWS);
            let (n_outputs, outputs) = self.run(columns, begin, end)?;
            for (row, outputs) in (begin..end).zip(outputs.chunks_exact(n_outputs)) {
                show(row, outputs);
            }
        }
        Ok(())
    }

    /// Outputs per row, and the outputs of rows `begin..end`.
    fn run(&self, columns: &[&[f32]], begin: usize, end: usize) -> Result<(usize, Vec<f64>)> {
        let shape = [end - begin, self.n_features];
        let values = (begin..end).flat_map(|row| columns.iter().map(move |column| column[row]));
        let mut session = lock(&self.session);
        let result = if self.takes_f64 {
            let rows: Vec<f64> = values.map(f64::from).collect();
            TensorRef::from_array_view((shape, &rows[..]))
                .and_then(|rows| self.outputs(&mut session, ort::inputs![rows]))
        } else {
            let rows: Vec<f32> = values.collect();
            TensorRef::from_array_view((shape, &rows[..]))
                .and_then(|rows| self.outputs(&mut session, ort::inputs![rows]))
        };
        let (shape, outputs) =
            result.map_err(|error| Error::Internal(format!("ONNX Runtime: {}", one_line(&error))))?;
        let n_rows = (end - begin) as i64;
        let n_outputs = match shape[..] {
            [rows] if rows == n_rows => 1,
            [rows, n_outputs] if rows == n_rows => usize::try_from(n_outputs).unwrap_or(0),
            _ => 0,
        };
        if n_outputs != self.n_classes && (n_outputs, self.n_classes) != (1, 2) {
            return Err(Error::invalid(
                format!(
                    "the model gives scores of shape {shape:?} for {n_rows} rows, the card has {} classes",
                    self.n_classes
                ),
                "name one class for each output, in the model's order; two for a model with one output",
            ));
        }
        Ok((n_outputs, outputs))
    }

    fn outputs<const N: usize>(
        &self,
        session: &mut ort::session::Session,
        inputs: [ort::session::SessionInputValue<'_>; N],
    ) -> ort::Result<(Vec<i64>, Vec<f64>)> {
        let outputs = session.run(inputs)?;
        if self.gives_f64 {
            let (shape, values) = outputs[0].try_extract_tensor::<f64>()?;
            return Ok((shape.to_vec(), values.to_vec()));
        }
        let (shape, values) = outputs[0].try_extract_tensor::<f32>()?;
        Ok((shape.to_vec(), values.iter().copied().map(f64::from).collect()))
    }
}

fn build(environment: &Environment, model: &[u8]) -> ort::Result<ort::session::Session> {
    ort::session::Session::builder(environment)?.with_intra_threads(1)?.with_inter_threads(1)?.commit_from_memory(model)
}

/// The process's library, loaded from `path` if it is not there yet.
fn load(path: Option<&Path>) -> Result<Library> {
    let Some(path) = path else {
        return Err(unavailable("the ONNX Runtime library is needed, and no path to it is given"));
    };
    let shown = path.display();
    let found =
        path.canonicalize().map_err(|error| unavailable(format!("no ONNX Runtime library at `{shown}`: {error}")))?;
    if !found.is_file() {
        return Err(unavailable(format!("`{shown}` is no file, so it is not the ONNX Runtime library")));
    }
    let mut library = lock(&LIBRARY);
    match &*library {
        Some(library) if library.path == found => return Ok(library.clone()),
        Some(library) => {
            return Err(Error::invalid(
                format!("ONNX Runtime is already loaded from `{}`, so `{shown}` cannot be", library.path.display()),
                "give the same path everywhere in one process",
            ));
        }
        None => {}
    }
    let builder = ort::init_from(&found)
        .map_err(|error| unavailable(format!("`{shown}` is no ONNX Runtime library of use: {}", one_line(&error))))?;
    let environment = builder
        .with_name("davy")
        .with_telemetry(false)
        .build()
        .map_err(|error| Error::Internal(format!("ONNX Runtime: {}", one_line(&error))))?;
    let name = version(&found).map_or_else(|| "onnxruntime".to_owned(), |version| format!("onnxruntime {version}"));
    Ok(library.insert(Library { path: found, environment, name }).clone())
}

/// `1.31.1`: the library's symbols carry its version, `VERS_1.31.1`. Its own function for that is not reached through `ort`, and
/// its build information names no version.
fn version(library: &Path) -> Option<String> {
    let bytes = std::fs::read(library).ok()?;
    let texts = bytes.split(|byte| *byte == 0);
    let version = texts.filter_map(|text| text.strip_prefix(b"VERS_")).find(|version| version.len() < 20)?;
    std::str::from_utf8(version).ok().map(str::to_owned)
}

/// A panic while it was held leaves nothing half done in either lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable(message: impl Into<String>) -> Error {
    Error::Unavailable { message: message.into(), hint: REMEDY.to_owned() }
}

fn one_line(error: &impl fmt::Display) -> String {
    let text: String = error.to_string().chars().take(500).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
