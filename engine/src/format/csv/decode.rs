//! CSV to columns.
//!
//! The way of a row: the scan finds it and the bounds that matter, its layout says which field is which column, and it waits in
//! a stretch with its neighbours until their fields go into the columns, one column after the other. Everything that is not
//! an ordinary row (quotes, no ASCII, headers, a bad value) leaves that road and is done by itself.
//!
//! Speed: a record of 71 columns in 450 bytes, 13 of them used, takes about 230 ns (2 GB/s) on one core of a busy 3 GHz server; of
//! that a third goes into numbers, a quarter into walking the delimiters, a tenth into marking them. Memory is no bound. The
//! bench is `benches/benches/csv_decode.rs`.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};

use super::fields::{self, Found, Layout, Mapping};
use super::scan::{RawRow, Scanner};
use super::stretch::Stretch;
use super::unquote::{self, Unquoted};
use super::{Columns, CsvOptions};
use crate::error::{Error, Result};
use crate::format::column::{Column, Values};
use crate::format::number::Span;
use crate::format::{
    BadReason, BadRecord, BadSink, DecodeCounts, DecodeField, DecodeSpec, Decoder, FieldFrom, batch, shorten,
    without_bom, without_line_end,
};

/// Decodes one split.
pub(super) struct CsvDecoder {
    scanner: Scanner,
    lines: Lines,
}

/// What lines mean, by what came before them.
struct Lines {
    delimiter: u8,
    max_record_bytes: usize,
    is_nfdump: bool,
    /// A line that is one JSON string holds fields; but where a row has one column, it is that column.
    has_one_column: bool,
    mapping: Mapping,
    mapping_changed: bool,
    is_first_line: bool,
    /// Lines of nfdump's trailer that are still to come.
    trailer_lines: u8,
    unquoted: Unquoted,
    stretch: Stretch,
    counts: DecodeCounts,
    rows: Rows,
}

/// Good rows.
struct Rows {
    schema: SchemaRef,
    fields: Vec<DecodeField>,
    columns: Vec<Column>,
    /// Columns that hold the record as a whole.
    whole: Vec<usize>,
    /// Columns that hold nfdump's duration.
    durations: Vec<usize>,
    null: Option<Vec<u8>>,
    count: usize,
}

/// A row in parts.
#[derive(Clone, Copy)]
struct Row<'a> {
    /// The row as it came.
    text: &'a [u8],
    /// What `bounds` count in; the row is `data[start..end]`.
    data: &'a [u8],
    start: usize,
    end: usize,
    bounds: &'a [usize],
    columns: usize,
    is_ascii: bool,
    /// By column, when the row had quotes.
    is_quoted: &'a [bool],
}

impl<'a> Row<'a> {
    /// Only for columns whose bounds are noted.
    #[inline]
    fn field(&self, index: usize) -> Span<'a> {
        let start = self.bounds[index].max(self.start);
        Span { data: self.data, start, end: (self.bounds[index + 1] - 1).min(self.end) }
    }

    /// All fields as names, without blanks around them.
    fn names(&self, delimiter: u8) -> Vec<String> {
        let name = |text: &[u8]| String::from_utf8_lossy(text.trim_ascii()).into_owned();
        if self.is_quoted.is_empty() {
            return self.data[self.start..self.end].split(|&byte| byte == delimiter).map(name).collect();
        }
        (0..self.columns).map(|index| name(self.field(index).bytes())).collect()
    }
}

/// Why a row is bad, and what exactly.
type Fault = (BadReason, String);

impl CsvDecoder {
    pub(super) fn new(options: &CsvOptions, spec: &DecodeSpec) -> Result<Self> {
        let mapping = Mapping::new(&options.columns, spec)?;
        let is_nfdump = options.columns == Columns::Nfdump;
        let lines = Lines {
            delimiter: options.delimiter,
            max_record_bytes: options.max_record_bytes,
            is_nfdump,
            has_one_column: !is_nfdump && spec.declared.len() == 1,
            mapping,
            mapping_changed: false,
            is_first_line: true,
            trailer_lines: 0,
            unquoted: Unquoted::default(),
            stretch: Stretch::default(),
            counts: DecodeCounts::default(),
            rows: Rows::new(options, spec, is_nfdump)?,
        };
        Ok(Self { scanner: Scanner::new(options.delimiter, lines.mapping.wanted()), lines })
    }
}

