//! JSON: one object per line.
//!
//! Fields that the query does not use are skipped unread. Of duplicate keys the last wins, as in most readers. An array as a
//! line gives one row per element.

mod decode;
mod encode;
#[cfg(test)]
mod tests;
mod value;

use arrow::datatypes::SchemaRef;

use self::decode::JsonDecoder;
use self::encode::JsonEncoder;
pub(super) use self::encode::write_json;
use super::{DEFAULT_MAX_RECORD_BYTES, DecodeSpec, Decoder, Encoder};
use crate::error::Result;
use crate::options::Options;

/// How a table's JSON is read.
#[derive(Clone, Debug)]
pub struct JsonOptions {
    max_record_bytes: usize,
}

impl Default for JsonOptions {
    fn default() -> Self {
        Self { max_record_bytes: DEFAULT_MAX_RECORD_BYTES }
    }
}

impl JsonOptions {
    /// Consumes `json.max_record_bytes`.
    pub fn from_options(options: &mut Options) -> Result<Self> {
        Ok(Self { max_record_bytes: super::max_record_bytes("json.max_record_bytes", options)? })
    }

    pub(super) fn decoder(&self, spec: &DecodeSpec) -> Result<Box<dyn Decoder>> {
        Ok(Box::new(JsonDecoder::new(self, spec)?))
    }

    #[allow(clippy::unused_self, reason = "the same shape as every format")]
    pub(super) fn encoder(&self, schema: &SchemaRef) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(JsonEncoder::new(schema)?))
    }
}
