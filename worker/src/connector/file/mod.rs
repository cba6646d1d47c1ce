//! `single_file`: one file, read or written; `path = '-'` reads the standard input.
//!
//! Reading is bounded and has one split, named by the path. Writing goes to a hidden file beside the target, which takes
//! the target's name and folder at the end: readers see all rows or none. A stream that never ends therefore wants
//! `filesystem`, whose files roll.

mod batches;
mod read;
mod sink;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::SchemaRef;
use davy_engine::connector::{OverKafka, Share, Table, TableRequest, Writers};
use davy_engine::format::{Format, Framing};
use davy_engine::log::{Sink, Source, SplitId};
use davy_engine::options::Options;
use davy_engine::{Error, Result};

use super::Role;
use super::splits::{OpenSplit, Sequential, SplitReader, shared};
pub(super) use read::{FileInput, reads_bytes};
pub(super) use write::{Leftover, OutputFile, check_types, folder_of};

/// Large enough that a read's cost vanishes, small enough for a cache and a queue.
const PIECE_BYTES_DEFAULT: u64 = 4 << 20;

/// The name of the standard input.
const STDIN: &str = "-";

pub(super) fn table(request: &TableRequest<'_>, options: &mut Options) -> Result<Arc<dyn Table>> {
    let path = PathBuf::from(options.require("path")?);
    let role = Role::take(options)?;
    let piece_bytes = take_piece_bytes(options)?;
    let format = format_of(request, &path)?;
    let framing = format.clone().in_files().framing(request.columns.len());
    let name = request.name.to_owned();
    let table = SingleFile { name, path, role, format, piece_bytes, framing, is_open: Arc::default() };
    table.check()?;
    Ok(Arc::new(table))
}

/// Option `read_bytes`: how much is read at once.
pub(super) fn take_piece_bytes(options: &mut Options) -> Result<usize> {
    let bytes = options.parse_bytes("read_bytes")?.unwrap_or(PIECE_BYTES_DEFAULT);
    match usize::try_from(bytes) {
        Ok(bytes) if bytes > 0 && bytes <= super::lines::LINE_BYTES_MAX => Ok(bytes),
        _ => Err(options.bad_value("read_bytes", &bytes.to_string(), "a size from 1 byte to 64MiB")),
    }
}

/// The format option, else the format that the extension implies.
pub(super) fn format_of(request: &TableRequest<'_>, path: &Path) -> Result<Format> {
    if let Some(format) = request.format {
        return Ok(format.clone());
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("parquet") => Ok(Format::Parquet),
        Some("arrow") => Ok(Format::Arrow),
        _ => Err(Error::invalid(format!("table `{}`: option `format` is missing", request.name))
            .hint("add `format = 'csv'`, or 'json', 'raw_string', 'arrow' or 'parquet', to WITH")),
    }
}

/// A table over one file.
#[derive(Debug)]
struct SingleFile {
    name: String,
    path: PathBuf,
    role: Role,
    format: Format,
    piece_bytes: usize,
    framing: Framing,
    /// Set while the sink, or the standard input, is open: neither can be shared.
    is_open: Arc<AtomicBool>,
}

impl SingleFile {
    fn is_stdin(&self) -> bool {
        self.path == Path::new(STDIN)
    }

    fn check(&self) -> Result<()> {
        let (name, path) = (&self.name, self.path.display());
        if self.is_stdin() {
            return self.check_stdin();
        }
        if self.path.is_dir() {
            return Err(Error::invalid(format!("table `{name}`: `{path}` is a directory"))
                .hint("use `connector = 'filesystem'` for a directory"));
        }
        if self.role == Role::Source && !self.path.exists() {
            return Err(self.missing());
        }
        let folder = write::folder_of(&self.path);
        if !self.path.exists() && !folder.is_dir() {
            return Err(Error::invalid(format!("table `{name}`: folder `{}` does not exist", folder.display()))
                .hint("create the folder, or correct `path`"));
        }
        Ok(())
    }

    fn check_stdin(&self) -> Result<()> {
        if self.role == Role::Sink {
            return Err(Error::invalid(format!("table `{}`: `path = '-'` can only be read", self.name))
                .hint("use `connector = 'stdout'` to write to the standard output"));
        }
        if !reads_bytes(&self.format) {
            return Err(Error::invalid(format!("table `{}`: the standard input has lines, not files", self.name))
                .hint("use `format = 'csv'`, 'json' or 'raw_string'"));
        }
        Ok(())
    }

    fn missing(&self) -> Error {
        Error::invalid(format!("table `{}`: file `{}` does not exist", self.name, self.path.display()))
            .hint("correct `path`; a relative path counts from the folder that davy runs in")
    }

    fn opener(&self, schema: &SchemaRef) -> OpenSplit {
        let input = FileInput {
            format: self.format.clone(),
            schema: schema.clone(),
            piece_bytes: self.piece_bytes,
            framing: self.framing,
        };
        if !self.is_stdin() {
            let path = self.path.clone();
            return Box::new(move |_, from| input.open(&path, from));
        }
        let is_open = self.is_open.clone();
        Box::new(move |_, from| -> Result<Box<dyn SplitReader>> {
            if is_open.swap(true, Ordering::SeqCst) {
                return Err(Error::invalid("the standard input can be read once, by one table")
                    .hint("write it to a file first"));
            }
            input.open_stdin(from)
        })
    }
}

impl Table for SingleFile {
    fn is_source(&self) -> bool {
        self.role.is_source()
    }

    fn is_sink(&self) -> bool {
        self.role.is_sink() && !self.is_stdin()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn reads_bytes(&self) -> bool {
        reads_bytes(&self.format)
    }

    fn reads_files(&self) -> bool {
        true
    }

    fn source(&self, schema: &SchemaRef, share: Share) -> Result<Box<dyn Source>> {
        if !self.is_stdin() && !self.path.exists() {
            return Err(self.missing());
        }
        let split = SplitId::from(self.path.to_string_lossy().as_ref());
        Ok(Box::new(Sequential::new(shared([split], share), self.opener(schema))))
    }

    fn check_sink(&self, schema: &SchemaRef) -> Result<()> {
        check_types(&self.format, schema)
    }

    fn sink(&self, schema: &SchemaRef) -> Result<Box<dyn Sink>> {
        let sink = sink::FileSink::open(&self.path, &self.format, schema, self.is_open.clone())?;
        Ok(Box::new(sink))
    }

    fn over_kafka(&self, _writers: Writers) -> Result<OverKafka> {
        Err(Error::invalid(format!(
            "table `{}`: `single_file` appears when its input has ended, and a topic never ends",
            self.name
        ))
        .hint("use `connector = 'filesystem'` with a folder as `path`: its files appear as they get full"))
    }
}
