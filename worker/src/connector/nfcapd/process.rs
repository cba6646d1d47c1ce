//! One run of `nfdump` over one file.
//!
//! nfdump's exit code says little: a cut-off file, or one of another kind, ends with 0. So its standard
//! error counts too, except for the lines that it prints for every healthy file of a newer exporter.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use davy_engine::log::{Payload, Position};
use davy_engine::{Error, Result};
use tracing::warn;

use crate::connector::background::Background;
use crate::connector::lines::{Fill, LineCutter, LineReader, skip};
use crate::connector::read_error;
use crate::connector::splits::{Piece, SplitReader};

/// Messages of nfdump about files that are in order.
const HARMLESS: [&str; 2] = ["Skip unknown record type", "No matching flows"];

/// The first words of what follows the rows.
const TRAILERS: [&[u8]; 3] = [b"Summary", b"No matching flows", b"No matched flows"];

/// The trailer is shorter than this.
const TRAILER_BYTES_MAX: usize = 1024;

/// How much of nfdump's complaints is kept.
const N_COMPLAINTS_MAX: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) name: String,
    pub(super) filter: Option<String>,
    pub(super) piece_bytes: usize,
}

impl Program {
    pub(super) fn cannot_run(&self, error: &std::io::Error) -> Error {
        let name = &self.name;
        if error.kind() != std::io::ErrorKind::NotFound {
            return Error::Unavailable(format!("cannot run the program `{name}`: {error}"));
        }
        Error::invalid(format!("the program `{name}` is not installed"))
            .hint("install it with `apt-get install nfdump`, or name its path with `--nfdump` or DAVY_NFDUMP")
    }

    fn start(&self, file: &Path) -> Result<Child> {
        let mut command = Command::new(&self.name);
        command.env("TZ", "UTC").env("LC_ALL", "C").args(["-o", "csv", "-r"]).arg(file);
        if let Some(filter) = &self.filter {
            command.arg("--").arg(filter);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map_err(|error| self.cannot_run(&error))
    }
}

/// Reads the text that nfdump makes of a file.
pub(super) struct DumpReader {
    path: PathBuf,
    from: Position,
    child: Child,
    text: Background,
    complaints: Option<JoinHandle<Vec<String>>>,
    /// The trailer has begun: given when the program has ended.
    last: Option<Piece>,
}

impl DumpReader {
    pub(super) fn start(program: &Program, path: &Path, from: Position) -> Result<Self> {
        let mut child = program.start(path)?;
        let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Error::internal("a child's pipes are missing"));
        };
        let (origin, piece_bytes) = (path.to_owned(), program.piece_bytes);
        let text = Background::spawn("nfdump-output", move || {
            let mut output = output;
            let skipped = skip(&mut output, from.0).map_err(|error| read_error(&origin, &error))?;
            let preamble = (from.0 > 0).then_some(skipped.preamble);
            let cutter = LineCutter::new(output, skipped.n_bytes, piece_bytes, Fill::Piece);
            Ok(LineReader::new(origin, cutter, preamble))
        })?;
        let complaints = thread::Builder::new().name("nfdump-errors".into()).spawn(move || complaints(errors));
        let complaints = complaints.map_err(|error| Error::Unavailable(format!("cannot start a thread: {error}")))?;
        Ok(Self { path: path.to_owned(), from, child, text, complaints: Some(complaints), last: None })
    }

    /// What went wrong, if anything, once the text has ended.
    fn verdict(&mut self) -> Result<Option<String>> {
        let status =
            self.child.wait().map_err(|error| Error::Unavailable(format!("cannot wait for nfdump: {error}")))?;
        let complaints = self.complaints.take().map_or(Ok(Vec::new()), JoinHandle::join);
        let complaints = complaints.map_err(|_| Error::internal("reading nfdump's errors panicked"))?;
        if !complaints.is_empty() {
            return Ok(Some(complaints.join("; ")));
        }
        Ok((!status.success()).then(|| format!("it ended with {status}")))
    }

    fn shorter(&self) -> Error {
        let (path, from) = (self.path.display(), self.from.0);
        Error::invalid(format!("file `{path}` has less text than the {from} bytes that were read before"))
            .hint("bring the file back, or start the pipeline afresh")
    }

    /// Ends the split, with a record about the trouble where there was any.
    fn end(&mut self, mut piece: Piece) -> Result<Piece> {
        let is_past_end = piece.start < self.from;
        let Some(trouble) = self.verdict()? else {
            return if is_past_end { Err(self.shorter()) } else { Ok(piece) };
        };
        if is_past_end {
            // The text ends before the position: the record about the trouble was read before.
            let at = self.from;
            return Ok(Piece { start: at, next: at, ..piece });
        }
        let path = self.path.display();
        warn!(%path, %trouble, "nfdump cannot read a file to its end");
        let record = format!("nfdump: {path}: {trouble}\0\n");
        piece.next.0 += record.len() as u64;
        if let Payload::Bytes(bytes) = &mut piece.payload {
            bytes.extend_from_slice(record.as_bytes());
        }
        Ok(piece)
    }
}

