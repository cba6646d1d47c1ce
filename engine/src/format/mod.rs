//! Formats: bytes to columns and back.
//!
//! A decoder makes only the columns that a query uses. A record that cannot be decoded is never an error and
//! never a panic: it is reported as a [`BadRecord`] with a reason, and the caller's policy decides what becomes of it.

pub mod csv;
pub mod json;
pub mod raw;

mod cell;
mod column;
mod exact;
mod number;
mod timestamp;

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use self::column::Column;
pub use self::csv::Framing;
use crate::error::{Error, Result};
use crate::options::Options;

/// What a decoder has to produce.
#[derive(Clone, Debug)]
pub struct DecodeSpec {
    /// Every physical column of the table in the order of its declaration, used or not: `position` mapping counts these.
    pub declared: Arc<[String]>,
    /// The columns to produce, in output order.
    pub fields: Vec<DecodeField>,
}

impl DecodeSpec {
    /// The schema of `fields`.
    fn schema(&self) -> SchemaRef {
        let field = |field: &DecodeField| Field::new(&field.name, field.data_type.clone(), field.nullable);
        Arc::new(Schema::new(self.fields.iter().map(field).collect::<Vec<_>>()))
    }
}

/// One column to produce.
#[derive(Clone, Debug)]
pub struct DecodeField {
    /// Name in the output schema, and the name looked up in headers and JSON objects.
    pub name: String,
    /// One of the types that SQL's DDL can name: `Boolean`, `Int8`…`Int64`, `UInt8`…`UInt64`, `Float32`, `Float64`, `Utf8`,
    /// `Binary`, `Date32`, `Timestamp(_, None)`, `Time64(ns)`, `Decimal128`, and for JSON also `List` and `Struct` of these.
    pub data_type: DataType,
    /// Whether a missing or empty value is a null (true) or makes the record bad (false; an empty text is then just empty).
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

    /// Passes the first line of the split when reading resumes after it, so that a header still maps names to columns.
    fn preamble(&mut self, line: &[u8]);

    /// Decodes `data`, which holds whole records only (the last line may lack its line end), and appends good rows.
    ///
    /// Bad records go to `bad`; their `offset` counts from the start of `data`. An error says that the split as a whole does not fit
    /// the table.
    fn push(&mut self, data: &[u8], bad: &mut Vec<BadRecord>) -> Result<()>;

    /// As [`Self::push`], for messages one after the other; `ends` are their ends in `data`. What a message says about others
    /// (a header) is not used beyond it, so that a restart between them changes nothing.
    fn push_messages(&mut self, data: &[u8], _ends: &[u32], bad: &mut Vec<BadRecord>) -> Result<()> {
        self.push(data, bad)
    }

    /// Rows appended since the last `finish`.
    fn rows(&self) -> usize;

    /// Gives the appended rows away.
    fn finish(&mut self) -> Result<RecordBatch>;

    /// What was counted since the decoder was made.
    fn counts(&self) -> DecodeCounts {
        DecodeCounts::default()
    }
}

/// What a decoder counts besides rows and bad records: every line is a row, a bad record or skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeCounts {
    /// Lines; one that holds several rows (a JSON string or array) counts once for each.
    pub lines: u64,
    /// Empty lines, headers and trailers.
    pub skipped_lines: u64,
    /// Durations that nfdump let underflow (the flow ends before it begins), set to 0. Counted when a batch is finished.
    pub clamped_durations: u64,
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
    /// A message without a byte.
    Empty,
    /// The event time is null or outside what a timestamp can hold.
    NoEventTime,
    /// The event time or the watermark is further in the future than the table allows.
    Future,
    /// A value that an expression cannot turn into another type.
    Cast,
    DivisionByZero,
    /// A number or timestamp beyond what its type can hold, in an expression.
    Overflow,
    /// An expression fails for another reason.
    Expression,
    /// The receiver of a sink does not take the row.
    Refused,
}

impl BadReason {
    /// Of failing expressions.
    pub const OF_EXPRESSIONS: [Self; 4] = [Self::Cast, Self::DivisionByZero, Self::Overflow, Self::Expression];

    /// Of records that cannot be used.
    pub const OF_RECORDS: [Self; 11] = [
        Self::TooShort,
        Self::WrongType,
        Self::Missing,
        Self::BadUtf8,
        Self::Nul,
        Self::TooLong,
        Self::Malformed,
        Self::TooDeep,
        Self::Empty,
        Self::NoEventTime,
        Self::Future,
    ];

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
            Self::Empty => "empty",
            Self::NoEventTime => "no_event_time",
            Self::Future => "future",
            Self::Cast => "cast",
            Self::DivisionByZero => "division_by_zero",
            Self::Overflow => "overflow",
            Self::Expression => "expression",
            Self::Refused => "refused",
        }
    }
}

/// Turns batches into bytes.
pub trait Encoder: Send {
    /// Appends the rows of `batch` to `out`, each as one record with its line end.
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()>;
}

/// Where bad records go; knows where the line begins.
struct BadSink<'a> {
    records: &'a mut Vec<BadRecord>,
    offset: u64,
}

