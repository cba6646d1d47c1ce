//! Rows with quotes: fields that have some, lines that are a JSON string, and records of more than one line (quoted line ends of files
//! that are read as a whole, messages that are one row).

use super::decode::Lines;
use super::frame::End;
use super::rows::Row;
use super::unquote::{self, Unquoted};
use crate::format::{BadReason, BadRecord, BadSink, without_line_end};

pub(super) const STRAY_QUOTE: &str = "a quote that is not closed, or not at its field's end";
const SEVERAL_ROWS: &str = "several rows in a message, where csv.rows_per_message = 'one'";

impl Lines {
    /// Takes the lines within a JSON string that has escapes.
    pub(super) fn json_string(&mut self, text: &[u8], bad: &mut BadSink<'_>) {
        let Some(inner) = unquote::json_string(text) else {
            bad.push(BadReason::Malformed, "a broken JSON string".to_owned(), text);
            return;
        };
        let inner = inner.strip_suffix(b"\n").unwrap_or(&inner);
        if self.is_row_per_message && memchr::memchr(b'\n', inner).is_some() {
            return self.long_message(without_line_ends(inner), bad);
        }
        for (index, line) in inner.split(|&byte| byte == b'\n').enumerate() {
            self.counts.lines += u64::from(0 < index);
            let line = without_line_end(line);
            if line.is_empty() {
                self.counts.skipped_lines += 1;
            } else if memchr::memchr(0, line).is_some() {
                bad.push(BadReason::Nul, "a NUL byte".to_owned(), line);
            } else if !self.quoted_row(line, bad) {
                bad.push(BadReason::Malformed, STRAY_QUOTE.to_owned(), line);
            }
        }
    }

    /// Takes a row whose fields may have quotes; false where the quotes are not in pairs, and nothing was taken.
    pub(super) fn quoted_row(&mut self, text: &[u8], bad: &mut BadSink<'_>) -> bool {
        let mut unquoted = std::mem::take(&mut self.unquoted);
        let is_row = unquoted.split(text, self.delimiter);
        if is_row {
            self.row_or_bad(&unquoted_row(text, &unquoted), bad);
        }
        self.unquoted = unquoted;
        is_row
    }

    /// Takes the record that begins with the line at `start`, if it ends in a later line.
    pub(super) fn continued_row(&mut self, data: &[u8], start: usize, bad: &mut BadSink<'_>) -> bool {
        let Some(End::At(end)) = self.quotes.map(|quotes| quotes.end(data, start)) else { return false };
        let text = without_line_end(&data[start..end]);
        if memchr::memchr(b'\n', text).is_none() {
            return false;
        }
        if memchr::memchr(0, text).is_some() {
            bad.push(BadReason::Nul, "a NUL byte".to_owned(), text);
        } else if !self.quoted_row(text, bad) {
            return false;
        }
        self.resume_at = Some(end + 1);
        true
    }

    /// The end of the message that a line is in, when more than line ends follow the line, which ends before `next`.
    pub(super) fn end_of_long_message(&self, data: &[u8], next: usize, ends: &[u32]) -> Option<usize> {
        let message = ends.partition_point(|&end| (end as usize) < next.min(data.len()));
        let end = ends.get(message).map_or(data.len(), |&end| end as usize);
        let rest = data.get(next..end)?;
        rest.iter().any(|byte| !matches!(byte, b'\r' | b'\n')).then_some(end)
    }

    /// Takes a message of several lines, which begins at `offset` of the data.
    pub(super) fn message(&mut self, text: &[u8], bad: &mut Vec<BadRecord>, offset: usize) {
        self.long_message(text, &mut BadSink { records: bad, offset: offset as u64 });
    }

    pub(super) fn long_message(&mut self, text: &[u8], bad: &mut BadSink<'_>) {
        if self.max_record_bytes < text.len() {
            bad.push(BadReason::TooLong, format!("{} bytes, the limit is {}", text.len(), self.max_record_bytes), text);
        } else if memchr::memchr(0, text).is_some() {
            bad.push(BadReason::Nul, "a NUL byte".to_owned(), text);
        } else if let Some(problem) = self.problem_of_message(text) {
            bad.push(BadReason::Malformed, problem.to_owned(), text);
        } else if !self.quoted_row(text, bad) {
            bad.push(BadReason::Malformed, STRAY_QUOTE.to_owned(), text);
        }
    }

    /// Why a text of several lines is not one row.
    fn problem_of_message(&mut self, text: &[u8]) -> Option<&'static str> {
        if self.unquoted.split(text, self.delimiter) {
            return self.unquoted.has_plain_line_end().then_some(SEVERAL_ROWS);
        }
        let first = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
        Some(if self.unquoted.split(without_line_end(first), self.delimiter) { SEVERAL_ROWS } else { STRAY_QUOTE })
    }
}

pub(super) fn without_line_ends(text: &[u8]) -> &[u8] {
    let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let end = text.iter().rposition(|byte| !is_line_end(byte)).map_or(0, |last| last + 1);
    &text[..end]
}

pub(super) fn unquoted_row<'a>(text: &'a [u8], unquoted: &'a Unquoted) -> Row<'a> {
    let Unquoted { data, bounds, is_quoted } = unquoted;
    let columns = unquoted.columns();
    Row { text, data, start: 0, end: data.len(), bounds, columns, is_ascii: text.is_ascii(), is_quoted }
}
