//! CSV: lines of delimited values, nfdump's and others.
//!
//! One line is one row: a quoted field cannot hold a line end, so that one stray quote cannot swallow the rows after it. A
//! line that is a JSON string as a whole (`"a,b,c"`) is unwrapped first, and gives several rows when the string holds several;
//! each row's `value` is then what the string says, so that columns can be appended to it.

mod cause;
mod decode;
mod encode;
mod fields;
mod mask;
mod row_batch;
mod rows;
mod scan;
#[cfg(test)]
mod tests;
mod unquote;

use arrow::datatypes::SchemaRef;

use self::decode::CsvDecoder;
use self::encode::CsvEncoder;
use super::{DEFAULT_MAX_RECORD_BYTES, DecodeSpec, Decoder, Encoder};
use crate::error::Result;
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
        }
    }
}

impl CsvOptions {
    /// Consumes `csv.columns`, `csv.delimiter`, `csv.null`, `csv.max_record_bytes`, `csv.extra_columns` and `csv.header`.
    pub fn from_options(options: &mut Options) -> Result<Self> {
        let default = Self::default();
        Ok(Self {
            columns: columns(options)?,
            delimiter: delimiter(options)?.unwrap_or(default.delimiter),
            null: options.take("csv.null").filter(|text| !text.is_empty()),
            max_record_bytes: super::max_record_bytes("csv.max_record_bytes", options)?,
            extra_columns: options.parse_choice("csv.extra_columns", &EXTRA_COLUMNS)?,
            writes_header: options.parse_bool("csv.header")?.unwrap_or(default.writes_header),
        })
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
