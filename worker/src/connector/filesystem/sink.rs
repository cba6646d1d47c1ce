//! Writes the files of a run that begins at the start of its input: a file is hidden while it grows and appears, whole, when it is full.
//!
//! A file ends at a commit, never within one, so that the rows of one commit are in one file; it may therefore be larger
//! than the limits by one commit. What was not published when the run ends with an error is removed, since the next run writes it again.

use crate::clock;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use davy_engine::Result;
use davy_engine::format::Format;
use davy_engine::log::Sink;
use davy_engine::options::Options;

use crate::connector::compression::Compression;
use crate::connector::file::{Leftover, OutputFile};
use crate::connector::write_error;

/// When a file is full: whatever comes first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rollover {
    rows: u64,
    bytes: u64,
    interval: Duration,
}

impl Rollover {
    /// A day's archive of a busy exporter should be hundreds of files, not millions.
    const DEFAULT: Self = Self { rows: 10_000_000, bytes: 256 << 20, interval: Duration::from_secs(300) };

    /// Options `rollover_rows`, `rollover_bytes` (before compression) and `rollover_interval` (by the wall clock).
    pub(super) fn take(options: &mut Options) -> Result<Self> {
        let default = Self::DEFAULT;
        Ok(Self {
            rows: options.parse("rollover_rows", "a number of rows")?.unwrap_or(default.rows),
            bytes: options.parse_bytes("rollover_bytes")?.unwrap_or(default.bytes),
            interval: options.parse_duration("rollover_interval")?.unwrap_or(default.interval),
        })
    }

    pub(super) fn is_due(&self, n_rows: u64, n_bytes: u64, age: Duration) -> bool {
        self.rows <= n_rows || self.bytes <= n_bytes || self.interval <= age
    }
}

/// Names files `part-<task>-<number>`; a dot before the name hides those that are being written.
#[derive(Clone, Debug)]
pub(super) struct Naming {
    pub(super) folder: PathBuf,
    pub(super) task: usize,
    pub(super) extension: String,
}

impl Naming {
    fn visible(&self, sequence: u64) -> PathBuf {
        self.folder.join(format!("part-{:03}-{sequence:06}.{}", self.task, self.extension))
    }

    fn hidden(&self, sequence: u64) -> PathBuf {
        self.folder.join(format!(".part-{:03}-{sequence:06}.{}.tmp", self.task, self.extension))
    }
}

pub(super) struct FilesSink {
    naming: Naming,
    rollover: Rollover,
    format: Format,
    schema: SchemaRef,
    compression: Compression,
    sequence: u64,
    staged: Vec<RecordBatch>,
    growing: Option<(OutputFile, Instant)>,
}

impl FilesSink {
    /// Makes the folder where it is missing; files appear with their first rows.
    pub(super) fn open(
        naming: Naming,
        rollover: Rollover,
        format: Format,
        schema: SchemaRef,
        compression: Compression,
    ) -> Result<Self> {
        fs::create_dir_all(&naming.folder).map_err(|error| write_error(&naming.folder, error))?;
        let (sequence, staged, growing) = (0, Vec::new(), None);
        Ok(Self { naming, rollover, format, schema, compression, sequence, staged, growing })
    }

    /// Begins a file under the next free name.
    ///
    /// The hidden file is the claim to the visible name: it is only ever created new, so that neither another process nor
    /// the leftover of a killed one is written over.
    fn begin(&mut self) -> Result<OutputFile> {
        loop {
            let (visible, hidden) = (self.naming.visible(self.sequence), self.naming.hidden(self.sequence));
            if !visible.exists() {
                let leftover = Leftover::Keep;
                let file = OutputFile::create(&hidden, leftover, &self.format, &self.schema, self.compression)?;
                match file {
                    // Published by another process between the look and the claim.
                    Some(_) if visible.exists() => {}
                    Some(file) => return Ok(file),
                    None => {}
                }
            }
            self.sequence += 1;
        }
    }

    fn publish(&mut self, file: OutputFile) -> Result<()> {
        let target = self.naming.visible(self.sequence);
        self.sequence += 1;
        file.publish(&target)
    }
}

impl Sink for FilesSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() > 0 {
            self.staged.push(batch.clone());
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        let growing = self.growing.take();
        if growing.is_none() && self.staged.is_empty() {
            return Ok(());
        }
        let (mut file, since) = match growing {
            Some(growing) => growing,
            None => (self.begin()?, clock::now()),
        };
        file.write(&self.staged)?;
        self.staged.clear();
        if self.rollover.is_due(file.n_rows(), file.n_bytes(), clock::since(since)) {
            return self.publish(file);
        }
        self.growing = Some((file, since));
        Ok(())
    }

    fn abort(&mut self) -> Result<()> {
        self.staged.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        match self.growing.take() {
            Some((file, _)) => self.publish(file),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_full_at_whatever_limit_comes_first() {
        let rollover = Rollover { rows: 10, bytes: 100, interval: Duration::from_secs(60) };
        let cases = [(9, 99, 59, false), (10, 0, 0, true), (0, 100, 0, true), (0, 0, 60, true)];
        for (n_rows, n_bytes, seconds, expected) in cases {
            let age = Duration::from_secs(seconds);
            assert_eq!(rollover.is_due(n_rows, n_bytes, age), expected, "{n_rows} rows, {n_bytes} bytes, {seconds} s");
        }
    }
}
