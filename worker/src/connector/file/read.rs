//! Opens a file at a position, in any format.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use arrow::datatypes::SchemaRef;
use davy_engine::format::{Format, Framing};
use davy_engine::log::Position;
use davy_engine::{Error, Result};

use super::batches;
use crate::connector::background::Background;
use crate::connector::compression::Compression;
use crate::connector::lines::{Fill, LineCutter, LineReader, skip};
use crate::connector::read_error;
use crate::connector::splits::SplitReader;

/// Whether files of the format are read as bytes for a decoder (lines) or as batches.
pub(in crate::connector) fn reads_bytes(format: &Format) -> bool {
    !matches!(format, Format::Arrow | Format::Parquet)
}

#[derive(Clone, Debug)]
pub(in crate::connector) struct FileInput {
    pub(in crate::connector) format: Format,
    /// The requested columns; used only by files with batches.
    pub(in crate::connector) schema: SchemaRef,
    pub(in crate::connector) piece_bytes: usize,
    pub(in crate::connector) framing: Framing,
}

impl FileInput {
    /// Reads `path` from a byte of the decompressed lines, or from a row, on.
    pub(in crate::connector) fn open(&self, path: &Path, from: Position) -> Result<Box<dyn SplitReader>> {
        let file = File::open(path).map_err(|error| read_error(path, &error))?;
        match &self.format {
            Format::Arrow => batches::open_arrow(path, file, &self.schema, from),
            Format::Parquet => batches::open_parquet(path, file, &self.schema, from),
            _ => self.open_lines(path, file, from),
        }
    }

    /// Reads the standard input, which is expected to give the same bytes again when reading resumes.
    pub(in crate::connector) fn open_stdin(&self, from: Position) -> Result<Box<dyn SplitReader>> {
        let (piece_bytes, framing) = (self.piece_bytes, self.framing);
        let open = move || {
            let path = Path::new("standard input");
            let mut input = std::io::stdin();
            let preamble = skip_to(path, &mut input, from)?;
            let cutter = LineCutter::new(input, from.0, piece_bytes, Fill::Available).with(framing);
            Ok(LineReader::new(path.to_owned(), cutter, preamble))
        };
        Ok(Box::new(Background::spawn("stdin", open)?))
    }

    fn open_lines(&self, path: &Path, file: File, from: Position) -> Result<Box<dyn SplitReader>> {
        let compression = Compression::of(path);
        if compression == Compression::None {
            return self.open_plain_lines(path, file, from);
        }
        let mut input = compression.reader(file).map_err(|error| read_error(path, &error))?;
        let preamble = skip_to(path, &mut input, from)?;
        let cutter = LineCutter::new(input, from.0, self.piece_bytes, Fill::Piece).with(self.framing);
        Ok(Box::new(LineReader::new(path.to_owned(), cutter, preamble)))
    }

    /// Seeks instead of reading what is not wanted.
    fn open_plain_lines(&self, path: &Path, mut file: File, from: Position) -> Result<Box<dyn SplitReader>> {
        let preamble = seek_to(path, &mut file, from)?;
        let cutter = LineCutter::new(file, from.0, self.piece_bytes, Fill::Piece).with(self.framing);
        Ok(Box::new(LineReader::new(path.to_owned(), cutter, preamble)))
    }
}

fn seek_to(path: &Path, file: &mut File, from: Position) -> Result<Option<Vec<u8>>> {
    if from.0 == 0 {
        return Ok(None);
    }
    let metadata = file.metadata().map_err(|error| read_error(path, &error))?;
    if !metadata.is_file() {
        // A named pipe has no length and cannot seek.
        return skip_to(path, file, from);
    }
    if metadata.len() < from.0 {
        return Err(shorter(path, metadata.len(), from));
    }
    let mut first_lines = file.take(from.0.min(FIRST_LINE_BYTES_MAX));
    let passed = skip(&mut first_lines, FIRST_LINE_BYTES_MAX).map_err(|error| read_error(path, &error))?;
    file.seek(SeekFrom::Start(from.0)).map_err(|error| read_error(path, &error))?;
    Ok(Some(passed.preamble))
}

/// How much is read to find the first line.
const FIRST_LINE_BYTES_MAX: u64 = 64 << 10;

/// Reads up to `from` away; gives the first line, except at the beginning, where it comes by itself.
fn skip_to(path: &Path, input: &mut impl Read, from: Position) -> Result<Option<Vec<u8>>> {
    if from.0 == 0 {
        return Ok(None);
    }
    let skipped = skip(input, from.0).map_err(|error| read_error(path, &error))?;
    if skipped.n_bytes < from.0 {
        return Err(shorter(path, skipped.n_bytes, from));
    }
    Ok(Some(skipped.preamble))
}

fn shorter(path: &Path, n_bytes: u64, from: Position) -> Error {
    Error::invalid(format!(
        "file `{}` has {n_bytes} bytes, but {} were read before: it is not the file that was read",
        path.display(),
        from.0
    ))
    .hint("bring the file back, or start the pipeline afresh")
}
