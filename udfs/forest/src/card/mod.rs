//! The model card: what a model is called, what goes in, what comes out, and how to see that it is the right one.
//!
//! Written in TOML by hand or by [`crate::import`]; unknown fields are refused, so that a misspelt one is not silently without
//! effect. What the fields may hold is checked in `check.rs`; whether they fit the model, by [`crate::package`].

mod check;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{self, Visitor};

use crate::error::{Error, Result};
use crate::package::MAX_CARD_BYTES;

/// The contents of a `card.toml` that has passed every check but those against the model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Version of this layout: 1.
    pub format: u32,
    pub name: String,
    pub version: String,
    /// One or two sentences for an analyst.
    pub description: String,
    /// Such as `Apache-2.0`.
    pub license: Option<String>,
    /// File name beside the card.
    pub model: String,
    /// SHA-256 of the model file, in hex.
    pub sha256: String,
    /// Names of the outputs, in order.
    pub classes: Vec<String>,
    /// The class whose probability is the score.
    pub positive: String,
    /// From this score on a row is `positive`.
    pub threshold: f64,
    /// What a feature that is NaN or infinite does.
    pub not_finite: NotFinite,
    /// How far golden rows may be off.
    pub tolerance: f64,
    /// The window that the features are computed over.
    pub window: Option<Window>,
    /// Where the model comes from.
    pub training: Training,
    /// Free-form; shown by `davy model info` and not read otherwise.
    #[serde(default)]
    pub evaluation: BTreeMap<String, toml::Value>,
    pub features: Vec<Feature>,
    /// Rows with the trainer's scores.
    pub golden: Vec<Golden>,
}

/// What a feature that is NaN or infinite does to its row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NotFinite {
    /// The row has no score.
    Null,
    /// The trees decide, as the model says.
    Model,
    /// It is replaced by this number.
    Replace(f32),
}

impl<'de> Deserialize<'de> for NotFinite {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(NotFiniteVisitor)
    }
}

struct NotFiniteVisitor;

impl Visitor<'_> for NotFiniteVisitor {
    type Value = NotFinite;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("\"null\", \"model\" or a finite number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<NotFinite, E> {
        match text {
            "null" => Ok(NotFinite::Null),
            "model" => Ok(NotFinite::Model),
            other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> std::result::Result<NotFinite, E> {
        let narrow = number as f32;
        if narrow.is_finite() {
            Ok(NotFinite::Replace(narrow))
        } else {
            Err(E::invalid_value(de::Unexpected::Float(number), &self))
        }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> std::result::Result<NotFinite, E> {
        self.visit_f64(number as f64)
    }
}

/// The window that features are computed over.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Its width, such as `15m`.
    pub width: String,
    /// What rows are grouped by.
    pub key: Vec<String>,
    /// Windows with fewer rows are not scored.
    pub rows_min: u64,
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Day of the training, `2026-11-21`.
    pub date: String,
    /// What it was trained on.
    pub data: Vec<String>,
    /// The program and its settings.
    pub trainer: String,
    /// The command that makes it again.
    pub command: String,
    /// The script that computes the features.
    pub sql: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    pub name: String,
    /// Its unit; `1` for pure numbers.
    pub unit: String,
    pub description: String,
    /// Inner edges of the bins of `shares`; empty where the card has none.
    #[serde(default)]
    pub edges: Vec<f64>,
    /// Shares of the training rows per bin.
    #[serde(default)]
    pub shares: Vec<f64>,
}

/// A row with the trainer's score.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// Values in the order of the features.
    pub features: Vec<f64>,
    pub score: f64,
}

impl Card {
    /// Parses and checks a card.
    pub fn parse(text: &str) -> Result<Self> {
        if MAX_CARD_BYTES < text.len() as u64 {
            let message = format!("the card has {} bytes, more than {MAX_CARD_BYTES}", text.len());
            return Err(Error::invalid(message, "move what is not about the model out of it"));
        }
        let card: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                1 + text.as_bytes()[..span.start.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
            });
            let what = error.message().replace('\n', ", ");
            Error::invalid(format!("card, line {line}: {what}"), "udfs/forest/src/card/mod.rs describes each field")
        })?;
        card.check()?;
        Ok(card)
    }

    /// The output that is the score: the index of `positive` among the classes.
    pub fn positive_index(&self) -> usize {
        self.classes
            .iter()
            .position(|class| *class == self.positive)
            .expect("a checked card's `positive` is one of its classes")
    }
}
