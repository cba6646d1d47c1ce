//! Writes one file under a hidden name, in any format, and publishes it whole.

use std::fs::{self, File, OpenOptions};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::ipc::writer::FileWriter;
use davy_engine::format::{Encoder, Format};
use davy_engine::{Error, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as ParquetCompression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::connector::compression::{Compression, Compressor};
use crate::connector::write_error;

/// A file that is being written, and hidden: its name begins with a dot.
///
/// Dropped without [`OutputFile::publish`], it is removed.
pub(in crate::connector) struct OutputFile {
    hidden: PathBuf,
    /// `None` once published.
    writer: Option<Writer>,
    n_rows: u64,
}

enum Writer {
    Lines { encoder: Box<dyn Encoder>, buffer: Vec<u8>, output: Compressor, n_bytes: u64 },
    Arrow(Box<FileWriter<BufWriter<File>>>),
    Parquet(Box<ArrowWriter<File>>),
}

/// Whether a file of the same hidden name is written over (a leftover) or left alone (another writer's).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connector) enum Leftover {
    Replace,
    Keep,
}

impl OutputFile {
    /// Begins the file at the path `hidden`. `Ok(None)` when it exists and is to be kept.
    pub(in crate::connector) fn create(
        hidden: &Path,
        leftover: Leftover,
        format: &Format,
        schema: &SchemaRef,
        compression: Compression,
    ) -> Result<Option<Self>> {
        let mut options = OpenOptions::new();
        options.write(true);
        match leftover {
            Leftover::Replace => options.create(true).truncate(true),
            Leftover::Keep => options.create_new(true),
        };
        let file = match options.open(hidden) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(None),
            opened => opened.map_err(|error| write_error(hidden, error))?,
        };
        let writer = Writer::new(hidden, file, format, schema, compression);
        if writer.is_err() {
            fs::remove_file(hidden).map_err(|error| write_error(hidden, error))?;
        }
        Ok(Some(Self { hidden: hidden.to_owned(), writer: Some(writer?), n_rows: 0 }))
    }

    pub(in crate::connector) fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Bytes written so far, before compression; of arrow and parquet, about.
    pub(in crate::connector) fn n_bytes(&self) -> u64 {
        match &self.writer {
            Some(Writer::Lines { n_bytes, .. }) => *n_bytes,
            Some(Writer::Parquet(writer)) => (writer.bytes_written() + writer.in_progress_size()) as u64,
            Some(Writer::Arrow(_)) => fs::metadata(&self.hidden).map_or(0, |metadata| metadata.len()),
            None => 0,
        }
    }

    /// Adds rows and hands them to the operating system. After an error the file has an unknown end and must be dropped.
    pub(in crate::connector) fn write(&mut self, batches: &[RecordBatch]) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        for batch in batches {
            writer.write(&self.hidden, batch)?;
            self.n_rows += batch.num_rows() as u64;
        }
        writer.flush(&self.hidden)
    }

    /// Closes the file and brings it to the disk, still hidden; returns its length. After an error it is removed.
    pub(in crate::connector) fn close(mut self) -> Result<u64> {
        let Some(writer) = self.writer.take() else { return Ok(0) };
        let closed = writer.close(&self.hidden).and_then(|file| {
            let synced = file.sync_all().and_then(|()| file.metadata());
            Ok(synced.map_err(|error| write_error(&self.hidden, error))?.len())
        });
        if closed.is_err() {
            remove(&self.hidden);
        }
        closed
    }

    /// Closes the file and gives it the name `target`, in one step.
    pub(in crate::connector) fn publish(self, target: &Path) -> Result<()> {
        let hidden = self.hidden.clone();
        self.close()?;
        let published = fs::rename(&hidden, target).map_err(|error| write_error(target, error));
        if published.is_err() {
            remove(&hidden);
        }
        published
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            remove(&self.hidden);
        }
    }
}

fn remove(hidden: &Path) {
    if let Err(error) = fs::remove_file(hidden) {
        tracing::warn!(path = %hidden.display(), %error, "cannot remove an unfinished file");
    }
}

impl Writer {
    fn new(path: &Path, file: File, format: &Format, schema: &SchemaRef, compression: Compression) -> Result<Self> {
        Ok(match format {
            Format::Arrow => {
                let writer = FileWriter::try_new_buffered(file, schema).map_err(|error| write_error(path, error))?;
                Self::Arrow(Box::new(writer))
            }
            Format::Parquet => {
                let properties =
                    WriterProperties::builder().set_compression(ParquetCompression::ZSTD(ZstdLevel::default())).build();
                let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties));
                Self::Parquet(Box::new(writer.map_err(|error| write_error(path, error))?))
            }
            _ => Self::Lines {
                encoder: format.encoder(schema)?,
                buffer: Vec::new(),
                output: compression.writer(file).map_err(|error| write_error(path, error))?,
                n_bytes: 0,
            },
        })
    }

    fn write(&mut self, path: &Path, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Lines { encoder, buffer, output, n_bytes } => {
                buffer.clear();
                encoder.encode(batch, buffer)?;
                *n_bytes += buffer.len() as u64;
                output.write_all(buffer).map_err(|error| write_error(path, error))
            }
            Self::Arrow(writer) => writer.write(batch).map_err(|error| write_error(path, error)),
            Self::Parquet(writer) => writer.write(batch).map_err(|error| write_error(path, error)),
        }
    }

    fn flush(&mut self, path: &Path) -> Result<()> {
        match self {
            Self::Lines { output, .. } => output.flush().map_err(|error| write_error(path, error)),
            Self::Arrow(writer) => writer.flush().map_err(|error| write_error(path, error)),
            // A flush would end the row group; small row groups make large, slow files.
            Self::Parquet(_) => Ok(()),
        }
    }

    fn close(self, path: &Path) -> Result<File> {
        match self {
            Self::Lines { output, .. } => output.finish().map_err(|error| write_error(path, error)),
            Self::Arrow(writer) => {
                let buffered = writer.into_inner().map_err(|error| write_error(path, error))?;
                buffered.into_inner().map_err(|error| write_error(path, error.error()))
            }
            Self::Parquet(writer) => writer.into_inner().map_err(|error| write_error(path, error)),
        }
    }
}

/// Whether a format holds columns of these types; an error names the column that it does not.
pub(in crate::connector) fn check_types(format: &Format, schema: &SchemaRef) -> Result<()> {
    match format {
        Format::Arrow => Ok(()),
        Format::Parquet => schema.fields().iter().try_for_each(check_parquet),
        Format::Csv(_) | Format::Json(_) | Format::RawString(_) => format.encoder(schema).map(drop),
    }
}

/// Writes a null of the type into memory: only the writer knows what it takes.
fn check_parquet(field: &FieldRef) -> Result<()> {
    let nullable = Arc::new(Schema::new(vec![field.as_ref().clone().with_nullable(true)]));
    let write = || -> std::result::Result<(), ParquetError> {
        let batch = RecordBatch::try_new(Arc::clone(&nullable), vec![new_null_array(field.data_type(), 1)])?;
        let mut writer = ArrowWriter::try_new(Vec::new(), nullable, None)?;
        writer.write(&batch)?;
        writer.close().map(drop)
    };
    write().map_err(|_| {
        Error::invalid(format!("column `{}`: Parquet cannot hold {}", field.name(), field.data_type()))
            .hint("cast it to TEXT in the query")
    })
}

/// The folder that a path is in.
pub(in crate::connector) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
