//! CSV to columns.
//!
//! How a row is decoded: the scan finds it and the bounds that matter, its layout says which field is which column, and it waits in
//! a row batch with its neighbours until their fields go into the columns, one column after the other. Everything that is not
//! an ordinary row (quotes, no ASCII, headers, a bad value) leaves that road and is done by itself.
//!
//! Speed: a record of 71 columns in 450 bytes, 13 of them used, takes 165 ns (2.8 GB/s) on one core of a 3 GHz server, four
//! times as fast as arrow-csv with the same columns projected; about 190 ns when the other core is busy. A third of that goes
//! into walking the delimiters, a third into numbers, a sixth into marking. It is bound by instructions, not by memory: before
//! the rows were put together in row batches and decimals read as vectors it took 365 ns. The bench is
//! `benches/benches/csv_decode.rs`.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::fields::{self, Found, Mapping};
use super::frame::Quotes;
use super::quoted::{STRAY_QUOTE, unquoted_row, without_line_ends};
use super::row_batch::RowBatch;
use super::rows::{Fault, Row, Rows};
use super::scan::{RawRow, Scanner};
use super::unquote::{self, Unquoted};
use super::{Columns, CsvOptions};
use crate::error::{Error, Result};
use crate::format::{BadReason, BadRecord, BadSink, DecodeCounts, DecodeSpec, Decoder, without_bom, without_line_end};

pub(super) struct CsvDecoder {
    scanner: Scanner,
    lines: Lines,
}

/// What lines mean, by what came before them.
pub(super) struct Lines {
    pub(super) delimiter: u8,
    pub(super) max_record_bytes: usize,
    is_nfdump: bool,
    /// A line that is one JSON string holds fields; but where a row has one column, it is that column.
    has_one_column: bool,
    /// Where a record may go on after a line end.
    pub(super) quotes: Option<Quotes>,
    /// Where the next line begins, when the last record had several.
    pub(super) resume_at: Option<usize>,
    pub(super) is_row_per_message: bool,
    mapping: Mapping,
    mapping_changed: bool,
    /// Where in the data the header stands that is in force.
    header_at: Option<usize>,
    is_first_line: bool,
    /// Lines of nfdump's trailer that are still to come.
    trailer_lines: u8,
    pub(super) unquoted: Unquoted,
    row_batch: RowBatch,
    pub(super) counts: DecodeCounts,
    rows: Rows,
}