impl Decoder for CsvDecoder {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.lines.rows.schema)
    }

    fn preamble(&mut self, line: &[u8]) {
        self.lines.preamble(without_line_end(without_bom(line)));
        self.scanner.want(self.lines.mapping.wanted());
    }

    fn push(&mut self, data: &[u8], bad: &mut Vec<BadRecord>) {
        let Self { scanner, lines } = self;
        let is_first = std::mem::take(&mut lines.is_first_line) && !data.is_empty();
        scanner.start(if is_first { data.len() - without_bom(data).len() } else { 0 });
        while let Some(raw) = scanner.next_row(data) {
            lines.counts.lines += 1;
            if lines.joins_stretch(data, raw, &scanner.bounds, bad) {
                continue;
            }
            lines.end_stretch(data, bad);
            lines.line(data, raw, &scanner.bounds, &mut BadSink { records: bad, offset: raw.start as u64 });
            if std::mem::take(&mut lines.mapping_changed) {
                scanner.want(lines.mapping.wanted());
            }
        }
        lines.end_stretch(data, bad);
    }

    fn rows(&self) -> usize {
        self.lines.rows.count
    }

    fn finish(&mut self) -> Result<RecordBatch> {
        let Lines { rows, counts, .. } = &mut self.lines;
        for &output in &rows.durations {
            counts.clamped_durations += rows.columns[output].clamp_durations();
        }
        rows.finish()
    }

    fn counts(&self) -> DecodeCounts {
        self.lines.counts
    }
}

impl Lines {
    fn preamble(&mut self, line: &[u8]) {
        self.is_first_line = false;
        let mut unquoted = std::mem::take(&mut self.unquoted);
        if unquoted.split(line, self.delimiter) {
            let row = unquoted_row(line, &unquoted);
            match self.mapping.find(row.columns) {
                Found::NeedsHeader => self.take_header(&row),
                _ if self.is_nfdump && fields::is_nfdump_name(row.field(0).trim().bytes()) => self.take_header(&row),
                _ => {}
            }
        }
        self.unquoted = unquoted;
    }

    /// Puts an ordinary row (plain ASCII, all used columns there) aside, to be decoded together with its neighbours.
    #[inline]
    fn joins_stretch(&mut self, data: &[u8], raw: RawRow, bounds: &[usize], bad: &mut Vec<BadRecord>) -> bool {
        let RawRow { start, end, columns, is_special } = raw;
        let is_long = self.max_record_bytes < end - start || u32::MAX as usize <= end;
        if is_special || start == end || is_long || self.may_be_furniture(data[start]) {
            return false;
        }
        if self.stretch.is_over(columns) {
            self.end_stretch(data, bad);
        }
        let Found::Layout(layout) = self.mapping.find(columns) else { return false };
        if columns < layout.columns_min() || layout.taken.is_empty() {
            return false;
        }
        self.stretch.push(columns, (start, end), bounds, &layout.taken);
        true
    }

    /// Decodes the rows put aside, column by column; row by row when one of them is bad.
    #[inline(never)]
    fn end_stretch(&mut self, data: &[u8], bad: &mut Vec<BadRecord>) {
        if self.stretch.rows.is_empty() {
            return;
        }
        let mut stretch = std::mem::take(&mut self.stretch);
        let Found::Layout(layout) = self.mapping.find(stretch.columns) else { unreachable!("a stretch has a layout") };
        if self.rows.append_stretch(data, &stretch, layout).is_none() {
            self.rows.cut_back();
            let mut bounds = Vec::new();
            for &(start, end) in &stretch.rows {
                let (start, end) = (start as usize, end as usize);
                let text = &data[start..end];
                bounds.clear();
                bounds.push(start);
                bounds.extend(memchr::memchr_iter(self.delimiter, text).map(|at| start + at + 1));
                bounds.push(end + 1);
                let columns = stretch.columns;
                let row = Row { text, data, start, end, bounds: &bounds, columns, is_ascii: true, is_quoted: &[] };
                if let Err((reason, detail)) = self.rows.append(&row, layout) {
                    BadSink { records: bad, offset: start as u64 }.push(reason, detail, text);
                }
            }
        }
        stretch.clear();
        self.stretch = stretch;
    }

