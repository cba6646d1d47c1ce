//! Placeholder.
use std::path::Path;

use crate::card::Card;
use crate::error::{Error, Result};

#[derive(Debug)]
pub(crate) struct Session;

impl Session {
    pub(crate) fn open(_model: &[u8], _card: &Card, _library: Option<&Path>) -> Result<Self> {
        Err(Error::Unavailable {
            message: "ONNX Runtime is not built in yet".into(),
            hint: "choose the backend `native`".into(),
        })
    }
    pub(crate) fn name(&self) -> &str {
        "onnxruntime"
    }
    pub(crate) fn score(&self, _: &[&[f32]], _: &mut [f64]) -> Result<()> {
        Ok(())
    }
    pub(crate) fn likeliest_others(&self, _: &[&[f32]], _: &mut [u32]) -> Result<()> {
        Ok(())
    }
}
