//! The tasks assigned to a worker, one thread each.
//!
//! Tasks are isolated: an error ends the task's thread and is reported, a panic is caught, and each pipeline has a memory pool of its
//! own. The coordinator decides which tasks a worker has; `agent` receives its decisions.

pub(crate) mod pipeline;
pub mod planning;

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use davy_engine::{Error, Result};
use prometheus::Registry;

use crate::clock;
use crate::connector::LocalConnectors;
use crate::host::control::Control;
use crate::host::kafka::drive;
use crate::host::{HostOptions, Phase};
use pipeline::Loaded;
pub use pipeline::PipelineText;

#[derive(Clone, Debug)]
pub struct SlotOptions {
    /// What scripts reach beyond their text.
    pub connectors: LocalConnectors,
    pub host: HostOptions,
}

/// A task to be run.
#[derive(Clone, Debug)]
pub struct Grant {
    /// `<tenant>/<pipeline>/<dataflow>/<stage>/<index>`.
    pub task: String,
    /// Its owner's number: greater than all before.
    pub epoch: u64,
    /// What it is a part of.
    pub pipeline: Arc<PipelineText>,
}

/// The state of a task, as the worker reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskReport {
    /// Its name, as in its grant.
    pub task: String,
    pub epoch: u64,
    /// Which text it runs.
    pub spec_version: u64,
    pub phase: Phase,
    /// Why it is not running, where it is not.
    pub error: Option<String>,
    /// Messages not yet read.
    pub lag: u64,
    /// Rows read since it was granted.
    pub rows: u64,
    /// Share of the time since the last report in which it did not wait, 0 to 1.
    pub busy_ratio: f64,
    /// Event time, in milliseconds since 1970.
    pub watermark_ms: Option<i64>,
    /// How often it started again here.
    pub restarts: u32,
}

struct Slot {
    epoch: u64,
    pipeline: Arc<PipelineText>,
    control: Arc<Control>,
    thread: Option<JoinHandle<()>>,
    /// Busy nanoseconds, and when they were looked at.
    seen: (u64, Duration),
    /// The coordinator has acknowledged a report that it ended.
    is_end_acknowledged: bool,
}

impl Slot {
    fn is_over(&self) -> bool {
        matches!(self.control.status().phase, Phase::Released | Phase::Failed)
    }

    fn end(&self, drain: bool) {
        let flag: &AtomicBool = if drain { &self.control.stop } else { &self.control.give_up };
        flag.store(true, Ordering::Relaxed);
    }
}

/// The tasks of a worker.
pub struct Slots {
    options: Arc<SlotOptions>,
    changed: Arc<dyn Fn() + Send + Sync>,
    /// By pipeline: the newest text of it that a task was granted with.
    loaded: HashMap<String, (u64, Arc<Loaded>)>,
    slots: BTreeMap<String, Slot>,
}

impl Slots {
    /// Without tasks. `changed` is called, from any thread, when the status of a task changes.
    pub fn new(options: SlotOptions, changed: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { options: Arc::new(options), changed, loaded: HashMap::new(), slots: BTreeMap::new() }
    }

    /// Starts a task. An older epoch of the same task ends first; a newer one stays.
    pub fn grant(&mut self, grant: Grant) {
        let previous = match self.slots.remove(&grant.task) {
            Some(slot) if grant.epoch <= slot.epoch => {
                self.slots.insert(grant.task, slot);
                return;
            }
            Some(mut slot) => {
                slot.end(true);
                slot.thread.take()
            }
            None => None,
        };
        let Grant { task, epoch, pipeline } = grant;
        let changed = Arc::clone(&self.changed);
        let control = Arc::new(Control::new(epoch, Arc::default(), move || changed()));
        let work = TaskThread {
            task: task.clone(),
            pipeline: Arc::clone(&pipeline),
            loaded: self.loaded(&pipeline),
            options: Arc::clone(&self.options),
            control: Arc::clone(&control),
        };
        let spawned = std::thread::Builder::new().name(task.clone()).spawn(move || {
            if let Some(previous) = previous
                && previous.join().is_err()
            {
                tracing::warn!("the thread of the task's earlier owner panicked");
            }
            work.run();
        });
        let thread = match spawned {
            Ok(thread) => Some(thread),
            Err(error) => {
                control.report(Phase::Failed, Some(format!("cannot start a thread: {error}")));
                None
            }
        };
        let seen = (0, clock::running());
        self.slots.insert(task, Slot { epoch, pipeline, control, thread, seen, is_end_acknowledged: false });
    }

    fn loaded(&mut self, pipeline: &PipelineText) -> Arc<Loaded> {
        match self.loaded.get(&pipeline.id) {
            Some((version, loaded)) if *version == pipeline.spec_version => Arc::clone(loaded),
            _ => {
                let loaded = Arc::new(Loaded::new(&pipeline.id));
                self.loaded.insert(pipeline.id.clone(), (pipeline.spec_version, Arc::clone(&loaded)));
                loaded
            }
        }
    }

