//! The sinks that are no topics: those that are written outside of transactions, by table, shared by the tasks of a run; and those of one
//! task over Kafka, which are written with its transactions.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use davy_engine::connector::{OverKafka, SinkTask, Writers};
use davy_engine::log::sink_state::SinkState;
use davy_engine::log::transactions::{Closing, OutsideSink, TransactionalSink};
use davy_engine::log::{Sink, Unwritable};
use davy_engine::plan::{Dataflow, Pipeline, SinkPlan, Stage};
use davy_engine::task::fit_to_sink;
use davy_engine::{Error, Result};
use davy_kafka::KafkaConnection;

use super::kafka::cluster_of;
use crate::connector::kafka::{Delivery, KafkaTable};
use crate::probe;

pub(crate) struct Sinks {
    plans: HashMap<Arc<str>, SinkPlan>,
    open: HashMap<Arc<str>, Mutex<Box<dyn Sink>>>,
}

impl Sinks {
    /// Opens all but those that only transactions write to.
    pub(super) fn open(
        pipeline: &Pipeline,
        name: &Arc<str>,
        open: impl Fn(&SinkPlan) -> Result<Box<dyn Sink>>,
    ) -> Result<Self> {
        let outside = written(pipeline, |cluster| cluster.is_none())?;
        check_over_kafka(pipeline, Writers::OneProcess)?;
        let mut sinks = Self { plans: HashMap::new(), open: HashMap::new() };
        for plan in &pipeline.sinks {
            let kafka = plan.table.as_deref().and_then(KafkaTable::of);
            let sink = match (&plan.table, kafka) {
                (_, Some(table)) => {
                    let is_outside = outside.contains(&plan.name);
                    if is_outside && table.delivery() == Some(Delivery::ExactlyOnce) {
                        return Err(cannot_be_exact(&plan.name));
                    }
                    table.check_topic()?;
                    if !is_outside && table.delivery() != Some(Delivery::AtLeastOnce) {
                        sinks.plans.insert(Arc::clone(&plan.name), plan.clone());
                        continue;
                    }
                    Box::new(table.plain_sink(plan, name)?)
                }
                (Some(table), None) => {
                    // Each task opens its own, where all that write to it are over Kafka.
                    if !outside.contains(&plan.name)
                        && table.over_kafka(Writers::OneProcess)? == OverKafka::WithTransaction
                    {
                        sinks.plans.insert(Arc::clone(&plan.name), plan.clone());
                        continue;
                    }
                    table.sink(&plan.schema)?
                }
                (None, None) => open(plan)?,
            };
            sinks.plans.insert(Arc::clone(&plan.name), plan.clone());
            sinks.open.insert(Arc::clone(&plan.name), Mutex::new(sink));
        }
        Ok(sinks)
    }

    /// Checks all and opens none, for planning.
    pub(super) fn check(pipeline: &Pipeline) -> Result<Self> {
        let mut sinks = Self { plans: HashMap::new(), open: HashMap::new() };
        for plan in &pipeline.sinks {
            if let Some(table) = plan.table.as_deref().and_then(KafkaTable::of) {
                table.check_topic()?;
            }
            sinks.plans.insert(Arc::clone(&plan.name), plan.clone());
        }
        Ok(sinks)
    }

    /// What is planned of a table.
    pub(super) fn plan(&self, name: &str) -> Result<&SinkPlan> {
        self.plans.get(name).ok_or_else(|| Error::internal(format!("rows for the unknown table `{name}`")))
    }

    /// Writes rows of a table, and waits until they are there.
    pub(super) fn write(&self, name: &str, batches: &[RecordBatch]) -> Result<()> {
        let plan = self.plan(name)?;
        let sink = self.open.get(name).ok_or_else(|| Error::internal(format!("table `{name}` is not open")))?;
        let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
        // Where a batch is from may become headers, so sinks with headers fit it themselves.
        let fits_itself = plan.table.as_deref().and_then(KafkaTable::of).is_some();
        let mut write = |batch: &RecordBatch| {
            if fits_itself { sink.write(batch) } else { sink.write(&fit_to_sink(plan, batch)?) }
        };
        let written = batches.iter().try_for_each(&mut write).and_then(|()| sink.commit());
        if written.is_err()
            && let Err(error) = sink.abort()
        {
            // Without this, the rows would be written with the next commit, after the attempt that repeats them.
            tracing::warn!(table = name, %error, "cannot drop the rows of a failed commit");
        }
        written
    }

