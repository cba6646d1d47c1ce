//! JSON to columns.
//!
//! A number may stand in quotes, as writers do whose readers know doubles only; a time may be text or a number; an object or an array
//! in a text column is kept as JSON text. Nothing else is converted. A lower-case name matches a field in any case, unless a field is
//! spelled exactly so.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use serde::Deserializer;

use super::JsonOptions;
use super::value::{self, Json, Record, Slot};
use crate::error::{Error, Result};
use crate::format::column::{Column, Values};
use crate::format::number::Span;
use crate::format::timestamp;
use crate::format::{
    BadReason, BadRecord, BadSink, DecodeCounts, DecodeField, DecodeSpec, Decoder, FieldFrom, batch, shorten,
    without_bom, without_line_end,
};

pub(super) struct JsonDecoder {
    max_record_bytes: usize,
    schema: SchemaRef,
    fields: Vec<DecodeField>,
    /// The names that the query uses, each once.
    names: Vec<String>,
    /// By column: its name's index, or none for the record as a whole.
    name_indices: Vec<Option<usize>>,
    columns: Vec<Column>,
    rows: usize,
    counts: DecodeCounts,
}

/// Why a row is bad, and what exactly.
type Fault = (BadReason, String);

impl JsonDecoder {
    pub(super) fn new(options: &JsonOptions, spec: &DecodeSpec) -> Result<Self> {
        let mut names: Vec<String> = Vec::new();
        let name_indices = spec.fields.iter().map(|field| match field.from {
            FieldFrom::Value => None,
            FieldFrom::Column(_) => Some(names.iter().position(|name| *name == field.name).unwrap_or_else(|| {
                names.push(field.name.clone());
                names.len() - 1
            })),
        });
        Ok(Self {
            name_indices: name_indices.collect(),
            max_record_bytes: options.max_record_bytes,
            schema: spec.schema(),
            columns: spec.fields.iter().map(column).collect::<Result<_>>()?,
            fields: spec.fields.clone(),
            names,
            rows: 0,
            counts: DecodeCounts::default(),
        })
    }

    fn line(&mut self, text: &[u8], bad: &mut BadSink<'_>) {
        // Each message may begin with a BOM.
        let text = without_bom(text).trim_ascii();
        self.counts.lines += 1;
        if text.is_empty() {
            self.counts.skipped_lines += 1;
        } else if self.max_record_bytes < text.len() {
            bad.push(BadReason::TooLong, format!("{} bytes, the limit is {}", text.len(), self.max_record_bytes), text);
        } else if text.starts_with(b"[") {
            self.array(text, bad);
        } else {
            self.row_or_bad(text, bad);
        }
    }

    fn array(&mut self, text: &[u8], bad: &mut BadSink<'_>) {
        let Some(elements) = elements(text) else {
            bad.push(BadReason::Malformed, "a broken array".to_owned(), text);
            return;
        };
        self.counts.lines += (elements.len() as u64).saturating_sub(1);
        self.counts.skipped_lines += u64::from(elements.is_empty());
        for element in elements {
            self.row_or_bad(element.trim_ascii(), bad);
        }
    }

    fn row_or_bad(&mut self, text: &[u8], bad: &mut BadSink<'_>) {
        match self.row(text) {
            Ok(()) => self.rows += 1,
            Err((reason, detail)) => {
                self.columns.iter_mut().for_each(|column| column.truncate(self.rows));
                bad.push(reason, detail, text);
            }
        }
    }

    fn row(&mut self, text: &[u8]) -> Result<(), Fault> {
        let mut slots = vec![Slot::Absent; self.names.len()];
        let mut json = serde_json::Deserializer::from_slice(text);
        let parsed = (&mut json).deserialize_map(Record { names: &self.names, slots: &mut slots });
        parsed.and_then(|()| json.end()).map_err(|error| fault(text, &error))?;
        for (output, column) in self.columns.iter_mut().enumerate() {
            let field = &self.fields[output];
            let (result, value) = match self.name_indices[output].map(|index| &slots[index]) {
                None => (push_whole(column, text), None),
                Some(Slot::Absent) => (column.push_missing(), None),
                Some(Slot::Exact(value) | Slot::Folded(_, value)) => (push(column, value), Some(value)),
                Some(Slot::Ambiguous(one, other)) => {
                    let detail = format!(
                        "column `{}` matches the fields `{one}` and `{other}`: quote the name in SQL",
                        field.name
                    );
                    return Err((BadReason::Malformed, detail));
                }
            };
            result.map_err(|reason| (reason, detail(reason, field, value)))?;
        }
        Ok(())
    }
}

