//! Rows of a script's SELECT, kept for a command that works with them.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use davy_engine::Result;
use davy_engine::log::Sink;
use davy_engine::metrics::Metrics;
use davy_engine::plan::Pipeline;
use davy_worker::host::{self, HostOptions};

/// Runs a pipeline until its input ends or `stop` becomes true; the rows of its SELECT.
pub(crate) fn rows(pipeline: Pipeline, stop: Arc<AtomicBool>) -> Result<Vec<RecordBatch>> {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let open = |_: &_| Ok(Box::new(Keep { staged: Vec::new(), kept: Arc::clone(&kept) }) as Box<dyn Sink>);
    host::run(pipeline, open, HostOptions::default(), Arc::new(Metrics::default()), stop)?;
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *kept))
}

/// Keeps what is committed.
struct Keep {
    staged: Vec<RecordBatch>,
    kept: Arc<Mutex<Vec<RecordBatch>>>,
}

impl Sink for Keep {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.staged.push(batch.clone());
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).append(&mut self.staged);
        Ok(())
    }

    fn abort(&mut self) -> Result<()> {
        self.staged.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
