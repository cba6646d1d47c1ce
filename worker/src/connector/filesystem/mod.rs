//! `filesystem`: many files. Reads a folder or a glob; writes files that roll.
//!
//! Read: every file is a split, in the order of their names. Written by a run over files: `part-<task>-<sequence>.<extension>`, hidden
//! until full (see [`sink`]). Written by tasks over Kafka: with their transactions (see [`transactional`]).

mod decide;
mod lines;
mod names;
pub(super) mod paths;
mod sink;
mod transactional;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::datatypes::SchemaRef;
use davy_engine::connector::{OverKafka, Share, SinkTask, Table, TableRequest, Writers};
use davy_engine::format::{Format, Framing};
use davy_engine::log::sink_state::SinkState;
use davy_engine::log::transactions::TransactionalSink;
use davy_engine::log::{Sink, Source};
use davy_engine::options::Options;
use davy_engine::{Error, Result};

use self::names::Names;
use self::sink::{FilesSink, Naming, Rollover};
use self::transactional::{TransactionalFiles, Writing};
use super::Role;
use super::compression::Compression;
use super::file::{FileInput, check_types, format_of, reads_bytes, take_piece_bytes};
use super::splits::{Sequential, shared};

pub(super) fn table(request: &TableRequest<'_>, options: &mut Options) -> Result<Arc<dyn Table>> {
    let pattern = options.require("path")?;
    let role = Role::take(options)?;
    let format = format_of(request, pattern.as_ref())?;
    let table = Filesystem {
        name: request.name.to_owned(),
        role,
        piece_bytes: take_piece_bytes(options)?,
        framing: format.clone().in_files().framing(request.columns.len()),
        rollover: Rollover::take(options)?,
        compression: take_compression(request, &format, options)?,
        is_shared: options.parse_choice("shared", &[("true", true), ("false", false)])?.unwrap_or(false),
        pattern,
        format,
        n_sinks: AtomicUsize::new(0),
    };
    table.check()?;
    Ok(Arc::new(table))
}

/// Option `compression` of files to write; of files to read, the extension decides.
fn take_compression(request: &TableRequest<'_>, format: &Format, options: &mut Options) -> Result<Compression> {
    let choices = [("none", Compression::None), ("gzip", Compression::Gzip), ("zstd", Compression::Zstd)];
    let compression = options.parse_choice("compression", &choices)?.unwrap_or(Compression::None);
    if compression != Compression::None && !reads_bytes(format) {
        return Err(Error::invalid(format!("table `{}`: option `compression` is for lines only", request.name))
            .hint("leave it out: parquet is compressed by itself, arrow is not"));
    }
    Ok(compression)
}

/// A table over many files.
#[derive(Debug)]
struct Filesystem {
    name: String,
    /// A folder or a glob.
    pattern: String,
    role: Role,
    format: Format,
    piece_bytes: usize,
    framing: Framing,
    rollover: Rollover,
    compression: Compression,
    /// Whether all workers of a cluster find the same folder under this path.
    is_shared: bool,
    /// How many sinks were opened: each has its own number in its files' names.
    n_sinks: AtomicUsize,
}

impl Filesystem {
    fn check(&self) -> Result<()> {
        if self.role == Role::Source {
            paths::list(&self.name, &self.pattern)?;
        }
        if self.role == Role::Sink && paths::is_glob(&self.pattern) {
            let message =
                format!("table `{}`: `{}` is a pattern; only a folder can be written", self.name, self.pattern);
            return Err(Error::invalid(message).hint("let `path` name a folder"));
        }
        Ok(())
    }
}

impl Table for Filesystem {
    fn is_source(&self) -> bool {
        self.role.is_source()
    }

    fn is_sink(&self) -> bool {
        self.role.is_sink() && !paths::is_glob(&self.pattern)
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
        let files = paths::list(&self.name, &self.pattern)?;
        let input = FileInput {
            format: self.format.clone(),
            schema: schema.clone(),
            piece_bytes: self.piece_bytes,
            framing: self.framing,
        };
        let open = move |split: &davy_engine::log::SplitId, from| input.open(split.0.as_ref().as_ref(), from);
        Ok(Box::new(Sequential::new(shared(files, share), Box::new(open))))
    }

    fn check_sink(&self, schema: &SchemaRef) -> Result<()> {
        check_types(&self.format, schema)
    }

    fn sink(&self, schema: &SchemaRef) -> Result<Box<dyn Sink>> {
        let task = self.n_sinks.fetch_add(1, Ordering::Relaxed);
        let naming = Naming { folder: PathBuf::from(&self.pattern), task, extension: self.extension() };
        let sink = FilesSink::open(naming, self.rollover, self.format.clone(), schema.clone(), self.compression)?;
        Ok(Box::new(sink))
    }

    fn over_kafka(&self, writers: Writers) -> Result<OverKafka> {
        if writers == Writers::Workers && !self.is_shared {
            return Err(Error::invalid(format!(
                "table `{}`: the folder `{}` may be another one on each worker, and tasks move between workers",
                self.name, self.pattern
            ))
            .hint("where all workers mount the same storage there, say `shared = 'true'`; else write into a topic"));
        }
        Ok(OverKafka::WithTransaction)
    }

    fn transactional_sink(&self, schema: &SchemaRef, task: SinkTask<'_>) -> Result<Box<dyn TransactionalSink>> {
        let extension = self.extension();
        let target = SinkState::target_of(&[&self.name, &self.pattern, &extension]);
        let mut id = DefaultHasher::new();
        (task.name, &self.name, task.owner).hash(&mut id);
        let writing = Writing {
            names: Names { folder: PathBuf::from(&self.pattern), task: task.index, extension },
            rollover: self.rollover,
            format: self.format.clone(),
            schema: schema.clone(),
            compression: self.compression,
            owner: task.owner,
        };
        Ok(Box::new(TransactionalFiles::new(writing, target, id.finish())))
    }
}

impl Filesystem {
    fn extension(&self) -> String {
        let format = match &self.format {
            Format::Csv(_) => "csv",
            Format::Json(_) => "json",
            Format::RawString(_) => "txt",
            Format::Arrow => "arrow",
            Format::Parquet => "parquet",
        };
        format!("{format}{}", self.compression.suffix())
    }
}
