//! Stands in for `Format::encoder` until the engine has it.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use davy_engine::Result;
use davy_engine::format::{Encoder, Format};

enum Stub {
    Csv,
    Json,
}

pub(super) fn encoder(format: &Format, _schema: &SchemaRef) -> Result<Box<dyn Encoder>> {
    Ok(Box::new(if matches!(format, Format::Json(_)) { Stub::Json } else { Stub::Csv }))
}

impl Encoder for Stub {
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Csv => arrow::csv::WriterBuilder::new().with_header(false).build(out).write(batch)?,
            Self::Json => arrow::json::LineDelimitedWriter::new(out).write(batch)?,
        }
        Ok(())
    }
}