    /// Whether a line may be one of nfdump's that are no rows; all of those begin with a letter, but for the trailer's.
    #[inline]
    fn may_be_furniture(&self, first: u8) -> bool {
        self.is_nfdump && (first.is_ascii_alphabetic() || self.trailer_lines != 0)
    }

    /// Takes one line of data: a row, several in a JSON string, or none.
    #[inline]
    fn line(&mut self, data: &[u8], raw: RawRow, bounds: &[usize], bad: &mut BadSink<'_>) {
        let RawRow { start, end, columns, is_special } = raw;
        let text = &data[start..end];
        if text.is_empty() {
            self.counts.skipped_lines += 1;
        } else if self.max_record_bytes < text.len() {
            bad.push(BadReason::TooLong, format!("{} bytes, the limit is {}", text.len(), self.max_record_bytes), text);
        } else if is_special {
            self.special_line(data, raw, bounds, bad);
        } else {
            let row = Row { text, data, start, end, bounds, columns, is_ascii: true, is_quoted: &[] };
            self.row_or_bad(&row, bad);
        }
    }

    /// Takes a line that holds quotes, NUL bytes or something that is not ASCII.
    fn special_line(&mut self, data: &[u8], raw: RawRow, bounds: &[usize], bad: &mut BadSink<'_>) {
        let RawRow { start, end, columns, .. } = raw;
        let text = &data[start..end];
        if memchr::memchr(0, text).is_some() {
            bad.push(BadReason::Nul, "a NUL byte".to_owned(), text);
        } else if !self.has_one_column && unquote::is_json_string(text, self.delimiter) {
            if memchr::memchr(b'\\', text).is_some() {
                self.json_string(text, bad);
            } else {
                let (start, end) = (start + 1, end - 1);
                let text = &data[start..end];
                let row = Row { text, data, start, end, bounds, columns, is_ascii: text.is_ascii(), is_quoted: &[] };
                self.row_or_bad(&row, bad);
            }
        } else if memchr::memchr(b'"', text).is_some() {
            self.quoted_line(text, bad);
        } else {
            let row = Row { text, data, start, end, bounds, columns, is_ascii: false, is_quoted: &[] };
            self.row_or_bad(&row, bad);
        }
    }

    /// Takes the lines within a JSON string that has escapes.
    fn json_string(&mut self, text: &[u8], bad: &mut BadSink<'_>) {
        let Some(inner) = unquote::json_string(text) else {
            bad.push(BadReason::Malformed, "a broken JSON string".to_owned(), text);
            return;
        };
        let inner = inner.strip_suffix(b"\n").unwrap_or(&inner);
        for (index, line) in inner.split(|&byte| byte == b'\n').enumerate() {
            self.counts.lines += u64::from(0 < index);
            let line = without_line_end(line);
            if line.is_empty() {
                self.counts.skipped_lines += 1;
            } else if memchr::memchr(0, line).is_some() {
                bad.push(BadReason::Nul, "a NUL byte".to_owned(), line);
            } else {
                self.quoted_line(line, bad);
            }
        }
    }

    /// Takes a line whose fields may have quotes.
    fn quoted_line(&mut self, text: &[u8], bad: &mut BadSink<'_>) {
        let mut unquoted = std::mem::take(&mut self.unquoted);
        if unquoted.split(text, self.delimiter) {
            self.row_or_bad(&unquoted_row(text, &unquoted), bad);
        } else {
            bad.push(BadReason::Malformed, "a quote that is not closed, or not at its field's end".to_owned(), text);
        }
        self.unquoted = unquoted;
    }

