//! Cuts a stream of bytes into pieces of whole lines, or of whole records where a record may have several.
//!
//! A position is the offset of a byte in the (decompressed) stream. A line longer than a piece makes the piece grow, up to
//! [`LINE_BYTES_MAX`]; of a longer one only the beginning is passed on, which is still longer than any decoder's limit, so
//! that the decoder counts it as one record that is too long while memory stays bounded.

use std::io::{self, Read};
use std::path::PathBuf;

use davy_engine::Result;
use davy_engine::format::Framing;
use davy_engine::log::{Payload, Position};

use super::read_error;
use super::splits::{Piece, SplitReader};

/// How much of one line is ever held: far above what a decoder accepts, far below what a machine has.
pub(crate) const LINE_BYTES_MAX: usize = 64 << 20;

/// A preamble is a header line; real ones are shorter.
const PREAMBLE_BYTES_MAX: usize = 1 << 20;

/// Skipping goes in steps of this many bytes.
const SKIP_BYTES: usize = 64 << 10;

/// How much to wait for before a piece is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// A whole piece: files, programs.
    Piece,
    /// What is there: a person or a `tail -f` may be typing.
    Available,
}

/// Lines cut off from a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) start: u64,
    /// Larger than `start + bytes.len()` where a line was too long to be held.
    pub(crate) next: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: bool,
}

/// Cuts a stream into pieces.
pub(crate) struct LineCutter<R> {
    input: R,
    fill: Fill,
    piece_bytes: usize,
    line_bytes_max: usize,
    framing: Framing,
    /// Read but not given yet; begins at `position`.
    pending: Vec<u8>,
    position: u64,
}

impl<R: Read> LineCutter<R> {
    /// Cuts `input`, whose first byte has the offset `position`.
    pub(crate) fn new(input: R, position: u64, piece_bytes: usize, fill: Fill) -> Self {
        let (line_bytes_max, framing) = (LINE_BYTES_MAX, Framing::LINES);
        Self { input, fill, piece_bytes, line_bytes_max, framing, pending: Vec::new(), position }
    }

    /// The same, with another end of records than each line end.
    pub(crate) fn with(self, framing: Framing) -> Self {
        Self { framing, ..self }
    }

    /// The next piece. The last one has `end` and may be empty.
    pub(crate) fn next(&mut self) -> io::Result<Cut> {
        let mut wanted = self.piece_bytes;
        loop {
            let has_ended = self.fill_to(wanted)?;
            if has_ended {
                let bytes = std::mem::take(&mut self.pending);
                return Ok(self.give_last(bytes, 0));
            }
            let is_full = self.pending.len() >= self.line_bytes_max;
            let mut whole = self.framing.whole_records(&self.pending);
            if is_full {
                // A record that is too long to be held is cut at its lines, and bad.
                whole = whole.or_else(|| Framing::LINES.whole_records(&self.pending));
            }
            if let Some(end) = whole {
                let rest = self.pending.split_off(end);
                let bytes = std::mem::replace(&mut self.pending, rest);
                return Ok(self.give(bytes, 0));
            }
            if is_full {
                return self.give_beginning_of_line();
            }
            wanted = (self.pending.len() * 2).clamp(self.piece_bytes, self.line_bytes_max);
        }
    }

    fn give(&mut self, bytes: Vec<u8>, n_skipped: u64) -> Cut {
        let start = self.position;
        self.position = start + bytes.len() as u64 + n_skipped;
        Cut { start, next: self.position, bytes, end: false }
    }

    fn give_last(&mut self, bytes: Vec<u8>, n_skipped: u64) -> Cut {
        Cut { end: true, ..self.give(bytes, n_skipped) }
    }

    /// Reads until `wanted` bytes are pending; whether the stream has ended.
    fn fill_to(&mut self, wanted: usize) -> io::Result<bool> {
        let missing = wanted.saturating_sub(self.pending.len()).max(1);
        if self.fill == Fill::Available {
            return Ok(self.read_some(missing.min(SKIP_BYTES))? == 0);
        }
        self.pending.reserve_exact(missing);
        let n = self.input.by_ref().take(missing as u64).read_to_end(&mut self.pending)?;
        Ok(n < missing)
    }

    /// Reads once; 0 at the end of the stream.
    fn read_some(&mut self, n_bytes_max: usize) -> io::Result<usize> {
        let held = self.pending.len();
        self.pending.resize(held + n_bytes_max, 0);
        let n = read_once(&mut self.input, &mut self.pending[held..]);
        self.pending.truncate(held + n.as_ref().map_or(0, |n| *n));
        n
    }

    /// Gives what is held of a line that is too long, and skips the rest of it.
    fn give_beginning_of_line(&mut self) -> io::Result<Cut> {
        let bytes = std::mem::take(&mut self.pending);
        let mut n_skipped = 0;
        loop {
            if self.read_some(SKIP_BYTES)? == 0 {
                return Ok(self.give_last(bytes, n_skipped));
            }
            if let Some(line_end) = self.pending.iter().position(|byte| *byte == b'\n') {
                self.pending.drain(..=line_end);
                return Ok(self.give(bytes, n_skipped + line_end as u64 + 1));
            }
            n_skipped += self.pending.len() as u64;
            self.pending.clear();
        }
    }
}

