//! Good rows: their used fields, in columns.
//!
//! A batch of rows goes in column by column, any other row by itself. A row that turns out bad leaves nothing behind.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};

use super::CsvOptions;
use super::fields::{self, Layout};
use super::row_batch::RowBatch;
use crate::error::{Error, Result};
use crate::format::column::{Column, Values};
use crate::format::number::Span;
use crate::format::{BadReason, DecodeField, DecodeSpec, FieldFrom, batch, shorten};

pub(super) struct Rows {
    pub(super) schema: SchemaRef,
    pub(super) fields: Vec<DecodeField>,
    columns: Vec<Column>,
    /// Columns that hold the record as a whole.
    whole: Vec<usize>,
    /// Columns that hold nfdump's duration.
    durations: Vec<usize>,
    null: Option<Vec<u8>>,
    pub(super) count: usize,
}

/// A row in parts.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// The row as it came.
    pub(super) text: &'a [u8],
    /// What `bounds` count in; the row is `data[start..end]`.
    pub(super) data: &'a [u8],
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) bounds: &'a [usize],
    pub(super) columns: usize,
    pub(super) is_ascii: bool,
    /// By column, when the row had quotes.
    pub(super) is_quoted: &'a [bool],
}

impl<'a> Row<'a> {
    /// Only for columns whose bounds are noted.
    #[inline]
    pub(super) fn field(&self, index: usize) -> Span<'a> {
        let start = self.bounds[index].max(self.start);
        Span { data: self.data, start, end: (self.bounds[index + 1] - 1).min(self.end) }
    }

    /// All fields as names, without blanks around them.
    pub(super) fn names(&self, delimiter: u8) -> Vec<String> {
        let name = |text: &[u8]| String::from_utf8_lossy(text.trim_ascii()).into_owned();
        if self.is_quoted.is_empty() {
            return self.data[self.start..self.end].split(|&byte| byte == delimiter).map(name).collect();
        }
        (0..self.columns).map(|index| name(self.field(index).bytes())).collect()
    }
}

/// Why a row is bad, and what exactly.
pub(super) type Fault = (BadReason, String);

impl Rows {
    pub(super) fn new(options: &CsvOptions, spec: &DecodeSpec, is_nfdump: bool) -> Result<Self> {
        let fields = spec.fields.clone();
        let outputs = |is_one: &dyn Fn(&DecodeField) -> bool| -> Vec<usize> {
            fields.iter().enumerate().filter(|(_, field)| is_one(field)).map(|(output, _)| output).collect()
        };
        Ok(Self {
            schema: spec.schema(),
            columns: fields.iter().map(column).collect::<Result<_>>()?,
            whole: outputs(&|field| field.from == FieldFrom::Value),
            durations: outputs(&|field| {
                is_nfdump && field.from != FieldFrom::Value && fields::is_nfdump_duration(&field.name)
            }),
            null: options.null.as_ref().map(|text| text.trim().as_bytes().to_vec()),
            count: 0,
            fields,
        })
    }

    /// Appends a row batch of good rows; `None` when a row is bad, with columns of uneven length.
    pub(super) fn append_row_batch(&mut self, data: &[u8], row_batch: &RowBatch, layout: &Layout) -> Option<()> {
        for (number, &(_, output)) in layout.taken.iter().enumerate() {
            self.columns[output].push_texts(self.null.as_deref(), row_batch.fields(number, data))?;
        }
        for &output in &layout.absent {
            row_batch.rows.iter().try_for_each(|_| self.columns[output].push_missing()).ok()?;
        }
        for &output in &self.whole {
            for &(start, end) in &row_batch.rows {
                self.columns[output].push_text(Span::of(&data[start as usize..end as usize])).ok()?;
            }
        }
        self.count += row_batch.rows.len();
        Some(())
    }

    /// Takes back what was appended of rows that turned out bad.
    pub(super) fn cut_back(&mut self) {
        self.columns.iter_mut().for_each(|column| column.truncate(self.count));
    }

