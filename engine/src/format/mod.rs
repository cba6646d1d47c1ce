//! Formats: bytes to columns and back.
//!
//! A decoder is told which columns a query uses and makes only those. A record that cannot be decoded is never an error and
//! never a panic: it is reported as a [`BadRecord`] with a reason, and the caller's policy decides what becomes of it.

pub mod csv;
pub mod json;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};

use crate::error::Result;

/// What a decoder has to produce.
#[derive(Clone, Debug)]
pub struct DecodeSpec {
    /// Every physical column of the table in the order of its declaration, used or not: `position` mapping counts these.
    pub declared: Arc<[String]>,
    /// The columns to produce, in output order.
    pub fields: Vec<DecodeField>,
}

/// One column to produce.
#[derive(Clone, Debug)]
pub struct DecodeField {
    /// Name in the output schema, and the name looked up in headers and JSON objects.
    pub name: String,
    /// One of the types that SQL's DDL can name: `Boolean`, `Int8`…`Int64`, `UInt8`…`UInt64`, `Float32`, `Float64`, `Utf8`,
    /// `Binary`, `Date32`, `Timestamp(_, None)`, and for JSON also `List` and `Struct` of these.
    pub data_type: DataType,
    /// Whether a missing or empty value is a null (true) or makes the record bad (false).
    pub nullable: bool,
    /// Where the value comes from.
    pub from: FieldFrom,
}

/// Where a column's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldFrom {
    /// The physical column with this index in [`DecodeSpec::declared`].
    Column(usize),
    /// The record's own bytes, untouched (`METADATA FROM 'value'`).
    Value,
}

/// Turns bytes into batches. One decoder serves one split, since headers belong to a split.
pub trait Decoder: Send {
    /// The schema of the batches: `DecodeSpec::fields`, in order.
    fn schema(&self) -> SchemaRef;

    /// Tells the first line of the split when reading resumes after it, so that a header still maps names to columns.
    fn preamble(&mut self, line: &[u8]);

    /// Decodes `data`, which holds whole records only (the last line may lack its line end), and appends good rows.
    ///
    /// Bad records go to `bad`; their `offset` counts from the start of `data`.
    fn push(&mut self, data: &[u8], bad: &mut Vec<BadRecord>);

    /// Rows appended since the last `finish`.
    fn rows(&self) -> usize;

    /// Gives the appended rows away.
    fn finish(&mut self) -> Result<RecordBatch>;
}

/// A record that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// Why, as a bounded label for metrics.
    pub reason: BadReason,
    /// What exactly, for a person: column, value (shortened).
    pub detail: String,
    /// Where the record begins in the data it came with.
    pub offset: u64,
    /// The record's bytes, cut at [`BadRecord::MAX_BYTES`].
    pub bytes: Vec<u8>,
}

impl BadRecord {
    /// A dead letter keeps at most this much of its record.
    pub const MAX_BYTES: usize = 64 * 1024;
}

/// Why a record is bad. The names are metric labels, so the set is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BadReason {
    /// Fewer columns than the query needs.
    TooShort,
    /// A value that its column's type cannot hold.
    WrongType,
    /// A value is missing and the column is NOT NULL.
    Missing,
    /// Not UTF-8 in a column that the query uses.
    BadUtf8,
    /// A NUL byte in the record.
    Nul,
    /// The record is longer than the limit.
    TooLong,
    /// Not the format at all (broken JSON, an unclosed quote).
    Malformed,
    /// Deeper nested than the limit.
    TooDeep,
    /// The event time is null or outside what a timestamp can hold.
    NoEventTime,
}

impl BadReason {
    /// The label in metrics and dead letters.
    pub fn label(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::WrongType => "wrong_type",
            Self::Missing => "missing",
            Self::BadUtf8 => "bad_utf8",
            Self::Nul => "nul",
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::TooDeep => "too_deep",
            Self::NoEventTime => "no_event_time",
        }
    }
}

/// Turns batches into bytes.
pub trait Encoder: Send {
    /// Appends the rows of `batch` to `out`, each as one record with its line end.
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()>;
}

/// A table's `format = '…'` with its options.
#[derive(Clone, Debug)]
pub enum Format {
    /// Lines of delimited values.
    Csv(csv::CsvOptions),
    /// One JSON object per line.
    Json(json::JsonOptions),
    /// The whole line as one text column.
    RawString,
    /// Arrow IPC streams and files.
    Arrow,
    /// Parquet files.
    Parquet,
}

impl Format {
    /// tmp
    pub fn from_options(_name: &str, _options: &mut crate::options::Options) -> Result<Self> {
        Ok(Self::RawString)
    }
    /// tmp
    pub fn decoder(&self, _spec: DecodeSpec) -> Result<Box<dyn Decoder>> {
        Err(crate::Error::internal("no"))
    }
}
