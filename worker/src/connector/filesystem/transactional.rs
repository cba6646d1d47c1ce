//! Files of one task over Kafka: exactly once, with the task's transactions.
//!
//! `prepare` writes rows into a hidden file and flushes it to the disk, with its folder; the transaction carries the file's number and
//! length; `publish` renames a file that is closed. Lines are appended to one file from commit to commit until it is full; a Parquet
//! or Arrow file is complete only at its end, so it ends with each commit. A new owner ends the open file of the last one (see
//! [`super::decide`]) and begins another.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use davy_engine::format::Format;
use davy_engine::log::sink_state::{CommittedFile, SinkState};
use davy_engine::log::transactions::{Closing, TransactionalSink};
use davy_engine::{Error, Result};

use super::decide::{Lengths, Step, decide};
use super::lines::{LineFile, changed};
use super::names::{Hidden, Names};
use super::sink::Rollover;
use crate::connector::compression::Compression;
use crate::connector::file::{Leftover, OutputFile, reads_bytes};
use crate::connector::write_error;
use crate::probe;

/// How files are written.
pub(super) struct Writing {
    pub(super) names: Names,
    pub(super) rollover: Rollover,
    pub(super) format: Format,
    pub(super) schema: SchemaRef,
    pub(super) compression: Compression,
    pub(super) owner: u64,
}

pub(super) struct TransactionalFiles {
    writing: Writing,
    /// As of the last `recover`, `prepare` or `publish`.
    state: SinkState,
    open: Option<LineFile>,
    /// Whether hidden files that earlier owners left have been removed.
    is_clean: bool,
}

impl TransactionalFiles {
    /// `id` is that of the files of a task that has none yet.
    pub(super) fn new(writing: Writing, target: u32, id: u64) -> Self {
        let state = SinkState { target, generation: 1, sequence: 0, file: None, id };
        Self { writing, state, open: None, is_clean: false }
    }

    fn next_hidden(&self) -> Hidden {
        Hidden { sequence: self.state.sequence, generation: self.state.generation, owner: self.writing.owner }
    }

    /// Does what was decided on the file of the last commit. The file that it leaves is closed, or there is none.
    fn finish_last(&mut self, committed: SinkState) -> Result<()> {
        let names = &self.writing.names;
        self.state = SinkState { generation: committed.generation + 1, ..committed };
        let Some(file) = committed.file else { return Ok(()) };
        let CommittedFile { generation, owner, length, .. } = file;
        let hidden = names.hidden(committed.id, Hidden { sequence: committed.sequence, generation, owner });
        let visible = names.visible(committed.id, committed.sequence);
        let found = Lengths { hidden: length_of(&hidden)?, visible: length_of(&visible)? };
        match decide(Some(file), found, self.writing.owner) {
            Step::Publish => {}
            Step::Nothing => {
                self.state.file = None;
                self.state.sequence += 1;
            }
            Step::Cut => {
                cut(&hidden, length).map_err(|error| write_error(&hidden, error))?;
                self.state.file = Some(CommittedFile { is_closed: true, ..file });
            }
            Step::Copy => {
                let own = self.next_hidden();
                let target = names.hidden(committed.id, own);
                copy(&hidden, &target, length).map_err(|error| write_error(&target, error))?;
                sync_folder(&names.folder)?;
                let (generation, owner) = (own.generation, own.owner);
                self.state.file = Some(CommittedFile { is_closed: true, length, generation, owner });
            }
            Step::Refuse(found_length) => {
                let path = if found.hidden.is_none() && file.is_closed { &visible } else { &hidden };
                return Err(changed(path, length, found_length));
            }
        }
        Ok(())
    }

    /// Appends rows to the open file, or to a new one.
    fn append(&mut self, rows: &[RecordBatch], closing: Closing) -> Result<()> {
        let is_new = self.open.is_none();
        let mut file = match self.open.take() {
            Some(file) => file,
            None if rows.is_empty() => return Ok(()),
            None => {
                let path = self.writing.names.hidden(self.state.id, self.next_hidden());
                let encoder = self.writing.format.encoder(&self.writing.schema)?;
                LineFile::create(path, encoder, self.writing.compression)?
            }
        };
        if !rows.is_empty() {
            file.append(rows)?;
        }
        if is_new {
            sync_folder(&self.writing.names.folder)?;
        }
        let is_full = self.writing.rollover.is_due(file.n_rows(), file.n_bytes(), file.age());
        let is_closed = is_full || closing == Closing::Now;
        let (generation, owner) = (self.state.generation, self.writing.owner);
        self.state.file = Some(CommittedFile { is_closed, length: file.length(), generation, owner });
        if !is_closed {
            self.open = Some(file);
        }
        Ok(())
    }

