//! Rows of a script, kept for a command that works with them. Ctrl-C ends such a command at once: half of the rows would be a wrong result.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use davy_engine::Result;
use davy_engine::log::Sink;
use davy_engine::metrics::Metrics;
use davy_engine::plan::{Pipeline, RESULTS, SinkPlan};
use davy_worker::host::{self, HostOptions};

type Rows = Arc<Mutex<Vec<RecordBatch>>>;

/// Runs a pipeline to the end of its input; the rows of its SELECT.
pub(crate) fn rows(pipeline: Pipeline) -> Result<Vec<RecordBatch>> {
    Ok(run(pipeline)?.remove(RESULTS).unwrap_or_default())
}

/// The same with the rows of every table that it writes to, which are not written.
pub(crate) fn all_rows(mut pipeline: Pipeline) -> Result<BTreeMap<String, Vec<RecordBatch>>> {
    pipeline.sinks.iter_mut().for_each(|sink| sink.table = None);
    run(pipeline)
}

fn run(pipeline: Pipeline) -> Result<BTreeMap<String, Vec<RecordBatch>>> {
    let kept: Mutex<BTreeMap<String, Rows>> = Mutex::default();
    let open = |plan: &SinkPlan| {
        let rows = Rows::default();
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(plan.name.to_string(), Arc::clone(&rows));
        Ok(Box::new(Keep { staged: Vec::new(), kept: rows }) as Box<dyn Sink>)
    };
    host::run(pipeline, open, HostOptions::default(), Arc::new(Metrics::default()), Arc::default())?;
    let kept = kept.into_inner().unwrap_or_else(PoisonError::into_inner);
    let take = |rows: Rows| std::mem::take(&mut *rows.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(kept.into_iter().map(|(name, rows)| (name, take(rows))).collect())
}

/// Keeps what is committed.
struct Keep {
    staged: Vec<RecordBatch>,
    kept: Rows,
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
