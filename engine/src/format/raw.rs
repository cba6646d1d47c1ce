//! Raw lines: one text column per line, nothing read into it.
//!
//! A sink may have other columns beside it (`raw_string.column`): they are not written, but what its connector makes of a row, such as
//! the key of a message, can be computed from them.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};

use super::column::Column;
use super::number::Span;
use super::{
    BadReason, BadRecord, BadSink, DEFAULT_MAX_RECORD_BYTES, DecodeCounts, DecodeSpec, Decoder, Encoder,
    without_line_end,
};
use crate::error::{Error, Result};
use crate::options::Options;

const COLUMN: &str = "raw_string.column";

/// How long a line may be, and which column it is.
#[derive(Clone, Debug)]
pub struct RawOptions {
    max_record_bytes: usize,
    /// Of a sink; `None`: the only one.
    column: Option<String>,
}

impl Default for RawOptions {
    fn default() -> Self {
        Self { max_record_bytes: DEFAULT_MAX_RECORD_BYTES, column: None }
    }
}

impl RawOptions {
    /// Consumes `raw_string.max_record_bytes` and `raw_string.column`.
    pub fn from_options(options: &mut Options) -> Result<Self> {
        Ok(Self {
            max_record_bytes: super::max_record_bytes("raw_string.max_record_bytes", options)?,
            column: options.take(COLUMN).map(|name| name.trim().to_owned()),
        })
    }

    /// Which column of a sink is the line.
    fn written(&self, schema: &SchemaRef) -> Result<usize> {
        let n_columns = schema.fields().len();
        match &self.column {
            Some(name) => schema.index_of(name).map_err(|_| {
                let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                Error::invalid(format!("option `{COLUMN} = '{name}'` names no column"))
                    .hint(format!("columns are `{}`", names.join("`, `")))
            }),
            None if n_columns == 1 => Ok(0),
            None => Err(Error::invalid(format!("a raw line is one column of text, not {n_columns} columns"))
                .hint(format!("say which one with `{COLUMN} = '…'`, or use `format = 'csv'` or `format = 'json'`"))),
        }
    }

    /// Every column of the table is the line: there is nothing else.
    pub(super) fn decoder(&self, spec: &DecodeSpec) -> Result<Box<dyn Decoder>> {
        if let Some(second) = spec.declared.get(1) {
            return Err(Error::invalid(format!(
                "column `{second}`: a raw line has one column, `{}`",
                spec.declared[0]
            )));
        }
        let column = |field: &super::DecodeField| match field.data_type {
            DataType::Utf8 | DataType::Binary => Column::new(&field.data_type, field.nullable),
            _ => None,
        };
        let columns = spec.fields.iter().map(|field| {
            let (name, data_type) = (&field.name, &field.data_type);
            column(field)
                .ok_or_else(|| Error::invalid(format!("column `{name}`: a raw line is text or bytes, not {data_type}")))
        });
        Ok(Box::new(RawDecoder {
            max_record_bytes: self.max_record_bytes,
            is_text: spec.fields.iter().any(|field| field.data_type == DataType::Utf8),
            columns: columns.collect::<Result<_>>()?,
            schema: spec.schema(),
            rows: 0,
            counts: DecodeCounts::default(),
        }))
    }

    pub(super) fn encoder(&self, schema: &SchemaRef) -> Result<Box<dyn Encoder>> {
        let column = self.written(schema)?;
        let field = schema.field(column);
        match field.data_type() {
            DataType::Utf8 | DataType::Binary => Ok(Box::new(RawEncoder { column })),
            other => Err(Error::invalid(format!("column `{}`: a raw line is text, not {other}", field.name()))
                .hint("cast it to TEXT in the query")),
        }
    }
}

struct RawDecoder {
    max_record_bytes: usize,
    /// Whether the line must be UTF-8.
    is_text: bool,
    columns: Vec<Column>,
    schema: SchemaRef,
    rows: usize,
    counts: DecodeCounts,
}

impl RawDecoder {
    fn line(&mut self, line: &[u8], bad: &mut BadSink<'_>) {
        self.counts.lines += 1;
        if self.max_record_bytes < line.len() {
            bad.push(BadReason::TooLong, format!("{} bytes, the limit is {}", line.len(), self.max_record_bytes), line);
        } else if self.is_text && memchr::memchr(0, line).is_some() {
            bad.push(BadReason::Nul, "a NUL byte".to_owned(), line);
        } else if self.is_text && simdutf8::basic::from_utf8(line).is_err() {
            bad.push(BadReason::BadUtf8, "the line is not UTF-8".to_owned(), line);
        } else if let Err(reason) = self.columns.iter_mut().try_for_each(|column| column.push_text(Span::of(line))) {
            self.columns.iter_mut().for_each(|column| column.truncate(self.rows));
            bad.push(reason, "the line takes the batch past 2 GiB".to_owned(), line);
        } else {
            self.rows += 1;
        }
    }
}