    /// The rows of a table that are longer than it takes.
    pub(super) fn unwritable(&self, name: &str, rows: &RecordBatch) -> Result<Vec<Unwritable>> {
        let Some(sink) = self.open.get(name) else { return Ok(Vec::new()) };
        sink.lock().unwrap_or_else(PoisonError::into_inner).unwritable(rows)
    }

    /// Hands rows of a table over, where its connector does so before a commit; gives those that are refused.
    pub(super) fn deliver(&self, name: &str, rows: &RecordBatch) -> Result<Option<Vec<Unwritable>>> {
        let Some(sink) = self.open.get(name) else { return Ok(None) };
        let plan = self.plan(name)?;
        let fits_itself = plan.table.as_deref().and_then(KafkaTable::of).is_some();
        if fits_itself {
            return Ok(None);
        }
        sink.lock().unwrap_or_else(PoisonError::into_inner).deliver(&fit_to_sink(plan, rows)?)
    }

    /// Closes all with their committed rows.
    pub(super) fn finish(&self) -> Result<()> {
        self.for_each(|sink| sink.finish())
    }

    /// Closes all without their staged rows.
    pub(super) fn abort(&self) -> Result<()> {
        self.for_each(|sink| sink.abort())
    }

    fn for_each(&self, close: impl Fn(&mut Box<dyn Sink>) -> Result<()>) -> Result<()> {
        for sink in self.open.values() {
            close(&mut sink.lock().unwrap_or_else(PoisonError::into_inner))?;
        }
        Ok(())
    }
}

/// The tables that are written by those dataflows whose cluster is as `is_wanted` says.
fn written(pipeline: &Pipeline, is_wanted: fn(Option<KafkaConnection>) -> bool) -> Result<HashSet<Arc<str>>> {
    let mut tables = HashSet::new();
    for dataflow in &pipeline.dataflows {
        if is_wanted(cluster_of(dataflow)?) {
            tables.extend(tables_of(dataflow));
        }
    }
    Ok(tables)
}

/// The tables that tasks over Kafka write to.
pub fn tables_over_kafka(pipeline: &Pipeline) -> Result<HashSet<Arc<str>>> {
    written(pipeline, |cluster| cluster.is_some())
}

/// Refuses tables that tasks over Kafka cannot write.
pub(crate) fn check_over_kafka(pipeline: &Pipeline, writers: Writers) -> Result<()> {
    let names = tables_over_kafka(pipeline)?;
    let written = pipeline.sinks.iter().filter(|plan| names.contains(&plan.name));
    for table in written.filter_map(|plan| plan.table.as_ref()) {
        table.over_kafka(writers)?;
    }
    Ok(())
}

fn cannot_be_exact(name: &str) -> Error {
    Error::invalid(format!(
        "table `{name}`: delivery = 'exactly_once' needs a source that keeps positions in the same Kafka"
    ))
    .hint("read from a topic of the same cluster, or say delivery = 'at_least_once'")
}

/// The tables that a dataflow writes to.
pub(super) fn tables_of(dataflow: &Dataflow) -> HashSet<Arc<str>> {
    let mut names = HashSet::from([Arc::clone(&dataflow.sink)]);
    names.extend(dataflow.stages.iter().flat_map(Stage::side_tables).cloned());
    names
}

/// One table of the shared sinks. A transaction writes to it before it begins.
pub(super) struct Shared {
    pub(super) sinks: Arc<Sinks>,
    pub(super) name: Arc<str>,
}

impl OutsideSink for Shared {
    fn write(&mut self, batches: &[RecordBatch]) -> Result<()> {
        self.sinks.write(&self.name, batches)?;
        if batches.iter().any(|batch| 0 < batch.num_rows()) {
            probe::reached("after_write_outside");
        }
        Ok(())
    }

