//! The slow road for lines with quotes: splits them into fields without their quotes, and unwraps lines that are a JSON
//! string as a whole.

use std::fmt;

use serde::Deserializer;
use serde::de::Visitor;

/// A row whose fields had quotes: the plain fields one after the other, each followed by one byte that belongs to none.
#[derive(Clone, Debug, Default)]
pub(super) struct Unquoted {
    pub(super) data: Vec<u8>,
    /// As [`super::scan::Scanner::bounds`], for every column.
    pub(super) bounds: Vec<usize>,
    /// By column: whether it was quoted, so that blanks and emptiness are meant.
    pub(super) is_quoted: Vec<bool>,
}

impl Unquoted {
    pub(super) fn columns(&self) -> usize {
        self.is_quoted.len()
    }

    /// Splits `line` as RFC 4180 says; false when a quote is not closed or something follows a closing quote.
    ///
    /// Blanks around a quoted field do not count, and a quote within an unquoted field is a character like any other.
    pub(super) fn split(&mut self, line: &[u8], delimiter: u8) -> bool {
        self.data.clear();
        self.is_quoted.clear();
        self.bounds.clear();
        self.bounds.push(0);
        let mut rest = Some(line);
        while let Some(text) = rest {
            let start = text.iter().position(|&byte| byte != b' ').unwrap_or(0);
            let is_quoted = text.get(start) == Some(&b'"');
            rest = if is_quoted {
                let Some(after) = self.take_quoted(&text[start + 1..]) else { return false };
                let blanks = after.iter().take_while(|&&byte| byte == b' ' && byte != delimiter).count();
                match &after[blanks..] {
                    [] => None,
                    [byte, next @ ..] if *byte == delimiter => Some(next),
                    _ => return false,
                }
            } else {
                self.take_plain(text, delimiter)
            };
            self.is_quoted.push(is_quoted);
            self.data.push(delimiter);
            self.bounds.push(self.data.len());
        }
        true
    }

    /// Whether a field without quotes holds a line end.
    pub(super) fn has_plain_line_end(&self) -> bool {
        let fields = self.bounds.windows(2).zip(&self.is_quoted);
        fields.filter(|(_, is_quoted)| !**is_quoted).any(|(field, _)| self.data[field[0]..field[1]].contains(&b'\n'))
    }

    /// Takes a field behind its opening quote; what follows the closing one, or `None` when there is none.
    fn take_quoted<'a>(&mut self, mut text: &'a [u8]) -> Option<&'a [u8]> {
        loop {
            let quote = memchr::memchr(b'"', text)?;
            self.data.extend_from_slice(&text[..quote]);
            text = &text[quote + 1..];
            match text.strip_prefix(b"\"") {
                Some(after) => {
                    self.data.push(b'"');
                    text = after;
                }
                None => return Some(text),
            }
        }
    }

    fn take_plain<'a>(&mut self, text: &'a [u8], delimiter: u8) -> Option<&'a [u8]> {
        let end = memchr::memchr(delimiter, text);
        self.data.extend_from_slice(&text[..end.unwrap_or(text.len())]);
        end.map(|end| &text[end + 1..])
    }
}

/// Whether the line is one JSON string that holds fields, and not a row whose first and last field are quoted.
pub(super) fn is_json_string(line: &[u8], delimiter: u8) -> bool {
    let [b'"', inner @ .., b'"'] = line else { return false };
    memchr::memchr(delimiter, inner).is_some() && first_quote(inner).is_none() && !ends_in_escape(inner)
}

/// The first quote without a backslash before it.
fn first_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        if text[at + found] == b'"' {
            return Some(at + found);
        }
        at += found + 2;
    }
    None
}

fn ends_in_escape(text: &[u8]) -> bool {
    text.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// What a JSON string says, as bytes: columns that no query uses need not be UTF-8. `None` when it is broken.
pub(super) fn json_string(line: &[u8]) -> Option<Vec<u8>> {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
    }
    let mut json = serde_json::Deserializer::from_slice(line);
    let bytes = (&mut json).deserialize_bytes(Bytes).ok()?;
    json.end().ok()?;
    Some(bytes)
}
