//! Columns to CSV.
//!
//! Quotes are only where RFC 4180 needs them, and around an empty text, which would otherwise read back as a null. A row
//! that would be an empty line is written as `""`, since readers skip empty lines, or as a blank where its text is null.

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};

use super::CsvOptions;
use crate::error::{Error, Result};
use crate::format::cell::{Cell, Cells, can_write};
use crate::format::exact::{self, Exact};
use crate::format::json::write_json;
use crate::format::{Encoder, timestamp, without_bom};

/// Writes rows as CSV.
pub(super) struct CsvEncoder {
    delimiter: u8,
    null: String,
    /// The header line, until it is written.
    header: Option<Vec<u8>>,
}

impl CsvEncoder {
    pub(super) fn new(options: &CsvOptions, schema: &SchemaRef) -> Result<Self> {
        if let Some(field) = schema.fields().iter().find(|field| !can_write(field.data_type())) {
            let (name, data_type) = (field.name(), field.data_type());
            return Err(Error::invalid(format!("column `{name}`: CSV cannot hold {data_type}"))
                .hint("cast it to TEXT in the query"));
        }
        let header = options.writes_header.then(|| header(schema, options.delimiter));
        Ok(Self { delimiter: options.delimiter, null: options.null.clone().unwrap_or_default(), header })
    }

    /// What stands for an only column without characters: readers skip empty lines.
    fn nothing(&self, batch: &RecordBatch, row: usize) -> &'static [u8] {
        let is_null_text = |column: &ArrayRef| is_text(column.data_type()) && column.is_null(row);
        // In quotes it would be an empty text.
        if self.delimiter != b' ' && batch.columns().iter().all(is_null_text) { b" " } else { b"\"\"" }
    }

    fn write_cell(&self, cells: &Cells<'_>, row: usize, out: &mut Vec<u8>) {
        match cells.write(row, out) {
            Cell::Number => {}
            Cell::Date(days) => timestamp::write_date(days, out),
            Cell::Timestamp(value, unit) => timestamp::write_timestamp(value, unit, b' ', out),
            Cell::Exact(Exact::Decimal(text)) => out.extend_from_slice(text.as_bytes()),
            Cell::Exact(Exact::Time(nanos)) => exact::write_time(nanos, out),
            Cell::Null => out.extend_from_slice(self.null.as_bytes()),
            Cell::Boolean(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            Cell::NotFinite(value) if value.is_nan() => out.extend_from_slice(b"NaN"),
            Cell::NotFinite(value) => out.extend_from_slice(if value < 0.0 { b"-inf" } else { b"inf" }),
            Cell::Text(text) => self.write_text(text.as_bytes(), out),
            Cell::Bytes(bytes) => self.write_text(bytes, out),
            Cell::List(..) | Cell::Struct(_) => {
                let mut json = Vec::new();
                write_json(cells, row, &mut json);
                self.write_text(&json, out);
            }
        }
    }

    /// A text that would read back as a null is quoted too.
    fn write_text(&self, text: &[u8], out: &mut Vec<u8>) {
        if text == self.null.as_bytes() {
            write_quoted(text, out);
        } else {
            write_text(text, self.delimiter, out);
        }
    }
}

impl Encoder for CsvEncoder {
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        if let Some(header) = self.header.take() {
            out.extend_from_slice(&header);
        }
        let columns: Option<Vec<Cells<'_>>> = batch.columns().iter().map(Cells::new).collect();
        let columns = columns.ok_or_else(|| Error::internal("a batch with other types than its encoder's schema"))?;
        for row in 0..batch.num_rows() {
            let start = out.len();
            for (index, cells) in columns.iter().enumerate() {
                if 0 < index {
                    out.push(self.delimiter);
                }
                self.write_cell(cells, row, out);
            }
            if out.len() == start {
                out.extend_from_slice(self.nothing(batch, row));
            }
            out.push(b'\n');
        }
        Ok(())
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Binary)
}

fn header(schema: &SchemaRef, delimiter: u8) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, field) in schema.fields().iter().enumerate() {
        if 0 < index {
            out.push(delimiter);
        }
        write_text(field.name().as_bytes(), delimiter, &mut out);
    }
    out.push(b'\n');
    out
}

fn write_text(text: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    let is_blank = |byte: Option<&u8>| matches!(byte, None | Some(b' ' | b'\t'));
    let needs_quotes = is_blank(text.first())
        || is_blank(text.last())
        || memchr::memchr3(delimiter, b'"', b'\n', text).is_some()
        || memchr::memchr(b'\r', text).is_some()
        // At the beginning of a line it would be taken for the file's own.
        || without_bom(text).len() < text.len();
    if needs_quotes {
        write_quoted(text, out);
    } else {
        out.extend_from_slice(text);
    }
}

fn write_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(quote) = memchr::memchr(b'"', rest) {
        out.extend_from_slice(&rest[..=quote]);
        out.push(b'"');
        rest = &rest[quote + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
