//! A hidden file of lines that grows from commit to commit.
//!
//! Compressed, each commit is a gzip member or a zstd frame of its own, so that the file is whole wherever a commit ends.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use davy_engine::format::Encoder;
use davy_engine::{Error, Result};

use crate::connector::compression::Compression;
use crate::connector::write_error;
use crate::{clock, probe};

pub(super) struct LineFile {
    path: PathBuf,
    file: File,
    encoder: Box<dyn Encoder>,
    compression: Compression,
    since: Instant,
    /// Bytes that are on the disk.
    length: u64,
    n_rows: u64,
    /// Before compression.
    n_bytes: u64,
}

impl LineFile {
    /// Begins the file; a leftover of this owner is written over.
    pub(super) fn create(path: PathBuf, encoder: Box<dyn Encoder>, compression: Compression) -> Result<Self> {
        let opened = OpenOptions::new().write(true).create(true).truncate(true).open(&path);
        let file = opened.map_err(|error| write_error(&path, error))?;
        let (length, n_rows, n_bytes) = (0, 0, 0);
        Ok(Self { path, file, encoder, compression, since: clock::now(), length, n_rows, n_bytes })
    }

    /// Adds the rows of a commit, and waits until they are on the disk.
    pub(super) fn append(&mut self, batches: &[RecordBatch]) -> Result<()> {
        let mut lines = Vec::new();
        for batch in batches {
            self.encoder.encode(batch, &mut lines)?;
            self.n_rows += batch.num_rows() as u64;
        }
        self.check_unchanged()?;
        self.n_bytes += lines.len() as u64;
        let written = self.compression.member(lines).and_then(|bytes| {
            let (first, second) = bytes.split_at(bytes.len() / 2);
            self.file.write_all(first)?;
            probe::reached("during_file_write");
            self.file.write_all(second)?;
            self.file.sync_data()?;
            Ok(bytes.len() as u64)
        });
        self.length += written.map_err(|error| write_error(&self.path, error))?;
        Ok(())
    }

    /// Refuses to go on in a file from which committed rows are gone.
    fn check_unchanged(&self) -> Result<()> {
        let ours = self.file.metadata().map_err(|error| write_error(&self.path, error))?;
        let found = match std::fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (ours.dev(), ours.ino()) => Some(found.len()),
            Ok(_) => None,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(write_error(&self.path, error)),
        };
        if found == Some(self.length) { Ok(()) } else { Err(changed(&self.path, self.length, found)) }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn n_rows(&self) -> u64 {
        self.n_rows
    }

    pub(super) fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    pub(super) fn age(&self) -> Duration {
        clock::since(self.since)
    }
}

/// A file that another program has deleted or changed; `found` is its length, if it is there.
pub(super) fn changed(path: &std::path::Path, committed: u64, found: Option<u64>) -> Error {
    let what = match found {
        None => "was deleted".to_owned(),
        Some(found) if found < committed => format!("was shortened to {found} bytes"),
        Some(found) => format!("has {found} bytes"),
    };
    Error::invalid(format!("file `{}` {what}, but {committed} bytes of it are committed", path.display()))
        .hint("put it back as it was, or start fresh under another name; leave files that begin with a dot alone")
}