    fn unwritable(&mut self, rows: &RecordBatch) -> Result<Vec<Unwritable>> {
        self.sinks.unwritable(&self.name, rows)
    }

    fn deliver(&mut self, rows: &RecordBatch) -> Result<Option<Vec<Unwritable>>> {
        let refused = self.sinks.deliver(&self.name, rows)?;
        if refused.is_some() && 0 < rows.num_rows() {
            probe::reached("after_write_outside");
        }
        Ok(refused)
    }
}

/// One table of one task, whose rows are made to fit it.
pub(super) struct Fitted {
    plan: SinkPlan,
    sink: Box<dyn TransactionalSink>,
}

impl Fitted {
    /// `None` where the table is not written with transactions.
    pub(super) fn open(plan: &SinkPlan, task: SinkTask<'_>) -> Result<Option<Self>> {
        let Some(table) = &plan.table else { return Ok(None) };
        Ok(match table.over_kafka(Writers::OneProcess)? {
            OverKafka::BeforeTransaction => None,
            OverKafka::WithTransaction => {
                Some(Self { plan: plan.clone(), sink: table.transactional_sink(&plan.schema, task)? })
            }
        })
    }

    /// Names the table, and says what follows.
    fn explain(&self, error: Error) -> Error {
        match error.context(&format!("table `{}`", self.plan.name)) {
            Error::Unavailable(why) => Error::Unavailable(format!(
                "{why}; nothing is committed meanwhile, and the task continues from its last commit when it can write again"
            )),
            other => other,
        }
    }
}

impl TransactionalSink for Fitted {
    fn target(&self) -> u32 {
        self.sink.target()
    }

    fn recover(&mut self, committed: Option<SinkState>) -> Result<SinkState> {
        self.sink.recover(committed).map_err(|error| self.explain(error))
    }

    fn prepare(&mut self, rows: &[RecordBatch], closing: Closing) -> Result<SinkState> {
        let rows = rows.iter().map(|batch| fit_to_sink(&self.plan, batch)).collect::<Result<Vec<_>>>()?;
        self.sink.prepare(&rows, closing).map_err(|error| self.explain(error))
    }

    fn publish(&mut self) -> Result<()> {
        self.sink.publish().map_err(|error| self.explain(error))
    }

    fn has_open_file(&self) -> bool {
        self.sink.has_open_file()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    /// Fails its first commit, and keeps what is staged unless it is dropped.
    #[derive(Default)]
    struct FailsOnce {
        n_staged: usize,
        has_failed: bool,
        written: Arc<Mutex<Vec<usize>>>,
    }

    impl Sink for FailsOnce {
        fn write(&mut self, batch: &RecordBatch) -> Result<()> {
            self.n_staged += batch.num_rows();
            Ok(())
        }

        fn commit(&mut self) -> Result<()> {
            if !std::mem::replace(&mut self.has_failed, true) {
                return Err(Error::Unavailable("not now".to_owned()));
            }
            self.written.lock().expect("no test panics with it").push(std::mem::take(&mut self.n_staged));
            Ok(())
        }

        fn abort(&mut self) -> Result<()> {
            self.n_staged = 0;
            Ok(())
        }

        fn finish(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn rows_of_a_failed_commit_are_not_written_with_the_next_one() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).expect("a column");
        let name: Arc<str> = "out".into();
        let plan = SinkPlan { name: Arc::clone(&name), schema: batch.schema(), table: None };
        let sink = FailsOnce::default();
        let written = Arc::clone(&sink.written);
        let sinks = Sinks {
            plans: HashMap::from([(Arc::clone(&name), plan)]),
            open: HashMap::from([(name, Mutex::new(Box::new(sink) as Box<dyn Sink>))]),
        };
        sinks.write("out", std::slice::from_ref(&batch)).expect_err("the first commit fails");
        sinks.write("out", &[batch]).expect("written");
        assert_eq!(*written.lock().expect("no test panics with it"), [2]);
    }
}
