//! A model package: a card and the model that it describes, checked against each other.
//!
//! Files are read only when they are regular and not larger than the bounds below, so that a device, a pipe or a wrong path
//! neither blocks nor fills the memory.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::card::Card;
use crate::error::{Error, Result, shown};
use crate::forest::{Combine, Forest, Transform};
use crate::onnx;

/// The largest card that is read.
pub const MAX_CARD_BYTES: u64 = 1 << 20;
/// The largest model that is read.
pub const MAX_MODEL_BYTES: u64 = 512 << 20;

/// A card with its model, checked against each other; the golden rows are left to [`crate::scorer::Scorer`].
#[derive(Clone, Debug)]
pub struct Package {
    pub card: Card,
    pub model: Arc<[u8]>,
    /// Its trees, where it is nothing but a tree ensemble.
    pub forest: Option<Forest>,
    /// How many nodes its trees would have without shared ones, where that is too many for our kernel.
    pub too_shared: Option<u64>,
}

impl Package {
    /// Checks a card's text and a model's bytes.
    pub fn parse(card: &str, model: Vec<u8>) -> Result<Self> {
        Self::join(Card::parse(card)?, model)
    }

    /// Reads a card and the model beside it.
    pub fn open(card: &Path) -> Result<Self> {
        let text = String::from_utf8(read(card, MAX_CARD_BYTES, "card")?).map_err(|error| {
            let message = format!("card `{}`: byte {} is not UTF-8", card.display(), error.utf8_error().valid_up_to());
            Error::invalid(message, "save it as UTF-8 text")
        })?;
        let checked = Card::parse(&text)?;
        let model = read(&card.with_file_name(&checked.model), MAX_MODEL_BYTES, "model")?;
        Self::join(checked, model)
    }

    fn join(card: Card, model: Vec<u8>) -> Result<Self> {
        if MAX_MODEL_BYTES < model.len() as u64 {
            return Err(too_large("the model", model.len() as u64, MAX_MODEL_BYTES));
        }
        let sha256 = sha256(&model);
        if card.sha256 != sha256 {
            return Err(Error::invalid(
                format!("`{}` has the SHA-256 {sha256}, the card says {}", card.model, card.sha256),
                "take card and model from the same package; write the new sum only if you made the model yourself",
            ));
        }
        let read = onnx::read(&model, card.features.len())?;
        check_classes(&card, &read)?;
        check_threshold(&card, &read)?;
        Ok(Self { card, model: model.into(), forest: read.forest, too_shared: read.too_shared })
    }
}

/// The SHA-256 of bytes, in lower-case hex, as a card holds it.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As many classes as outputs, and by the same names where the model has names that say something.
fn check_classes(card: &Card, model: &onnx::Model) -> Result<()> {
    let n_classes = card.classes.len();
    if let Some(n_outputs) = model.n_outputs {
        let fits = n_outputs == n_classes || (n_outputs == 1 && n_classes == 2);
        if !fits {
            return Err(Error::invalid(
                format!("the model has {n_outputs} outputs, the card {n_classes} classes"),
                "name one class for each output, in the model's order; two for a model with one output",
            ));
        }
    }
    let Some(labels) = &model.labels else { return Ok(()) };
    let are_numbers = |names: &[String]| names.iter().all(|name| name.parse::<i64>().is_ok());
    let says_nothing = are_numbers(labels) && !are_numbers(&card.classes);
    if !says_nothing && *labels != card.classes {
        let named = labels.iter().take(8).map(|label| shown(label)).collect::<Vec<_>>().join("`, `");
        return Err(Error::invalid(
            format!("the model calls its classes `{named}`, the card does not"),
            "write `classes` as the model has them, in its order",
        ));
    }
    Ok(())
}

/// A threshold that no score can reach, or every score, is a mistake where scores are probabilities.
fn check_threshold(card: &Card, model: &onnx::Model) -> Result<()> {
    let Some(forest) = &model.forest else { return Ok(()) };
    let are_probabilities =
        forest.n_outputs() > 1 && (forest.combine() == Combine::Mean || forest.transform() != Transform::Identity);
    if are_probabilities && !(0.0..=1.0).contains(&card.threshold) {
        return Err(Error::invalid(
            format!("card: `threshold = {}` is no probability, which the model's scores are", card.threshold),
            "write a number from 0 to 1",
        ));
    }
    Ok(())
}

/// Reads a regular file of at most `max` bytes.
fn read(path: &Path, max: u64, what: &str) -> Result<Vec<u8>> {
    let file = format!("{what} `{}`", path.display());
    let unreadable = |error: std::io::Error| {
        let (message, hint) =
            (format!("{file} cannot be read: {error}"), format!("check the path, and that the {what} is readable"));
        // What is not there will not come by itself; everything else may be gone in a moment.
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::PermissionDenied => Error::Invalid { message, hint },
            _ => Error::Unavailable { message, hint },
        }
    };
    // Checked before the file is opened: opening a pipe waits for its other end.
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Error::invalid(
            format!("{file} is no regular file"),
            "give the path of a card.toml with its model beside it",
        ));
    }
    if max < metadata.len() {
        return Err(too_large(&file, metadata.len(), max));
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if max < bytes.len() as u64 {
        return Err(too_large(&file, bytes.len() as u64, max));
    }
    Ok(bytes)
}

fn too_large(file: &str, len: u64, max: u64) -> Error {
    Error::invalid(
        format!("{file} has {len} bytes, more than {max}"),
        "is it the right file? if so, train a smaller model",
    )
}