impl SplitReader for DumpReader {
    fn next(&mut self) -> Result<Option<Piece>> {
        let Some(mut piece) = self.text.next()? else { return Ok(None) };
        if let Some(last) = self.last.take() {
            piece = Piece { next: piece.next, end_of_split: piece.end_of_split, ..last };
        }
        let is_last = cut_trailer(&mut piece);
        if piece.end_of_split {
            return self.end(piece).map(Some);
        }
        if is_last {
            self.last = Some(piece);
            return Ok(None);
        }
        Ok(Some(piece))
    }
}

impl Drop for DumpReader {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill and nothing to report.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Cuts off what follows the rows; whether there was something.
fn cut_trailer(piece: &mut Piece) -> bool {
    let Payload::Bytes(bytes) = &mut piece.payload else { return false };
    let tail = bytes.len().saturating_sub(TRAILER_BYTES_MAX);
    let line_starts = (tail..bytes.len()).filter(|&at| at == 0 || bytes[at - 1] == b'\n');
    let trailer = line_starts.into_iter().find(|&at| TRAILERS.iter().any(|words| bytes[at..].starts_with(words)));
    let Some(trailer) = trailer else { return false };
    bytes.truncate(trailer);
    true
}

/// The first lines of what is no healthy chatter; reads to the end, so that the program never waits.
fn complaints(errors: impl Read) -> Vec<String> {
    let mut found = Vec::new();
    for line in BufReader::new(errors).split(b'\n').map_while(std::io::Result::ok) {
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        let is_harmless = line.is_empty() || HARMLESS.iter().any(|words| line.starts_with(words));
        if !is_harmless && found.len() < N_COMPLAINTS_MAX {
            found.push(line);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let payload = Payload::Bytes(text.as_bytes().to_vec());
        let (start, next) = (Position(0), Position(text.len() as u64));
        let mut piece = Piece { start, next, preamble: None, payload, end_of_split: true };
        assert_eq!(cut_trailer(&mut piece), text != expected);
        let Payload::Bytes(bytes) = piece.payload else { panic!("still bytes") };
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
    }

    #[test]
    fn the_trailer_is_cut_off() {
        check("", "");
        check("ts,te\n1,2\n", "ts,te\n1,2\n");
        check("ts,te\n1,2\nSummary\nflows\n1\n", "ts,te\n1,2\n");
        check("ts,te\nNo matching flows\nSummary\nflows\n0\n", "ts,te\n");
        check("Summary\nflows\n1\n", "");
    }

    #[test]
    fn only_what_is_no_chatter_is_a_complaint() {
        let said = "Skip unknown record type 9\n\nOpen file x: bad magic\nNo matching flows\n";
        assert_eq!(complaints(said.as_bytes()), ["Open file x: bad magic"]);
    }
}