impl CsvDecoder {
    pub(super) fn new(options: &CsvOptions, spec: &DecodeSpec) -> Result<Self> {
        let mapping = Mapping::new(options, spec)?;
        let is_nfdump = options.columns == Columns::Nfdump;
        let lines = Lines {
            delimiter: options.delimiter,
            max_record_bytes: options.max_record_bytes,
            is_nfdump,
            has_one_column: !is_nfdump && spec.declared.len() == 1,
            quotes: options.quotes(spec.declared.len()),
            resume_at: None,
            is_row_per_message: options.is_row_per_message(),
            mapping,
            mapping_changed: false,
            header_at: None,
            is_first_line: true,
            trailer_lines: 0,
            unquoted: Unquoted::default(),
            row_batch: RowBatch::default(),
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

    fn push(&mut self, data: &[u8], bad: &mut Vec<BadRecord>) -> Result<()> {
        self.push_rows(data, &[], bad);
        match self.lines.mapping.bad_header() {
            Some(problem) => Err(Error::invalid(problem).hint(
                "declare the columns that the header names, or say with `csv.columns` how fields get their names",
            )),
            None => Ok(()),
        }
    }

    fn push_messages(&mut self, data: &[u8], ends: &[u32], bad: &mut Vec<BadRecord>) -> Result<()> {
        self.lines.forget_header();
        self.lines.is_first_line = true;
        self.scanner.want(self.lines.mapping.wanted());
        self.push_rows(data, ends, bad);
        Ok(())
    }

    fn rows(&self) -> usize {
        self.lines.rows.count
    }

    fn finish(&mut self) -> Result<RecordBatch> {
        let Lines { rows, counts, .. } = &mut self.lines;
        counts.clamped_durations += rows.clamp_durations();
        rows.finish()
    }

    fn counts(&self) -> DecodeCounts {
        self.lines.counts
    }
}

impl CsvDecoder {
    fn push_rows(&mut self, data: &[u8], ends: &[u32], bad: &mut Vec<BadRecord>) {
        let Self { scanner, lines } = self;
        let is_first = !data.is_empty() && std::mem::take(&mut lines.is_first_line);
        scanner.start(if is_first { data.len() - without_bom(data).len() } else { 0 });
        while let Some(raw) = scanner.next_row(data) {
            lines.counts.lines += 1;
            if lines.is_header_of_earlier_message(raw.start, ends) {
                lines.end_row_batch(data, bad);
                lines.forget_header();
                lines.mapping_changed = true;
            }
            if lines.is_row_per_message
                && let Some(end) = lines.end_of_long_message(data, scanner.at(), ends)
            {
                scanner.skip_to(end);
                lines.end_row_batch(data, bad);
                lines.message(without_line_ends(&data[raw.start..end]), bad, raw.start);
                continue;
            }
            if lines.joins_row_batch(data, raw, &scanner.bounds, bad) {
                continue;
            }
            lines.end_row_batch(data, bad);
            lines.line(data, raw, &scanner.bounds, &mut BadSink { records: bad, offset: raw.start as u64 });
            if let Some(at) = lines.resume_at.take() {
                scanner.skip_to(at);
            }
            if std::mem::take(&mut lines.mapping_changed) {
                scanner.want(lines.mapping.wanted());
            }
        }
        lines.end_row_batch(data, bad);
    }
}

impl Lines {
    fn preamble(&mut self, line: &[u8]) {
        self.is_first_line = false;
        let mut unquoted = std::mem::take(&mut self.unquoted);
        if unquoted.split(line, self.delimiter) {
            let row = unquoted_row(line, &unquoted);
            match self.mapping.find(row.columns) {
                Found::NeedsHeader => self.take_header(&row, 0),
                _ if self.is_nfdump && fields::is_nfdump_name(row.field(0).trim().bytes()) => self.take_header(&row, 0),
                _ => {}
            }
        }
        self.unquoted = unquoted;
    }

    /// Whether the header in force belongs to an earlier message than the line at `start`. `ends` are the messages' ends.
    fn is_header_of_earlier_message(&self, start: usize, ends: &[u32]) -> bool {
        let message = |at: usize| ends.partition_point(|&end| end as usize <= at);
        self.header_at.is_some_and(|header_at| message(header_at) != message(start))
    }

    fn forget_header(&mut self) {
        self.mapping.forget_header();
        self.header_at = None;
        self.trailer_lines = 0;
    }

    /// Puts an ordinary row (plain ASCII, all used columns there) aside, to be decoded together with its neighbours.
    #[inline]
    fn joins_row_batch(&mut self, data: &[u8], raw: RawRow, bounds: &[usize], bad: &mut Vec<BadRecord>) -> bool {
        let RawRow { mut start, mut end, columns, is_special } = raw;
        let is_long = self.max_record_bytes < end - start || u32::MAX as usize <= end;
        if start == end || is_long {
            return false;
        }
        if is_special {
            if !self.is_plain_in_quotes(&data[start..end]) {
                return false;
            }
            (start, end) = (start + 1, end - 1);
        }
        if self.may_be_furniture(data[start]) {
            return false;
        }
        if self.row_batch.is_over(columns) {
            self.end_row_batch(data, bad);
        }
        let Found::Layout(layout) = self.mapping.find(columns) else { return false };
        if columns < layout.columns_min() || layout.taken.is_empty() {
            return false;
        }
        self.row_batch.push(columns, start..end, bounds, &layout.taken);
        true
    }

    /// Whether the line is a JSON string without escapes, so that between its quotes it is an ordinary row.
    fn is_plain_in_quotes(&self, text: &[u8]) -> bool {
        !self.has_one_column
            && unquote::is_json_string(text, self.delimiter)
            && memchr::memchr2(b'\\', 0, text).is_none()
            && text.is_ascii()
    }

    /// Decodes the rows put aside, column by column; row by row when one of them is bad.
    #[inline(never)]
    fn end_row_batch(&mut self, data: &[u8], bad: &mut Vec<BadRecord>) {
        if self.row_batch.rows.is_empty() {
            return;
        }
        let mut row_batch = std::mem::take(&mut self.row_batch);
        let Found::Layout(layout) = self.mapping.find(row_batch.columns) else {
            unreachable!("a row batch has a layout")
        };
        if self.rows.append_row_batch(data, &row_batch, layout).is_none() {
            self.rows.cut_back();
            let mut bounds = Vec::new();
            for &(start, end) in &row_batch.rows {
                let (start, end) = (start as usize, end as usize);
                let text = &data[start..end];
                bounds.clear();
                bounds.push(start);
                bounds.extend(memchr::memchr_iter(self.delimiter, text).map(|at| start + at + 1));
                bounds.push(end + 1);
                let columns = row_batch.columns;
                let row = Row { text, data, start, end, bounds: &bounds, columns, is_ascii: true, is_quoted: &[] };
                if let Err((reason, detail)) = self.rows.append(&row, layout) {
                    // Nothing but the quote of a JSON string can be on the line before its row.
                    let is_in_quotes = 0 < start && data[start - 1] == b'"';
                    let offset = (start - usize::from(is_in_quotes)) as u64;
                    BadSink { records: bad, offset }.push(reason, detail, text);
                }
            }
        }
        row_batch.clear();
        self.row_batch = row_batch;
    }

    /// Whether a line may be one of nfdump's that are no rows; all of those but the trailer's begin with a-z or A-Z.
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
        let RawRow { end, columns, .. } = raw;
        // Each message may begin with a BOM, and so may each part of files that were put together.
        let text = without_bom(&data[raw.start..end]);
        let start = end - text.len();
        if text.is_empty() {
            self.counts.skipped_lines += 1;
        } else if memchr::memchr(0, text).is_some() {
            bad.push(BadReason::Nul, "a NUL byte".to_owned(), text);
        } else if !self.has_one_column && unquote::is_json_string(text, self.delimiter) {
            if memchr::memchr(b'\\', text).is_some() {
                if !self.continued_row(data, start, bad) {
                    self.json_string(text, bad);
                }
            } else {
                let (start, end) = (start + 1, end - 1);
                let text = &data[start..end];
                let row = Row { text, data, start, end, bounds, columns, is_ascii: text.is_ascii(), is_quoted: &[] };
                self.row_or_bad(&row, bad);
            }
        } else if memchr::memchr(b'"', text).is_some() {
            if !self.quoted_row(text, bad) && !self.continued_row(data, start, bad) {
                bad.push(BadReason::Malformed, STRAY_QUOTE.to_owned(), text);
            }
        } else {
            let row = Row { text, data, start, end, bounds, columns, is_ascii: false, is_quoted: &[] };
            self.row_or_bad(&row, bad);
        }
    }

    #[inline]
    pub(super) fn row_or_bad(&mut self, row: &Row<'_>, bad: &mut BadSink<'_>) {
        if let Err((reason, detail)) = self.row(row, bad.offset) {
            bad.push(reason, detail, row.text);
        }
    }

    #[inline]
    fn row(&mut self, row: &Row<'_>, at: u64) -> Result<(), Fault> {
        if self.may_be_furniture(row.text[0]) && self.is_furniture(row, at) {
            self.counts.skipped_lines += 1;
            return Ok(());
        }
        match self.mapping.find(row.columns) {
            Found::Layout(layout) => self.rows.append(row, layout),
            Found::TooShort => Err((BadReason::TooShort, format!("{} columns, nfdump has 48", row.columns))),
            Found::Unknown => {
                Err((BadReason::Malformed, format!("{} columns are no record that is known", row.columns)))
            }
            Found::TooLong(most) => {
                Err((BadReason::TooLong, format!("{} columns, at most {most} are known", row.columns)))
            }
            Found::BadHeader(problem) => Err((BadReason::Malformed, problem.to_owned())),
            Found::NeedsHeader => {
                self.take_header(row, at);
                if let Some(problem) = self.mapping.bad_header() {
                    return Err((BadReason::Malformed, problem.to_owned()));
                }
                self.counts.skipped_lines += 1;
                Ok(())
            }
        }
    }

    /// `at` is where the header's line begins in the data.
    fn take_header(&mut self, row: &Row<'_>, at: u64) {
        self.mapping.header(&row.names(self.delimiter), &self.rows.fields);
        self.header_at = Some(at as usize);
        self.mapping_changed = true;
    }

    /// Whether the line is one that nfdump prints around its rows; a header is remembered.
    #[cold]
    fn is_furniture(&mut self, row: &Row<'_>, at: u64) -> bool {
        let trailer_lines = std::mem::take(&mut self.trailer_lines);
        let is_number = row.text[0].is_ascii_digit();
        let first_name = || row.text.split(|&byte| byte == self.delimiter).next().unwrap_or_default().trim_ascii();
        match trailer_lines {
            2 if row.text.starts_with(b"flows,") => self.trailer_lines = 1,
            1 if is_number && row.columns == TRAILER_COLUMNS => {}
            _ if row.text.starts_with(b"Summary") => self.trailer_lines = 2,
            _ if row.text.starts_with(b"No match") => {}
            _ if fields::is_nfdump_name(first_name()) => self.take_header(row, at),
            _ => return false,
        }
        true
    }
}

/// `flows,bytes,packets,avg_bps,avg_pps,avg_bpp`.
const TRAILER_COLUMNS: usize = 6;