impl Decoder for JsonDecoder {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn preamble(&mut self, _line: &[u8]) {}

    fn push(&mut self, data: &[u8], bad: &mut Vec<BadRecord>) -> Result<()> {
        let mut at = 0;
        while at < data.len() {
            let end = memchr::memchr(b'\n', &data[at..]).map_or(data.len(), |newline| at + newline);
            self.line(without_line_end(&data[at..end]), &mut BadSink { records: bad, offset: at as u64 });
            at = end + 1;
        }
        Ok(())
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        batch(&self.schema, &mut self.columns, rows)
    }

    fn counts(&self) -> DecodeCounts {
        self.counts
    }
}

fn column(field: &DecodeField) -> Result<Column> {
    let DecodeField { name, data_type, nullable, from } = field;
    if *from == FieldFrom::Value && !matches!(data_type, DataType::Utf8 | DataType::Binary) {
        return Err(Error::invalid(format!("column `{name}`: a whole record is text or bytes, not {data_type}")));
    }
    Column::new(data_type, *nullable).ok_or_else(|| {
        Error::invalid(format!("column `{name}`: JSON cannot hold {data_type}")).hint("declare it as TEXT")
    })
}

/// The elements of an array as they are written; `None` when brackets or quotes do not match. An element may still be broken.
fn elements(text: &[u8]) -> Option<Vec<&[u8]>> {
    let mut elements = Vec::new();
    let (mut depth, mut start, mut at) = (0usize, 1, 0);
    while at < text.len() {
        match text[at] {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.checked_sub(1)?,
            b',' if depth == 1 => {
                elements.push(&text[start..at]);
                start = at + 1;
            }
            b'"' => at += 1 + string_length(&text[at + 1..])?,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    let is_whole = depth == 0 && at == text.len() && text.ends_with(b"]");
    let last = text.get(start..text.len() - 1).filter(|_| is_whole)?;
    if !elements.is_empty() || !last.trim_ascii().is_empty() {
        elements.push(last);
    }
    Some(elements)
}

/// Bytes up to the quote that closes a string.
fn string_length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

#[cold]
fn fault(text: &[u8], error: &serde_json::Error) -> Fault {
    let detail = error.to_string();
    let reason = match () {
        () if detail.starts_with("recursion limit exceeded") => BadReason::TooDeep,
        () if simdutf8::basic::from_utf8(text).is_err() => BadReason::BadUtf8,
        () if memchr::memchr(0, text).is_some() => BadReason::Nul,
        () => BadReason::Malformed,
    };
    (reason, detail)
}

#[cold]
fn detail(reason: BadReason, field: &DecodeField, value: Option<&Json<'_>>) -> String {
    let DecodeField { name, data_type, .. } = field;
    let mut text = Vec::new();
    value.unwrap_or(&Json::Null).write(&mut text);
    match reason {
        BadReason::Missing => format!("column `{name}` is missing"),
        BadReason::BadUtf8 => format!("column `{name}` is not UTF-8"),
        BadReason::Nul => format!("column `{name}` holds a NUL character"),
        BadReason::Malformed => {
            format!("column `{name}`: two fields differ in case only: `{}`", shorten(&text))
        }
        _ => format!("column `{name}`: `{}` is no {data_type}", shorten(&text)),
    }
}

fn push_whole(column: &mut Column, text: &[u8]) -> Result<(), BadReason> {
    // Only what is skipped unread can still be broken.
    if matches!(column.values, Values::Utf8(_)) && simdutf8::basic::from_utf8(text).is_err() {
        return Err(BadReason::BadUtf8);
    }
    column.push_text(Span::of(text))
}

fn push(column: &mut Column, value: &Json<'_>) -> Result<(), BadReason> {
    fn keep<T>(values: &mut Vec<T>, value: Option<T>) -> Result<(), BadReason> {
        values.push(value.ok_or(BadReason::WrongType)?);
        Ok(())
    }
    match (&mut column.values, value) {
        (_, Json::Null) => column.push_missing(),
        (Values::Boolean(values), Json::Boolean(value)) => keep(values, Some(*value)),
        (
            Values::Int8(_)
            | Values::Int16(_)
            | Values::Int32(_)
            | Values::Int64(_)
            | Values::UInt8(_)
            | Values::UInt16(_)
            | Values::UInt32(_)
            | Values::UInt64(_)
            | Values::Float32(_)
            | Values::Float64(_)
            | Values::Time(_)
            | Values::Decimal(..),
            Json::Text(text),
        ) if !text.trim().is_empty() => column.push_field(Span::of(text.as_bytes()), None),
        (Values::Int8(values), value) => keep(values, integer(value)),
        (Values::Int16(values), value) => keep(values, integer(value)),
        (Values::Int32(values), value) => keep(values, integer(value)),
        (Values::Int64(values), value) => keep(values, integer(value)),
        (Values::UInt8(values), value) => keep(values, integer(value)),
        (Values::UInt16(values), value) => keep(values, integer(value)),
        (Values::UInt32(values), value) => keep(values, integer(value)),
        (Values::UInt64(values), value) => keep(values, integer(value)),
        (Values::Float32(values), value) => {
            keep(values, float(value).map(|value| value as f32).filter(|value| value.is_finite()))
        }
        (Values::Float64(values), value) => keep(values, float(value)),
        (Values::Date32(values), Json::Text(text)) => keep(values, timestamp::date(text.as_bytes())),
        (Values::Timestamp(unit, reader, values), Json::Text(text)) => {
            keep(values, reader.read(Span::of(text.as_bytes()), *unit))
        }
        (Values::Timestamp(unit, _, values), value) => keep(values, time(value, *unit)),
        (Values::Decimal(_, reader, values), value) => {
            keep(values, digits(value).and_then(|text| reader.read(text.as_bytes())))
        }
        (Values::Utf8(_), Json::Text(text)) if memchr::memchr(0, text.as_bytes()).is_some() => Err(BadReason::Nul),
        (Values::Utf8(bytes), Json::Text(text)) => bytes.push(text.as_bytes()),
        (Values::Utf8(bytes), Json::List(_) | Json::Object(_)) => {
            let mut json = Vec::new();
            value.write(&mut json);
            bytes.push(&json)
        }
        (Values::Binary(bytes), Json::Text(text)) => bytes.push(&hex(text).ok_or(BadReason::WrongType)?),
        (Values::List(_, offsets, items), Json::List(values)) => {
            values.iter().try_for_each(|value| push(items, value))?;
            offsets.push(items.len()).ok_or(BadReason::TooLong)
        }
        (Values::Struct(fields, columns, rows), Json::Object(values)) => {
            for (field, column) in fields.iter().zip(columns) {
                match value::find(values, field.name())? {
                    Some(value) => push(column, value)?,
                    None => column.push_missing()?,
                }
            }
            *rows += 1;
            Ok(())
        }
        _ => Err(BadReason::WrongType),
    }
}

/// A whole number; `5.0` is one, since some writers know no other.
fn integer<T: TryFrom<i64> + TryFrom<u64>>(value: &Json<'_>) -> Option<T> {
    const EXACT: f64 = (1u64 << 53) as f64;
    match *value {
        Json::Signed(value) => T::try_from(value).ok(),
        Json::Unsigned(value) => T::try_from(value).ok(),
        Json::Float(value) if value.fract() == 0.0 && value.abs() <= EXACT => T::try_from(value as i64).ok(),
        _ => None,
    }
}

fn float(value: &Json<'_>) -> Option<f64> {
    match *value {
        Json::Signed(value) => Some(value as f64),
        Json::Unsigned(value) => Some(value as f64),
        Json::Float(value) => Some(value),
        _ => None,
    }
}

/// A number as text. One with a fraction has gone through a double, which keeps 15 digits.
fn digits(value: &Json<'_>) -> Option<String> {
    const DIGITS_MAX: usize = 15;
    match *value {
        Json::Signed(value) => Some(value.to_string()),
        Json::Unsigned(value) => Some(value.to_string()),
        Json::Float(value) => {
            let text = format!("{value:?}");
            let mantissa = text.split('e').next().unwrap_or_default().trim_end_matches(".0");
            let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
            (digits.trim_start_matches('0').len() <= DIGITS_MAX).then_some(text)
        }
        _ => None,
    }
}

/// An epoch: an integer in the unit that its size says, or seconds with a fraction (to the microsecond, as far as they go).
fn time(value: &Json<'_>, unit: TimeUnit) -> Option<i64> {
    const SECONDS_MAX: f64 = 1e11;
    match *value {
        Json::Float(value) if value.abs() < SECONDS_MAX => {
            let micros = (value * 1e6).round() as i64;
            timestamp::from_micros(micros, unit)
        }
        _ => timestamp::from_epoch(integer(value)?, unit),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some((digit(*high)? << 4 | digit(*low)?) as u8));
    bytes.collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}
