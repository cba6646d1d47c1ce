//! The engine's formats by themselves: the whole engine brings DataFusion along, which takes too long to build with coverage.

pub mod error;
#[path = "../../engine/src/format/mod.rs"]
pub mod format;
#[path = "../../engine/src/options.rs"]
pub mod options;

pub use error::{Error, Location, Result};

use arrow::datatypes::DataType;
use format::{DecodeField, DecodeSpec, Decoder, FieldFrom, Format};
use options::Options;

/// A decoder of `(name, type, nullable)`; the column `value` is the record itself.
pub fn decoder(name: &str, options: &[(&str, &str)], columns: &[(&str, DataType, bool)]) -> Box<dyn Decoder> {
    let mut parsed = Options::new("fuzz");
    options.iter().for_each(|(name, value)| parsed.set(*name, *value, None));
    let fields = columns.iter().enumerate().map(|(index, (name, data_type, nullable))| {
        let from = if *name == "value" { FieldFrom::Value } else { FieldFrom::Column(index) };
        DecodeField { name: (*name).to_owned(), data_type: data_type.clone(), nullable: *nullable, from }
    });
    let spec = DecodeSpec {
        declared: columns.iter().map(|(name, _, _)| (*name).to_owned()).collect(),
        fields: fields.collect(),
    };
    Format::from_options(name, &mut parsed).expect("options").decoder(spec).expect("a decoder")
}

/// Decodes in two pieces; every line must be a row, a bad record or skipped, and every row must come out.
pub fn check(mut decoder: Box<dyn Decoder>, data: &[u8]) {
    let middle = data[..data.len() / 2].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let (first, second) = data.split_at(middle);
    let mut bad = Vec::new();
    let mut rows = 0;
    for piece in [first, second] {
        decoder.push(piece, &mut bad).expect("the split fits the table");
        let expected = decoder.rows();
        let batch = decoder.finish().expect("a batch");
        assert_eq!(batch.num_rows(), expected);
        rows += expected as u64;
    }
    let counts = decoder.counts();
    assert_eq!(rows + bad.len() as u64 + counts.skipped_lines, counts.lines);
    let lines = data.split_inclusive(|&byte| byte == b'\n').count() as u64;
    assert!(lines <= counts.lines);
    assert!(bad.iter().all(|record| record.offset < data.len() as u64));
}
