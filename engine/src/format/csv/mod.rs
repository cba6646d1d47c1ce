//! CSV: lines of delimited values, nfdump's and others.
//!
//! One line is one row, except within quotes where a file is read as a whole, or where a message is one row
//! ([`Records`]); otherwise a quoted field cannot hold a line end, so that one stray quote cannot swallow the rows after it. A
//! line that is a JSON string as a whole (`"a,b,c"`) is unwrapped first, and gives several rows when the string holds several;
//! each row's `value` is then what the string says, so that columns can be appended to it.

mod cause;
mod decode;
mod encode;
mod fields;
mod frame;
mod mask;
mod quoted;
#[cfg(test)]
mod records_tests;
mod row_batch;
mod rows;
mod scan;
#[cfg(test)]
mod tests;
mod unquote;

use arrow::datatypes::SchemaRef;

use self::decode::CsvDecoder;
use self::encode::CsvEncoder;
pub use self::frame::Framing;
use self::frame::Quotes;
use super::{DEFAULT_MAX_RECORD_BYTES, DecodeSpec, Decoder, Encoder};
use crate::error::{Error, Result};
use crate::options::Options;

/// How a table's CSV looks.
#[derive(Clone, Debug)]
pub struct CsvOptions {
    columns: Columns,
    delimiter: u8,
    null: Option<String>,
    max_record_bytes: usize,
    /// `None`: as the columns' names decide, see [`CsvOptions::extra_columns`].
    extra_columns: Option<ExtraColumns>,
    writes_header: bool,
    records: Records,
}

/// What ends a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Records {
    /// Every line end.
    Lines,
    /// A line end that is not within quotes: files that are read as a whole.
    Quoted,
    /// The message's end.
    Messages,
}

/// What becomes of a row with more columns than its layout has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExtraColumns {
    /// It is a bad record: a delimiter too many moves values into other columns.
    Reject,
    Ignore,
}

/// How a row's fields get their names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Columns {
    /// In the order of the table's declaration.
    Position,
    /// By the first line of the split.
    Header,
    /// By the record of the detection system and by nfdump's headers, row by row.
    Nfdump,
    Names(Vec<String>),
}

const ROWS_PER_MESSAGE: [(&str, Records); 2] = [("many", Records::Lines), ("one", Records::Messages)];
const EXTRA_COLUMNS: [(&str, ExtraColumns); 2] = [("reject", ExtraColumns::Reject), ("ignore", ExtraColumns::Ignore)];

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            columns: Columns::Position,
            delimiter: b',',
            null: None,
            max_record_bytes: DEFAULT_MAX_RECORD_BYTES,
            extra_columns: None,
            writes_header: false,
            records: Records::Lines,
        }
    }
}

impl CsvOptions {
    /// Consumes `csv.columns`, `csv.delimiter`, `csv.null`, `csv.max_record_bytes`, `csv.extra_columns`, `csv.rows_per_message` and
    /// `csv.header`.
    pub fn from_options(options: &mut Options) -> Result<Self> {
        let default = Self::default();
        let made = Self {
            columns: columns(options)?,
            delimiter: delimiter(options)?.unwrap_or(default.delimiter),
            null: options.take("csv.null").filter(|text| !text.is_empty()),
            max_record_bytes: super::max_record_bytes("csv.max_record_bytes", options)?,
            extra_columns: options.parse_choice("csv.extra_columns", &EXTRA_COLUMNS)?,
            writes_header: options.parse_bool("csv.header")?.unwrap_or(default.writes_header),
            records: options.parse_choice("csv.rows_per_message", &ROWS_PER_MESSAGE)?.unwrap_or(default.records),
        };
        if made.records == Records::Messages && made.columns == Columns::Header {
            return Err(Error::invalid("a message of one row has no room for a header")
                .hint("leave out csv.rows_per_message = 'one', or list the columns' names in csv.columns"));
        }
        Ok(made)
    }

    /// Whether each message is one row.
    pub(super) fn is_row_per_message(&self) -> bool {
        self.records == Records::Messages
    }

    /// The same for files that are read as a whole.
    pub(super) fn in_files(self) -> Self {
        Self { records: Records::Quoted, ..self }
    }

    /// What ends the records of a table that declares so many columns.
    pub(super) fn framing(&self, n_declared: usize) -> Framing {
        self.quotes(n_declared).map_or(Framing::LINES, Framing::quoted)
    }

    fn quotes(&self, n_declared: usize) -> Option<Quotes> {
        let quotes = Quotes {
            delimiter: self.delimiter,
            max_record_bytes: self.max_record_bytes,
            has_one_column: self.columns != Columns::Nfdump && n_declared == 1,
        };
        (self.records == Records::Quoted).then_some(quotes)
    }

    /// A declaration by position may name the first columns only; a header or a list names all.
    fn extra_columns(&self) -> ExtraColumns {
        self.extra_columns.unwrap_or(match self.columns {
            Columns::Position => ExtraColumns::Ignore,
            Columns::Header | Columns::Nfdump | Columns::Names(_) => ExtraColumns::Reject,
        })
    }

    pub(super) fn decoder(&self, spec: &DecodeSpec) -> Result<Box<dyn Decoder>> {
        Ok(Box::new(CsvDecoder::new(self, spec)?))
    }

    pub(super) fn encoder(&self, schema: &SchemaRef) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(CsvEncoder::new(self, schema)?))
    }
}

fn columns(options: &mut Options) -> Result<Columns> {
    const NAME: &str = "csv.columns";
    let Some(text) = options.take(NAME) else { return Ok(Columns::Position) };
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    match text.trim().to_ascii_lowercase().as_str() {
        "position" => Ok(Columns::Position),
        "header" => Ok(Columns::Header),
        "nfdump" => Ok(Columns::Nfdump),
        _ if names.iter().any(String::is_empty) || !text.contains(',') => {
            Err(options.bad_value(NAME, &text, "'position', 'header', 'nfdump' or a list of names such as 'a,b,c'"))
        }
        _ => Ok(Columns::Names(names)),
    }
}

fn delimiter(options: &mut Options) -> Result<Option<u8>> {
    const NAME: &str = "csv.delimiter";
    let Some(text) = options.take(NAME) else { return Ok(None) };
    match text.as_bytes() {
        b"\\t" | b"tab" => Ok(Some(b'\t')),
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"\"\n\r\0\\".contains(byte) => Ok(Some(*byte)),
        _ => Err(options.bad_value(NAME, &text, "one character such as ',', ';', '|' or '\\t'")),
    }
}
