//! Columns to JSON.

use std::fmt::Write as _;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::error::{Error, Result};
use crate::format::cell::{Cell, Cells, can_write};
use crate::format::exact::{self, Exact};
use crate::format::{Encoder, timestamp};

/// Writes each row as one object on one line. A null is written, so that every row has every key.
pub(super) struct JsonEncoder {
    /// By column, `"name":` with what is before it.
    keys: Vec<Vec<u8>>,
}

impl JsonEncoder {
    pub(super) fn new(schema: &SchemaRef) -> Result<Self> {
        if let Some(field) = schema.fields().iter().find(|field| !can_write(field.data_type())) {
            let (name, data_type) = (field.name(), field.data_type());
            return Err(Error::invalid(format!("column `{name}`: JSON cannot hold {data_type}"))
                .hint("cast it to TEXT in the query"));
        }
        let key = |(index, name): (usize, &String)| {
            let mut key = vec![if index == 0 { b'{' } else { b',' }];
            write_string(name, &mut key);
            key.push(b':');
            key
        };
        Ok(Self { keys: schema.fields().iter().map(|field| field.name()).enumerate().map(key).collect() })
    }
}

impl Encoder for JsonEncoder {
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let columns: Option<Vec<Cells<'_>>> = batch.columns().iter().map(Cells::new).collect();
        let columns = columns.ok_or_else(|| Error::internal("a batch with other types than its encoder's schema"))?;
        for row in 0..batch.num_rows() {
            if columns.is_empty() {
                out.push(b'{');
            }
            for (key, cells) in self.keys.iter().zip(&columns) {
                out.extend_from_slice(key);
                write_json(cells, row, out);
            }
            out.extend_from_slice(b"}\n");
        }
        Ok(())
    }
}

/// Writes one cell as a JSON value.
pub(in crate::format) fn write_json(cells: &Cells<'_>, row: usize, out: &mut Vec<u8>) {
    match cells.write(row, out) {
        Cell::Number => {}
        Cell::Null | Cell::NotFinite(_) => out.extend_from_slice(b"null"),
        Cell::Boolean(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Cell::Date(days) => {
            out.push(b'"');
            timestamp::write_date(days, out);
            out.push(b'"');
        }
        Cell::Timestamp(value, unit) => {
            out.push(b'"');
            timestamp::write_timestamp(value, unit, b'T', out);
            out.extend_from_slice(b"Z\"");
        }
        // A JSON number would lose digits in most readers.
        Cell::Exact(Exact::Decimal(text)) => write_string(&text, out),
        Cell::Exact(Exact::Time(nanos)) => {
            out.push(b'"');
            exact::write_time(nanos, out);
            out.push(b'"');
        }
        Cell::Text(text) => write_string(text, out),
        Cell::Bytes(bytes) => write_hex(bytes, out),
        Cell::List(range, items) => {
            out.push(b'[');
            for (index, item) in range.enumerate() {
                if 0 < index {
                    out.push(b',');
                }
                write_json(items, item, out);
            }
            out.push(b']');
        }
        Cell::Struct(columns) => {
            out.push(b'{');
            for (index, (name, cells)) in columns.iter().enumerate() {
                if 0 < index {
                    out.push(b',');
                }
                write_string(name, out);
                out.push(b':');
                write_json(cells, row, out);
            }
            out.push(b'}');
        }
    }
}

/// Writes a JSON string.
pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut written = 0;
    for (at, byte) in text.bytes().enumerate() {
        if matches!(byte, b'"' | b'\\' | ..0x20) {
            out.extend_from_slice(&text.as_bytes()[written..at]);
            write_escape(byte, out);
            written = at + 1;
        }
    }
    out.extend_from_slice(&text.as_bytes()[written..]);
    out.push(b'"');
}

#[cold]
fn write_escape(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
    }
}

fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes all");
    }
    write_string(&text, out);
}
