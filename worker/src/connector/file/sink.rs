//! Writes one file; it appears when everything is written.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use davy_engine::format::Format;
use davy_engine::log::Sink;
use davy_engine::{Error, Result};

use super::write::{Leftover, OutputFile, folder_of};
use crate::connector::compression::Compression;

pub(super) struct FileSink {
    target: PathBuf,
    staged: Vec<RecordBatch>,
    /// `None` after `finish`, or after a failed write.
    file: Option<OutputFile>,
    _open: OpenFlag,
}

/// Clears the flag when the sink is dropped.
struct OpenFlag(Arc<AtomicBool>);

impl Drop for OpenFlag {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl FileSink {
    /// Begins `.<name>.part` beside `target`; `is_open` is set until the sink is dropped.
    pub(super) fn open(target: &Path, format: &Format, schema: &SchemaRef, is_open: Arc<AtomicBool>) -> Result<Self> {
        if is_open.swap(true, Ordering::SeqCst) {
            let message = format!("file `{}` can be written by one task only", target.display());
            return Err(Error::invalid(message).hint("use `connector = 'filesystem'`, which writes a file per task"));
        }
        let open = OpenFlag(is_open);
        let hidden = hidden_name(target)?;
        let compression = Compression::of(target);
        let file = OutputFile::create(&hidden, Leftover::Replace, format, schema, compression)?;
        Ok(Self { target: target.to_owned(), staged: Vec::new(), file, _open: open })
    }

    fn gone(&self) -> Error {
        let message =
            format!("`{}` was given up after a failed write; start the pipeline afresh", self.target.display());
        Error::Unavailable(message)
    }
}

fn hidden_name(target: &Path) -> Result<PathBuf> {
    let Some(name) = target.file_name() else {
        return Err(Error::invalid(format!("`{}` does not name a file", target.display())));
    };
    Ok(folder_of(target).join(format!(".{}.part", name.to_string_lossy())))
}

impl Sink for FileSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.staged.push(batch.clone());
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        let Some(mut file) = self.file.take() else { return Err(self.gone()) };
        file.write(&self.staged)?;
        self.staged.clear();
        self.file = Some(file);
        Ok(())
    }

    fn abort(&mut self) -> Result<()> {
        self.staged.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let Some(file) = self.file.take() else { return Err(self.gone()) };
        file.publish(&self.target)
    }
}
