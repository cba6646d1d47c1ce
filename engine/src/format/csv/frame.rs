//! Where a record of a file ends that is read as a whole: at the first line end that is not within quotes, as RFC 4180 says.
//!
//! A line that can be read by itself is a record, and a line whose quote leads nowhere is a bad one; neither looks at what follows. So
//! a stray quote costs its own line, and only lines that would be bad records anyway may go on in the next.

use super::unquote;
use crate::format::without_bom;

/// How a file's bytes are cut into pieces of whole records.
#[derive(Clone, Copy, Debug)]
pub struct Framing(Option<Quotes>);

/// What quotes mean to the end of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quotes {
    pub(super) delimiter: u8,
    pub(super) max_record_bytes: usize,
    /// As [`super::decode`] has it: a line that is a JSON string is the one column.
    pub(super) has_one_column: bool,
}

/// What follows the beginning of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its line end, which is at this index of the data, or the data's end.
    At(usize),
    /// Something after a closing quote, or a quote that is not closed within the longest record.
    Nowhere,
    /// The data's end, within quotes.
    Open,
}

impl Framing {
    /// Every line end ends a record.
    pub const LINES: Self = Self(None);

    pub(super) fn quoted(quotes: Quotes) -> Self {
        Self(Some(quotes))
    }

    /// The end of the last whole record of `data`, which begins with a record; `None` where no record is whole.
    pub fn whole_records(&self, data: &[u8]) -> Option<usize> {
        let last_line_end = memchr::memrchr(b'\n', data)?;
        let first_open = self.0.and_then(|quotes| quotes.first_open(data));
        Some(first_open.unwrap_or(last_line_end + 1)).filter(|end| 0 < *end)
    }
}

impl Quotes {
    /// Where the record begins that goes on after the end of `data`.
    fn first_open(&self, data: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(quote) = memchr::memchr(b'"', data.get(at..)?) {
            let start = memchr::memrchr(b'\n', &data[at..at + quote]).map_or(at, |line_end| at + line_end + 1);
            let line_end = start + memchr::memchr(b'\n', &data[start..])?;
            at = match self.continued(data, start, line_end) {
                None | Some(End::Nowhere) => line_end + 1,
                Some(End::At(end)) if end < data.len() => end + 1,
                // What follows may belong to it: another quote, the rest of a line.
                Some(End::At(_) | End::Open) => return Some(start),
            };
        }
        None
    }

    /// What ends the record that begins with a line; `None` where the line is for the decoder as it is.
    fn continued(&self, data: &[u8], start: usize, line_end: usize) -> Option<End> {
        let line = &data[start..line_end];
        let line = without_bom(line.strip_suffix(b"\r").unwrap_or(line));
        if self.max_record_bytes < line.len() || memchr::memchr(0, line).is_some() {
            return None;
        }
        let end = self.end(data, start + without_bom_bytes(&data[start..]));
        // A line such as `"a\","` may be both; it is a JSON string unless it goes on.
        let is_json = !self.has_one_column && unquote::is_json_string(line, self.delimiter);
        (!is_json || end != End::Nowhere).then_some(end)
    }

    /// What ends the record that begins at `start`; reads fields as [`unquote::Unquoted::split`] does.
    pub(super) fn end(&self, data: &[u8], start: usize) -> End {
        let limit = data.len().min(start.saturating_add(self.max_record_bytes).saturating_add(2));
        let text = &data[..limit];
        let (at_end, in_quotes) =
            if limit == data.len() { (End::At(limit), End::Open) } else { (End::Nowhere, End::Nowhere) };
        let is_blank = |byte: &&u8| **byte == b' ';
        let mut at = start;
        loop {
            let field = at + text[at..].iter().take_while(is_blank).count();
            if text.get(field) != Some(&b'"') {
                match memchr::memchr2(self.delimiter, b'\n', &text[at..]) {
                    Some(found) if text[at + found] == b'\n' => return self.ends_at(start, at + found),
                    Some(found) => at += found + 1,
                    None => return at_end,
                }
                continue;
            }
            let Some(after) = after_quotes(text, field + 1) else { return in_quotes };
            let blanks = text[after..].iter().take_while(is_blank).take_while(|byte| **byte != self.delimiter).count();
            match &text[after + blanks..] {
                [] | [b'\r'] => return at_end,
                [b'\n', ..] => return self.ends_at(start, after + blanks),
                [b'\r', b'\n', ..] => return self.ends_at(start, after + blanks + 1),
                [byte, ..] if *byte == self.delimiter => at = after + blanks + 1,
                _ => return End::Nowhere,
            }
        }
    }

    fn ends_at(&self, start: usize, line_end: usize) -> End {
        if line_end - start <= self.max_record_bytes { End::At(line_end) } else { End::Nowhere }
    }
}

/// Behind the quote that closes the field whose text begins at `at`.
fn after_quotes(data: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr(b'"', &data[at..])? + 1;
        if data.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

fn without_bom_bytes(line: &[u8]) -> usize {
    line.len() - without_bom(line).len()
}