    /// Ends a task that has this epoch or an older one, after a last commit if `drain`, else at once.
    pub fn revoke(&mut self, task: &str, epoch: u64, drain: bool) {
        if let Some(slot) = self.slots.get(task)
            && slot.epoch <= epoch
        {
            slot.end(drain);
        }
    }

    /// Ends all tasks, each after a last commit.
    pub fn drain(&self) {
        self.slots.values().for_each(|slot| slot.end(true));
    }

    /// Whether all tasks have ended.
    pub fn is_over(&self) -> bool {
        self.slots.values().all(Slot::is_over)
    }

    pub fn reports(&mut self) -> Vec<TaskReport> {
        let now = clock::running();
        self.slots.iter_mut().map(|(task, slot)| slot.report(task, now)).collect()
    }

    /// The same for metrics: without effect on the next report's busy ratio.
    pub fn snapshot(&self) -> Vec<TaskReport> {
        let now = clock::running();
        self.slots.iter().map(|(task, slot)| slot.status(task, now).0).collect()
    }

    /// Removes tasks that had ended in reports that the coordinator has acknowledged.
    pub fn acknowledge(&mut self, reports: &[TaskReport]) {
        for report in reports.iter().filter(|report| matches!(report.phase, Phase::Released | Phase::Failed)) {
            if let Some(slot) = self.slots.get_mut(&report.task)
                && slot.epoch == report.epoch
            {
                slot.is_end_acknowledged = true;
            }
        }
        self.slots.retain(|_, slot| !slot.is_end_acknowledged);
        let slots = &self.slots;
        self.loaded.retain(|id, _| slots.values().any(|slot| slot.pipeline.id == *id));
    }

    /// The metrics of each pipeline.
    pub(crate) fn registries(&self) -> Vec<Registry> {
        self.loaded.values().map(|(_, loaded)| loaded.registry.clone()).collect()
    }
}

impl Slot {
    fn report(&mut self, task: &str, now: Duration) -> TaskReport {
        let (report, busy) = self.status(task, now);
        self.seen = (busy, now);
        report
    }

    /// The report, and the nanoseconds that the task was busy since its start.
    fn status(&self, task: &str, now: Duration) -> (TaskReport, u64) {
        let status = self.control.status();
        let busy = self.control.busy_ns();
        let (busy_before, then) = self.seen;
        let elapsed = now.saturating_sub(then).as_nanos() as f64;
        let busy_ratio = if 0.0 < elapsed { (busy.saturating_sub(busy_before) as f64 / elapsed).min(1.0) } else { 0.0 };
        let watermark = self.control.watermark.load(Ordering::Relaxed);
        let report = TaskReport {
            task: task.to_owned(),
            epoch: self.epoch,
            spec_version: self.pipeline.spec_version,
            phase: status.phase,
            error: status.error,
            lag: self.control.lag.load(Ordering::Relaxed),
            rows: self.control.rows.load(Ordering::Relaxed),
            busy_ratio,
            watermark_ms: (watermark != i64::MIN).then_some(watermark.div_euclid(1_000_000)),
            restarts: status.restarts,
        };
        (report, busy)
    }
}

/// The work of a task's thread.
struct TaskThread {
    task: String,
    pipeline: Arc<PipelineText>,
    loaded: Arc<Loaded>,
    options: Arc<SlotOptions>,
    control: Arc<Control>,
}

impl TaskThread {
    fn run(&self) {
        let span = tracing::info_span!("task", task = %self.task, epoch = self.control.owner);
        let _entered = span.enter();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.work()));
        let outcome = outcome.unwrap_or_else(|_| Err(Error::internal(format!("task `{}` panicked", self.task))));
        match outcome {
            Ok(()) => self.control.report(Phase::Released, None),
            // A newer owner has the task.
            Err(Error::Fenced(message)) => {
                tracing::info!(message, "a newer owner has the task");
                self.control.report(Phase::Released, Some(message));
            }
            Err(error) => {
                tracing::error!(%error, "the task has failed");
                self.control.report(Phase::Failed, Some(error.to_string()));
            }
        }
    }

    fn work(&self) -> Result<()> {
        if self.control.is_over() {
            return Ok(());
        }
        let ready = self.loaded.ready(&self.pipeline, &self.options.connectors, &self.options.host)?;
        let found = position_of(&self.task).and_then(|(dataflow, stage, index)| ready.task(dataflow, stage, index));
        let task = found.ok_or_else(|| {
            Error::internal(format!("the pipeline `{}` has no task `{}`", self.pipeline.id, self.task))
        })?;
        drive(&ready.shared, &self.control, task).map(|_| ())
    }
}

/// Dataflow and stage, from 1, and index, from 0, of `<tenant>/<pipeline>/<dataflow>/<stage>/<index>`.
fn position_of(task: &str) -> Option<(usize, usize, u32)> {
    let mut parts = task.rsplit('/');
    let (index, stage, dataflow) = (parts.next()?, parts.next()?, parts.next()?);
    Some((dataflow.parse().ok()?, stage.parse().ok()?, index.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_of_a_task_is_in_its_name() {
        assert_eq!(position_of("soc/miners/1/2/7"), Some((1, 2, 7)));
        assert_eq!(position_of("miners"), None);
    }
}
