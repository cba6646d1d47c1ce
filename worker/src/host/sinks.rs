//! The sinks that are written outside of transactions, by table, shared by the tasks of a run.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use davy_engine::log::Sink;
use davy_engine::log::transactions::OutsideSink;
use davy_engine::plan::{Dataflow, Pipeline, SinkPlan, Stage};
use davy_engine::task::fit_to_sink;
use davy_engine::{Error, Result};

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
        let mut outside = HashSet::new();
        for dataflow in &pipeline.dataflows {
            if cluster_of(dataflow)?.is_none() {
                outside.extend(tables_of(dataflow));
            }
        }
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
                (Some(table), None) => table.sink(&plan.schema)?,
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
        for batch in batches {
            // Where a batch is from may become headers, so sinks with headers fit it themselves.
            if plan.table.as_deref().and_then(KafkaTable::of).is_some() {
                sink.write(batch)?;
            } else {
                sink.write(&fit_to_sink(plan, batch)?)?;
            }
        }
        sink.commit()
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
}