    /// Appends a row, or leaves everything as it was.
    pub(super) fn append(&mut self, row: &Row<'_>, layout: &Layout) -> Result<(), Fault> {
        if row.columns < layout.columns_min() {
            let needed = layout.columns_min();
            return Err((BadReason::TooShort, format!("{} columns, the query needs {needed}", row.columns)));
        }
        match self.append_fields(row, layout) {
            Ok(()) => {
                self.count += 1;
                Ok(())
            }
            Err((reason, output, index)) => {
                self.cut_back();
                Err((reason, self.detail(reason, output, index.map(|index| row.field(index).bytes()))))
            }
        }
    }

    /// Appends every column, or says which output could not take which field of the row.
    fn append_fields(&mut self, row: &Row<'_>, layout: &Layout) -> Result<(), (BadReason, usize, Option<usize>)> {
        for &(index, output) in &layout.taken {
            let column = &mut self.columns[output];
            let is_quoted = !row.is_quoted.is_empty() && row.is_quoted[index];
            let result = if is_quoted {
                push_quoted(column, row.field(index), row.is_ascii)
            } else {
                push_plain(column, row.field(index), row.is_ascii, self.null.as_deref())
            };
            result.map_err(|reason| (reason, output, Some(index)))?;
        }
        for &output in &layout.absent {
            self.columns[output].push_missing().map_err(|reason| (reason, output, None))?;
        }
        for &output in &self.whole {
            push_value(&mut self.columns[output], Span::of(row.text), row.is_ascii)
                .map_err(|reason| (reason, output, None))?;
        }
        Ok(())
    }

    #[cold]
    fn detail(&self, reason: BadReason, output: usize, field: Option<&[u8]>) -> String {
        let DecodeField { name, data_type, .. } = &self.fields[output];
        match (reason, field) {
            (BadReason::Missing, None) => format!("column `{name}` is not in this kind of row"),
            (BadReason::Missing, Some(_)) => format!("column `{name}` is empty"),
            (BadReason::BadUtf8, _) => format!("column `{name}` is not UTF-8"),
            (BadReason::TooLong, _) => format!("column `{name}` takes the batch past 2 GiB"),
            (_, field) => format!("column `{name}`: `{}` is no {data_type}", shorten(field.unwrap_or_default())),
        }
    }

    /// Sets durations that nfdump let underflow to 0, and counts them.
    pub(super) fn clamp_durations(&mut self) -> u64 {
        self.durations.iter().map(|&output| self.columns[output].clamp_durations()).sum()
    }

    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let count = std::mem::take(&mut self.count);
        batch(&self.schema, &mut self.columns, count)
    }
}

/// The column of a field, if CSV can hold its type.
fn column(field: &DecodeField) -> Result<Column> {
    let DecodeField { name, data_type, nullable, from } = field;
    let is_text = matches!(data_type, DataType::Utf8 | DataType::Binary);
    let is_nested = matches!(data_type, DataType::List(_) | DataType::Struct(_));
    if *from == FieldFrom::Value && !is_text {
        return Err(Error::invalid(format!("column `{name}`: a whole record is text or bytes, not {data_type}")));
    }
    Column::new(data_type, *nullable).filter(|_| !is_nested).ok_or_else(|| {
        Error::invalid(format!("column `{name}`: CSV cannot hold {data_type}")).hint("declare it as TEXT")
    })
}

/// Appends an unquoted field.
fn push_plain(column: &mut Column, field: Span<'_>, is_ascii: bool, null: Option<&[u8]>) -> Result<(), BadReason> {
    check_utf8(column, field, is_ascii)?;
    column.push_field(field, null)
}

/// Appends a quoted field: what is between the quotes is meant as it is.
fn push_quoted(column: &mut Column, field: Span<'_>, is_ascii: bool) -> Result<(), BadReason> {
    let is_text = matches!(column.values, Values::Utf8(_) | Values::Binary(_));
    match is_text {
        true => push_value(column, field, is_ascii),
        false => column.push_field(field, None),
    }
}

fn push_value(column: &mut Column, field: Span<'_>, is_ascii: bool) -> Result<(), BadReason> {
    check_utf8(column, field, is_ascii)?;
    column.push_text(field)
}

fn check_utf8(column: &Column, field: Span<'_>, is_ascii: bool) -> Result<(), BadReason> {
    let must_be_utf8 = !is_ascii && matches!(column.values, Values::Utf8(_));
    match must_be_utf8 && simdutf8::basic::from_utf8(field.bytes()).is_err() {
        true => Err(BadReason::BadUtf8),
        false => Ok(()),
    }
}
