//! Files that hold batches: arrow IPC (file and stream) and parquet. Positions count rows.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use davy_engine::log::{Payload, Position};
use davy_engine::{Error, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::connector::project::Projection;
use crate::connector::read_error;
use crate::connector::splits::{Piece, SplitReader};

/// What an operator is given at once, at most: writers make batches of a million rows.
const PIECE_ROWS_MAX: usize = 32 << 10;

/// How an IPC file begins; a stream does not.
const ARROW_FILE_MAGIC: &[u8] = b"ARROW1";

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// Opens an IPC file or stream at a row.
pub(super) fn open_arrow(
    path: &Path,
    file: File,
    requested: &SchemaRef,
    from: Position,
) -> Result<Box<dyn SplitReader>> {
    let (available, batches) = arrow_batches(path, file)?;
    let projection = Projection::new(origin(path), &available, requested.clone())?;
    let reader = BatchReader::new(path, projection, batches, Position(0));
    Ok(Box::new(reader.skipping(from)))
}

fn arrow_batches(path: &Path, file: File) -> Result<(SchemaRef, Batches)> {
    let mut file = BufReader::new(file);
    let mut magic = Vec::new();
    file.by_ref().take(ARROW_FILE_MAGIC.len() as u64).read_to_end(&mut magic).map_err(|e| read_error(path, &e))?;
    file.rewind().map_err(|error| read_error(path, &error))?;
    if magic == ARROW_FILE_MAGIC {
        let reader = FileReader::try_new(file, None).map_err(|error| broken(path, &error))?;
        Ok((reader.schema(), Box::new(reader)))
    } else {
        let reader = StreamReader::try_new(file, None).map_err(|error| broken(path, &error))?;
        Ok((reader.schema(), Box::new(reader)))
    }
}

/// Opens a parquet file at a row; reads the requested columns only.
pub(super) fn open_parquet(
    path: &Path,
    file: File,
    requested: &SchemaRef,
    from: Position,
) -> Result<Box<dyn SplitReader>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| broken(path, &error))?;
    let projection = Projection::new(origin(path), builder.schema(), requested.clone())?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), column_indices(builder.schema(), requested));
    let offset = usize::try_from(from.0).map_err(Error::internal)?;
    let batches = builder.with_projection(mask).with_offset(offset).build().map_err(|error| broken(path, &error))?;
    Ok(Box::new(BatchReader::new(path, projection, Box::new(batches), from)))
}

fn column_indices(available: &Schema, requested: &Schema) -> Vec<usize> {
    let is_requested = |name: &str| requested.field_with_name(name).is_ok();
    let columns = available.fields().iter().enumerate();
    columns.filter(|(_, field)| is_requested(field.name())).map(|(index, _)| index).collect()
}

fn origin(path: &Path) -> String {
    format!("file `{}`", path.display())
}

fn broken(path: &Path, error: &impl std::fmt::Display) -> Error {
    Error::invalid(format!("file `{}` is broken or of another format: {error}", path.display()))
}

/// Gives the batches of one file.
struct BatchReader {
    path: PathBuf,
    projection: Projection,
    batches: Batches,
    /// What is left of the batch at hand.
    rest: Option<RecordBatch>,
    position: u64,
    n_rows_to_skip: usize,
}

impl BatchReader {
    fn new(path: &Path, projection: Projection, batches: Batches, position: Position) -> Self {
        let (path, position) = (path.to_owned(), position.0);
        Self { path, projection, batches, rest: None, position, n_rows_to_skip: 0 }
    }

    /// For files that cannot seek to a row.
    fn skipping(self, to: Position) -> Self {
        let n_rows_to_skip = usize::try_from(to.0).unwrap_or(usize::MAX);
        Self { position: to.0, n_rows_to_skip, ..self }
    }

    /// The next rows, at most [`PIECE_ROWS_MAX`]; `None` at the end.
    fn next_rows(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let batch = match self.rest.take() {
                Some(rest) => rest,
                None => match self.batches.next().transpose().map_err(|error| broken(&self.path, &error))? {
                    Some(batch) => batch,
                    None => return Ok(None),
                },
            };
            let n_skipped = self.n_rows_to_skip.min(batch.num_rows());
            self.n_rows_to_skip -= n_skipped;
            let n_left = batch.num_rows() - n_skipped;
            if n_left == 0 {
                continue;
            }
            let n_rows = n_left.min(PIECE_ROWS_MAX);
            if n_rows < n_left {
                self.rest = Some(batch.slice(n_skipped + n_rows, n_left - n_rows));
            }
            return Ok(Some(batch.slice(n_skipped, n_rows)));
        }
    }
}

impl SplitReader for BatchReader {
    fn next(&mut self) -> Result<Option<Piece>> {
        let rows = self.next_rows()?;
        let batch = match &rows {
            Some(rows) => self.projection.apply(rows)?,
            None => RecordBatch::new_empty(self.projection.schema().clone()),
        };
        let start = Position(self.position);
        self.position += batch.num_rows() as u64;
        let (next, end_of_split) = (Position(self.position), rows.is_none());
        Ok(Some(Piece { start, next, preamble: None, payload: Payload::Batch(batch), end_of_split }))
    }
}