impl BadSink<'_> {
    #[cold]
    fn push(&mut self, reason: BadReason, detail: String, bytes: &[u8]) {
        let bytes = bytes[..bytes.len().min(BadRecord::MAX_BYTES)].to_vec();
        self.records.push(BadRecord { reason, detail, offset: self.offset, bytes });
    }
}

/// A table's `format = '…'` with its options.
#[derive(Clone, Debug)]
pub enum Format {
    /// Lines of delimited values.
    Csv(csv::CsvOptions),
    /// One JSON object per line.
    Json(json::JsonOptions),
    /// The whole line as one text column.
    RawString(raw::RawOptions),
    /// Arrow IPC streams and files.
    Arrow,
    Parquet,
}

impl Format {
    /// The names that `format = '…'` may have.
    pub const NAMES: [&str; 5] = ["csv", "json", "raw_string", "arrow", "parquet"];

    /// The format of this name; consumes its options.
    pub fn from_options(name: &str, options: &mut Options) -> Result<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "csv" => Ok(Self::Csv(csv::CsvOptions::from_options(options)?)),
            "json" => Ok(Self::Json(json::JsonOptions::from_options(options)?)),
            "raw_string" => Ok(Self::RawString(raw::RawOptions::from_options(options)?)),
            "arrow" => Ok(Self::Arrow),
            "parquet" => Ok(Self::Parquet),
            _ => Err(Error::invalid(format!("unknown format `{name}`"))
                .hint(format!("valid are `{}`", Self::NAMES.join("`, `")))),
        }
    }

    /// A decoder for one split; an error names the column whose type the format cannot hold.
    #[allow(clippy::needless_pass_by_value, reason = "a spec is made for its decoder")]
    pub fn decoder(&self, spec: DecodeSpec) -> Result<Box<dyn Decoder>> {
        match self {
            Self::Csv(options) => options.decoder(&spec),
            Self::Json(options) => options.decoder(&spec),
            Self::RawString(options) => options.decoder(&spec),
            Self::Arrow | Self::Parquet => Err(Error::internal("arrow and parquet are not read by lines")),
        }
    }

    /// The same for files that are read as a whole: there a quoted line end is data.
    pub fn in_files(self) -> Self {
        match self {
            Self::Csv(options) => Self::Csv(options.in_files()),
            other @ (Self::Json(_) | Self::RawString(_) | Self::Arrow | Self::Parquet) => other,
        }
    }

    /// Whether each message is one row, whatever line ends are in it.
    pub fn is_row_per_message(&self) -> bool {
        matches!(self, Self::Csv(options) if options.is_row_per_message())
    }

    /// How files in this format are cut into pieces, of a table that declares so many columns.
    pub fn framing(&self, n_declared: usize) -> Framing {
        match self {
            Self::Csv(options) => options.framing(n_declared),
            Self::Json(_) | Self::RawString(_) | Self::Arrow | Self::Parquet => Framing::LINES,
        }
    }

    /// What a record looks like that is bad like all others so far, as a remedy; `None` where nothing is striking.
    pub(crate) fn likely_cause(&self, declared: &[String], record: &[u8]) -> Option<String> {
        match self {
            Self::Csv(options) => options.likely_cause(declared, record),
            Self::Json(_) if !record.trim_ascii_start().starts_with(b"{") && record.contains(&b',') => {
                Some("the records look like CSV: say format = 'csv'".to_owned())
            }
            Self::Json(_) | Self::RawString(_) | Self::Arrow | Self::Parquet => None,
        }
    }

    /// An encoder of rows of `schema`; an error names the column whose type the format cannot hold.
    pub fn encoder(&self, schema: &SchemaRef) -> Result<Box<dyn Encoder>> {
        match self {
            Self::Csv(options) => options.encoder(schema),
            Self::Json(options) => options.encoder(schema),
            Self::RawString(options) => options.encoder(schema),
            Self::Arrow | Self::Parquet => Err(Error::internal("arrow and parquet are not written by lines")),
        }
    }
}

/// The longest record when the table does not say.
const DEFAULT_MAX_RECORD_BYTES: usize = 1 << 20;

/// Takes a record's longest length; at least one byte.
fn max_record_bytes(name: &'static str, options: &mut Options) -> Result<usize> {
    match options.parse_bytes(name)?.map(usize::try_from) {
        None => Ok(DEFAULT_MAX_RECORD_BYTES),
        Some(Ok(bytes)) if 0 < bytes => Ok(bytes),
        Some(_) => Err(options.bad_value(name, "0", "a size such as '1MiB'")),
    }
}

/// Gives a decoder's rows away; a query that uses no column still has rows.
fn batch(schema: &SchemaRef, columns: &mut [Column], rows: usize) -> Result<RecordBatch> {
    let arrays = columns.iter_mut().map(Column::finish).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?)
}

/// The data without a BOM (U+FEFF).
fn without_bom(data: &[u8]) -> &[u8] {
    data.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(data)
}

/// The line without `\n` or `\r\n`.
fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A value for a message: its first characters.
fn shorten(value: &[u8]) -> String {
    const LENGTH: usize = 40;
    let text = String::from_utf8_lossy(&value[..value.len().min(4 * LENGTH)]).into_owned();
    match text.char_indices().nth(LENGTH) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