fn read_once(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// What was passed over to get to a position.
pub(crate) struct Skipped {
    pub(crate) n_bytes: u64,
    /// The first line, without its line end.
    pub(crate) preamble: Vec<u8>,
}

/// Reads up to `n_bytes` away, for streams that cannot seek; keeps the first line.
pub(crate) fn skip(input: &mut impl Read, n_bytes: u64) -> io::Result<Skipped> {
    let mut skipped = Skipped { n_bytes: 0, preamble: Vec::new() };
    let mut is_first_line = true;
    let mut buffer = vec![0; SKIP_BYTES];
    while skipped.n_bytes < n_bytes {
        let wanted = usize::try_from(n_bytes - skipped.n_bytes).unwrap_or(SKIP_BYTES).min(SKIP_BYTES);
        let n = read_once(input, &mut buffer[..wanted])?;
        if n == 0 {
            break;
        }
        skipped.n_bytes += n as u64;
        if is_first_line {
            let line_end = buffer[..n].iter().position(|byte| *byte == b'\n');
            skipped.preamble.extend_from_slice(&buffer[..line_end.unwrap_or(n)]);
            is_first_line = line_end.is_none() && skipped.preamble.len() < PREAMBLE_BYTES_MAX;
        }
    }
    if skipped.preamble.ends_with(b"\r") {
        skipped.preamble.pop();
    }
    Ok(skipped)
}

/// Reads the lines of one file.
pub(crate) struct LineReader<R> {
    path: PathBuf,
    cutter: LineCutter<R>,
    preamble: Option<Vec<u8>>,
}

impl<R: Read> LineReader<R> {
    pub(crate) fn new(path: PathBuf, cutter: LineCutter<R>, preamble: Option<Vec<u8>>) -> Self {
        Self { path, cutter, preamble }
    }
}

impl<R: Read + Send> SplitReader for LineReader<R> {
    fn next(&mut self) -> Result<Option<Piece>> {
        let cut = self.cutter.next().map_err(|error| read_error(&self.path, &error))?;
        Ok(Some(cut.into_piece(self.preamble.take())))
    }
}

impl Cut {
    pub(crate) fn into_piece(self, preamble: Option<Vec<u8>>) -> Piece {
        Piece {
            start: Position(self.start),
            next: Position(self.next),
            preamble,
            payload: Payload::Bytes(self.bytes),
            end_of_split: self.end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cutter(text: &str, piece_bytes: usize, line_bytes_max: usize, fill: Fill) -> LineCutter<&[u8]> {
        LineCutter { line_bytes_max, ..LineCutter::new(text.as_bytes(), 0, piece_bytes, fill) }
    }

    fn check(text: &str, piece_bytes: usize, line_bytes_max: usize, expected: &str) {
        let mut cutter = cutter(text, piece_bytes, line_bytes_max, Fill::Piece);
        let mut shown = Vec::new();
        loop {
            let cut = cutter.next().expect("memory can be read");
            shown.push(format!("{}-{} {:?}", cut.start, cut.next, String::from_utf8_lossy(&cut.bytes)));
            if cut.end {
                break;
            }
        }
        assert_eq!(shown.join(" | "), expected);
    }

    #[test]
    fn an_empty_stream_is_one_empty_piece() {
        check("", 4, 100, r#"0-0 """#);
    }

    #[test]
    fn pieces_end_at_line_ends_and_the_last_line_may_lack_its_own() {
        check("a\nbb\nccc", 4, 100, r#"0-2 "a\n" | 2-5 "bb\n" | 5-8 "ccc""#);
    }

    #[test]
    fn a_line_longer_than_a_piece_makes_the_piece_grow() {
        check("abcdefghij\nklm\nn", 4, 100, r#"0-15 "abcdefghij\nklm\n" | 15-16 "n""#);
    }

    #[test]
    fn of_a_line_that_is_too_long_only_the_beginning_is_given() {
        check("ab\ncdefghijkl\nm\n", 4, 6, r#"0-3 "ab\n" | 3-14 "cdefgh" | 14-16 "m\n""#);
    }

    #[test]
    fn a_line_that_is_too_long_may_be_the_last() {
        check("ab\ncdefghijkl", 4, 6, r#"0-3 "ab\n" | 3-13 "cdefgh""#);
    }

    #[test]
    fn a_record_with_line_ends_in_quotes_is_in_one_piece() {
        let mut options = davy_engine::options::Options::new("t");
        let format = davy_engine::format::Format::from_options("csv", &mut options).expect("csv").in_files();
        let text = "a,\"b\nc\"\nd,e\n";
        for piece_bytes in 1..=text.len() {
            let mut cutter = cutter(text, piece_bytes, 100, Fill::Piece).with(format.framing(2));
            let mut pieces = Vec::new();
            loop {
                let cut = cutter.next().expect("memory can be read");
                pieces.push(String::from_utf8_lossy(&cut.bytes).into_owned());
                if cut.end {
                    break;
                }
            }
            assert_eq!(pieces.concat(), text);
            assert!(pieces.iter().all(|piece| piece.matches('"').count() != 1), "{piece_bytes}: {pieces:?}");
        }
    }

    #[test]
    fn what_is_available_is_given_at_once() {
        let mut cutter = cutter("a\nb", 1 << 20, 1 << 20, Fill::Available);
        assert_eq!(cutter.next().expect("read").bytes, b"a\n");
        assert_eq!(cutter.next().expect("read"), Cut { start: 2, next: 3, bytes: b"b".to_vec(), end: true });
    }

    #[test]
    fn skipping_keeps_the_first_line() {
        let mut input = "h1,h2\r\na,b\nc,d\n".as_bytes();
        let skipped = skip(&mut input, 11).expect("read");
        assert_eq!((skipped.n_bytes, skipped.preamble.as_slice(), input), (11, &b"h1,h2"[..], &b"c,d\n"[..]));
        assert_eq!(skip(&mut input, 100).expect("read").n_bytes, 4);
    }
}