impl Decoder for RawDecoder {
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
        super::batch(&self.schema, &mut self.columns, rows)
    }

    fn counts(&self) -> DecodeCounts {
        self.counts
    }
}

/// Writes one text per line. A null or a text with a line end cannot be distinguished from others when read again; both are
/// written as they are, a null as an empty line.
struct RawEncoder {
    column: usize,
}

impl Encoder for RawEncoder {
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let column = batch.column(self.column);
        let lines: Box<dyn Iterator<Item = Option<&[u8]>>> = match column.data_type() {
            DataType::Utf8 => Box::new(column.as_string::<i32>().iter().map(|text| text.map(str::as_bytes))),
            DataType::Binary => Box::new(column.as_binary::<i32>().iter()),
            other => return Err(Error::internal(format!("a raw line of {other}"))),
        };
        for line in lines {
            out.extend_from_slice(line.unwrap_or_default());
            out.push(b'\n');
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::datatypes::{Field, Schema};

    use super::*;
    use crate::format::{DecodeField, FieldFrom, Format};

    fn format() -> Format {
        let mut options = Options::new("t");
        options.set("raw_string.max_record_bytes", "5", None);
        Format::from_options("raw_string", &mut options).expect("options")
    }

    fn spec(data_type: DataType, declared: &[&str]) -> DecodeSpec {
        let field = DecodeField { name: "value".into(), data_type, nullable: false, from: FieldFrom::Column(0) };
        DecodeSpec { declared: declared.iter().map(|name| (*name).to_owned()).collect(), fields: vec![field] }
    }

    #[test]
    fn other_columns_than_one_of_text_are_refused() {
        let error = |spec| format().decoder(spec).err().expect("refused").to_string();
        assert_eq!(error(spec(DataType::Int64, &["value"])), "column `value`: a raw line is text or bytes, not Int64");
        assert_eq!(error(spec(DataType::Utf8, &["value", "b"])), "column `b`: a raw line has one column, `value`");
    }

    #[test]
    fn a_sink_with_several_columns_says_which_one_is_the_line() {
        let column = |name: &str, data_type| Field::new(name, data_type, true);
        let schema = Arc::new(Schema::new(vec![column("key", DataType::Int64), column("line", DataType::Utf8)]));
        let encoder = |name: Option<&str>| {
            let mut options = Options::new("t");
            name.into_iter().for_each(|name| options.set("raw_string.column", name, None));
            Format::from_options("raw_string", &mut options).expect("options").encoder(&schema)
        };
        let error = |name| encoder(name).err().expect("refused").to_string();
        let refused = "a raw line is one column of text, not 2 columns; say which one with `raw_string.column = '…'`, \
                       or use `format = 'csv'` or `format = 'json'`";
        assert_eq!(error(None), refused);
        assert_eq!(error(Some("key")), "column `key`: a raw line is text, not Int64; cast it to TEXT in the query");
        let refused = "option `raw_string.column = 'value'` names no column; columns are `key`, `line`";
        assert_eq!(error(Some("value")), refused);

        let lines = StringArray::from(vec![Some("a,\"b"), None, Some("c")]);
        let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![1, 2, 3])), Arc::new(lines)];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).expect("a batch");
        let mut out = Vec::new();
        encoder(Some("line")).expect("an encoder").encode(&batch, &mut out).expect("encoded");
        assert_eq!(String::from_utf8_lossy(&out), "a,\"b\n\nc\n");
    }

    #[test]
    fn every_line_is_a_row_or_bad() {
        let mut decoder = format().decoder(spec(DataType::Utf8, &["value"])).expect("a decoder");
        let mut bad = Vec::new();
        decoder.push(b"a,\"b\n\n\xff\n\0\ntoo long\nlast\r\n c", &mut bad).expect("the split fits the table");
        let reasons: Vec<(&str, u64)> = bad.iter().map(|record| (record.reason.label(), record.offset)).collect();
        assert_eq!(reasons, [("bad_utf8", 6), ("nul", 8), ("too_long", 10)]);
        let batch = decoder.finish().expect("a batch");
        let mut out = Vec::new();
        format().encoder(&batch.schema()).expect("an encoder").encode(&batch, &mut out).expect("encoded");
        assert_eq!(String::from_utf8_lossy(&out), "a,\"b\n\nlast\n c\n");
    }
}