    /// Writes rows as a file of their own.
    fn write_whole(&mut self, rows: &[RecordBatch]) -> Result<()> {
        let Writing { names, format, schema, compression, .. } = &self.writing;
        let own = self.next_hidden();
        let path = names.hidden(self.state.id, own);
        let created = OutputFile::create(&path, Leftover::Replace, format, schema, *compression)?;
        let mut file = created.ok_or_else(|| Error::internal("a leftover was kept"))?;
        file.write(rows)?;
        probe::reached("during_file_write");
        let length = file.close()?;
        sync_folder(&names.folder)?;
        let (generation, owner) = (own.generation, own.owner);
        self.state.file = Some(CommittedFile { is_closed: true, length, generation, owner });
        Ok(())
    }

    /// Removes hidden files that no commit refers to: those of owners that can no longer commit, and own leftovers.
    fn clean(&self) -> Result<()> {
        let Writing { names, owner, .. } = &self.writing;
        let failed = |error| write_error(&names.folder, error);
        for entry in fs::read_dir(&names.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let Some(hidden) = name.to_str().and_then(|name| names.parse(self.state.id, name)) else { continue };
            let is_own = hidden.generation == self.state.generation && hidden.owner == *owner;
            if is_own || hidden.generation < self.state.generation {
                match fs::remove_file(names.folder.join(&name)) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
                    _ => tracing::info!(file = ?name, "removed a file that was not committed"),
                }
            }
        }
        Ok(())
    }
}

impl TransactionalSink for TransactionalFiles {
    fn target(&self) -> u32 {
        self.state.target
    }

    fn recover(&mut self, committed: Option<SinkState>) -> Result<SinkState> {
        make_folder(&self.writing.names.folder)?;
        if let Some(committed) = committed {
            self.finish_last(committed)?;
        }
        Ok(self.state)
    }

    fn prepare(&mut self, rows: &[RecordBatch], closing: Closing) -> Result<SinkState> {
        let rows: Vec<RecordBatch> = rows.iter().filter(|batch| 0 < batch.num_rows()).cloned().collect();
        if reads_bytes(&self.writing.format) {
            self.append(&rows, closing)?;
        } else if !rows.is_empty() {
            self.write_whole(&rows)?;
        }
        if !rows.is_empty() {
            probe::reached("after_file_sync");
        }
        Ok(self.state)
    }

    fn publish(&mut self) -> Result<()> {
        let names = &self.writing.names;
        if let Some(CommittedFile { is_closed: true, generation, owner, .. }) = self.state.file {
            let SinkState { sequence, id, .. } = self.state;
            let (hidden, visible) =
                (names.hidden(id, Hidden { sequence, generation, owner }), names.visible(id, sequence));
            match fs::rename(&hidden, &visible) {
                // Another owner that knows the same commit was faster.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                renamed => renamed.map_err(|error| write_error(&visible, error))?,
            }
            probe::reached("after_file_rename");
            sync_folder(&names.folder)?;
            self.state.file = None;
            self.state.sequence += 1;
        }
        if !self.is_clean && self.open.is_none() {
            self.clean()?;
            self.is_clean = true;
        }
        Ok(())
    }

    fn has_open_file(&self) -> bool {
        self.open.is_some()
    }
}

fn length_of(path: &Path) -> Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(write_error(path, error)),
    }
}

fn cut(path: &Path, length: u64) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    file.set_len(length)?;
    file.sync_all()
}

fn copy(from: &Path, to: &Path, length: u64) -> io::Result<()> {
    let mut target = File::create(to)?;
    let copied = io::copy(&mut File::open(from)?.take(length), &mut target)?;
    if copied != length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    target.sync_all()
}

/// Makes the folder where it is missing, and brings it to the disk.
fn make_folder(folder: &Path) -> Result<()> {
    let missing: Vec<&Path> =
        folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    fs::create_dir_all(folder).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::NotADirectory | ErrorKind::ReadOnlyFilesystem => {
            Error::invalid(format!("folder `{}` cannot be made: {error}", folder.display())).hint("correct `path`")
        }
        _ => write_error(folder, error),
    })?;
    missing.iter().rev().try_for_each(|made| sync_folder(crate::connector::file::folder_of(made)))
}

/// Makes the names in a folder survive a crash of the machine.
fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|opened| opened.sync_all()).map_err(|error| write_error(folder, error))
}
