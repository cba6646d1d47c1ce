//! A model package: a card and the model that it describes, checked against each other.

use std::path::Path;
use std::sync::Arc;

use crate::card::Card;
use crate::error::Result;
use crate::forest::Forest;

/// The largest card that is read.
pub const MAX_CARD_BYTES: u64 = 1 << 20;
/// The largest model that is read.
pub const MAX_MODEL_BYTES: u64 = 512 << 20;

/// A card with its model, checked against each other; the golden rows are left to [`crate::scorer::Scorer`].
#[derive(Clone, Debug)]
pub struct Package {
    /// The card.
    pub card: Card,
    /// The model file.
    pub model: Arc<[u8]>,
    /// Its trees, where it is nothing but a tree ensemble.
    pub forest: Option<Forest>,
}

impl Package {
    /// Checks a card's text and a model's bytes.
    pub fn parse(_card: &str, _model: Vec<u8>) -> Result<Self> {
        todo!()
    }

    /// Reads a card and the model beside it.
    pub fn open(_card: &Path) -> Result<Self> {
        todo!()
    }
}