    #[inline]
    fn row_or_bad(&mut self, row: &Row<'_>, bad: &mut BadSink<'_>) {
        if let Err((reason, detail)) = self.row(row) {
            bad.push(reason, detail, row.text);
        }
    }

    #[inline]
    fn row(&mut self, row: &Row<'_>) -> Result<(), Fault> {
        if self.may_be_furniture(row.text[0]) && self.is_furniture(row) {
            self.counts.skipped_lines += 1;
            return Ok(());
        }
        match self.mapping.find(row.columns) {
            Found::Layout(layout) => self.rows.append(row, layout),
            Found::TooShort => Err((BadReason::TooShort, format!("{} columns, nfdump has 48", row.columns))),
            Found::Unknown => {
                Err((BadReason::Malformed, format!("{} columns are no record that is known", row.columns)))
            }
            Found::NeedsHeader => {
                self.take_header(row);
                self.counts.skipped_lines += 1;
                Ok(())
            }
        }
    }

    fn take_header(&mut self, row: &Row<'_>) {
        self.mapping.header(&row.names(self.delimiter), &self.rows.fields);
        self.mapping_changed = true;
    }

    /// Whether the line is one that nfdump prints around its rows; a header is remembered.
    #[cold]
    fn is_furniture(&mut self, row: &Row<'_>) -> bool {
        let trailer_lines = std::mem::take(&mut self.trailer_lines);
        let is_number = row.text[0].is_ascii_digit();
        let first_name = || row.text.split(|&byte| byte == self.delimiter).next().unwrap_or_default().trim_ascii();
        match trailer_lines {
            2 if row.text.starts_with(b"flows,") => self.trailer_lines = 1,
            1 if is_number && row.columns == TRAILER_COLUMNS => {}
            _ if row.text.starts_with(b"Summary") => self.trailer_lines = 2,
            _ if row.text.starts_with(b"No match") => {}
            _ if fields::is_nfdump_name(first_name()) => self.take_header(row),
            _ => return false,
        }
        true
    }
}

/// `flows,bytes,packets,avg_bps,avg_pps,avg_bpp`.
const TRAILER_COLUMNS: usize = 6;

fn unquoted_row<'a>(text: &'a [u8], unquoted: &'a Unquoted) -> Row<'a> {
    let Unquoted { data, bounds, is_quoted } = unquoted;
    let columns = unquoted.columns();
    Row { text, data, start: 0, end: data.len(), bounds, columns, is_ascii: text.is_ascii(), is_quoted }
}

impl Rows {
    fn new(options: &CsvOptions, spec: &DecodeSpec, is_nfdump: bool) -> Result<Self> {
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

    /// Appends a stretch of good rows; `None` when a row is bad, with columns of uneven length.
    fn append_stretch(&mut self, data: &[u8], stretch: &Stretch, layout: &Layout) -> Option<()> {
        for (number, &(_, output)) in layout.taken.iter().enumerate() {
            self.columns[output].push_texts(self.null.as_deref(), stretch.fields(number, data))?;
        }
        for &output in &layout.absent {
            stretch.rows.iter().try_for_each(|_| self.columns[output].push_missing()).ok()?;
        }
        for &output in &self.whole {
            for &(start, end) in &stretch.rows {
                self.columns[output].push_text(Span::of(&data[start as usize..end as usize])).ok()?;
            }
        }
        self.count += stretch.rows.len();
        Some(())
    }

    /// Takes back what was appended of rows that turned out bad.
    fn cut_back(&mut self) {
        self.columns.iter_mut().for_each(|column| column.truncate(self.count));
    }

    /// Appends a row, or leaves everything as it was.
    fn append(&mut self, row: &Row<'_>, layout: &Layout) -> Result<(), Fault> {
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

    fn finish(&mut self) -> Result<RecordBatch> {
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
