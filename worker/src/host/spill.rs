//! State that does not fit into a task's memory, as files without a name in a local folder.
//!
//! One file per call, with the parts one after the other, each an Arrow IPC stream in zstd. A file has no name, so the system removes it
//! with its last handle, and after a SIGKILL too. What is in it can be rebuilt from the log: a read that fails restarts the task.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use davy_engine::metrics::Metrics;
use davy_engine::operator::spill::{Spill, SpilledParts};
use davy_engine::{Error, Result};

/// The fastest level: the disk is rarely the limit.
const ZSTD_LEVEL: i32 = 1;

#[derive(Debug)]
pub(super) struct DiskSpill {
    folder: PathBuf,
    metrics: Arc<Metrics>,
}

/// Where a part is in its file.
#[derive(Clone, Copy, Debug)]
struct Extent {
    begin: u64,
    n_bytes: u64,
}

#[derive(Debug)]
struct SpilledFile {
    folder: PathBuf,
    file: Mutex<File>,
    parts: Vec<Extent>,
    n_bytes: u64,
    metrics: Arc<Metrics>,
}

impl DiskSpill {
    pub(super) fn new(folder: &Path, metrics: Arc<Metrics>) -> Self {
        Self { folder: folder.to_owned(), metrics }
    }
}

fn unavailable(folder: &Path, doing: &str, error: impl std::fmt::Display) -> Error {
    let folder = folder.display();
    Error::Unavailable(format!(
        "cannot {doing} state that does not fit into memory in the folder `{folder}`: {error}; make room there, name another \
         folder with --spill-dir, or raise SET memory"
    ))
}

impl Spill for DiskSpill {
    fn write(&self, parts: &mut dyn Iterator<Item = Result<RecordBatch>>) -> Result<Arc<dyn SpilledParts>> {
        let failed = |error: &dyn std::fmt::Display| unavailable(&self.folder, "write", error);
        let mut file = tempfile::tempfile_in(&self.folder).map_err(|error| failed(&error))?;
        let mut extents = Vec::new();
        let mut begin = 0;
        for part in parts {
            write_batch(&mut file, &part?).map_err(|error| failed(&error))?;
            let end = file.stream_position().map_err(|error| failed(&error))?;
            extents.push(Extent { begin, n_bytes: end - begin });
            begin = end;
        }
        self.metrics.spilled_bytes.inc_by(begin);
        self.metrics.spill_files_bytes.add(begin as i64);
        let (folder, metrics) = (self.folder.clone(), Arc::clone(&self.metrics));
        Ok(Arc::new(SpilledFile { folder, file: Mutex::new(file), parts: extents, n_bytes: begin, metrics }))
    }
}

fn write_batch(file: &mut File, batch: &RecordBatch) -> Result<(), ArrowError> {
    let encoder = zstd::Encoder::new(file, ZSTD_LEVEL)?;
    let mut writer = StreamWriter::try_new(encoder, batch.schema_ref())?;
    writer.write(batch)?;
    writer.finish()?;
    writer.into_inner()?.finish()?.flush()?;
    Ok(())
}

impl SpilledParts for SpilledFile {
    fn read(&self, part: usize) -> Result<RecordBatch> {
        let extent = self.parts.get(part).copied();
        let extent = extent.ok_or_else(|| Error::internal(format!("no part {part} was spilled")))?;
        // Every read begins with a seek, so a panic in another one leaves nothing half done.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        read_batch(&mut file, extent).map_err(|error| unavailable(&self.folder, "read", error))
    }
}

fn read_batch(file: &mut File, extent: Extent) -> Result<RecordBatch, ArrowError> {
    file.seek(SeekFrom::Start(extent.begin))?;
    let decoder = zstd::Decoder::new(BufReader::new(file.take(extent.n_bytes)))?;
    let batch = StreamReader::try_new(decoder, None)?.next();
    batch.unwrap_or_else(|| Err(ArrowError::IpcError("it is empty".to_owned())))
}

impl Drop for SpilledFile {
    fn drop(&mut self) {
        self.metrics.spill_files_bytes.sub(self.n_bytes as i64);
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, ListArray, StringArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn batch(first: i64) -> RecordBatch {
        let lists =
            ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(first), None]), None, Some(vec![])]);
        let columns: [(&str, ArrayRef); 3] = [
            ("key", Arc::new(StringArray::from(vec![Some("10.0.0.1"), None, Some("")]))),
            ("n", Arc::new(Int64Array::from(vec![first, i64::MIN, i64::MAX]))),
            ("list", Arc::new(lists)),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).expect("a batch")
    }

    #[test]
    fn parts_come_back_in_any_order_and_the_file_goes_with_its_handle() {
        let folder = tempfile::tempdir().expect("a folder");
        let metrics = Arc::new(Metrics::default());
        let spill = DiskSpill::new(folder.path(), Arc::clone(&metrics));
        let parts = [batch(1), batch(2).slice(1, 2), batch(3)];
        let spilled = spill.write(&mut parts.iter().cloned().map(Ok)).expect("room");
        for part in [2, 0, 1, 0] {
            assert_eq!(spilled.read(part).expect("readable"), parts[part], "part {part}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "no name that could stay behind");
        assert_eq!(metrics.spill_files_bytes.get() as u64, metrics.spilled_bytes.get());
        drop(spilled);
        assert_eq!(metrics.spill_files_bytes.get(), 0);
    }

    #[test]
    fn a_folder_that_is_away_is_named_with_the_remedy() {
        let spill = DiskSpill::new(Path::new("/no/such/folder"), Arc::default());
        let error = spill.write(&mut std::iter::once(Ok(batch(1)))).expect_err("no folder");
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        for part in ["/no/such/folder", "--spill-dir", "No such file"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
