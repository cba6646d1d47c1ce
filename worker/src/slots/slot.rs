//! One task of a worker: its thread, and its status while the thread runs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use davy_engine::{Error, Result};
use davy_proto::domain::{Epoch, EventTime, Messages, Phase, Release, Rows, TaskId, TaskReport};

use super::SlotOptions;
use super::pipeline::Loaded;
use crate::clock;
use crate::host::control::Control;
use crate::host::kafka::drive;

pub(super) struct Slot {
    pub(super) epoch: Epoch,
    pub(super) thread: Option<JoinHandle<()>>,
    loaded: Arc<Loaded>,
    control: Arc<Control>,
    last_report: Busy,
}

/// How long a task was busy in all, and when that was read.
#[derive(Clone, Copy, Default)]
struct Busy {
    busy_ns: u64,
    at: Duration,
}

pub(super) struct SlotRequest {
    pub(super) task: TaskId,
    pub(super) epoch: Epoch,
    pub(super) loaded: Arc<Loaded>,
    /// The thread of an earlier epoch of the task: the new one waits for its end.
    pub(super) earlier: Option<JoinHandle<()>>,
}

impl Slot {
    pub(super) fn start(
        request: SlotRequest,
        options: &Arc<SlotOptions>,
        changed: &Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        let SlotRequest { task, epoch, loaded, earlier } = request;
        let changed = Arc::clone(changed);
        let control = Arc::new(Control::new(epoch.0, Arc::default(), move || changed()));
        let name = task.to_string();
        let work = TaskThread {
            task,
            loaded: Arc::clone(&loaded),
            options: Arc::clone(options),
            control: Arc::clone(&control),
        };
        let spawned = std::thread::Builder::new().name(name).spawn(move || {
            if earlier.is_some_and(|earlier| earlier.join().is_err()) {
                tracing::warn!("the thread of the task's earlier epoch panicked");
            }
            work.run();
        });
        if let Err(error) = &spawned {
            control.report(Phase::Failed, Some(format!("cannot start a thread: {error}")));
        }
        let last_report = Busy { busy_ns: 0, at: clock::running() };
        Self { epoch, thread: spawned.ok(), loaded, control, last_report }
    }

    pub(super) fn has_ended(&self) -> bool {
        !self.control.status().phase.is_held()
    }

    pub(super) fn end(&self, release: Release) {
        let flag = match release {
            Release::Drain => &*self.control.stop,
            Release::AtOnce => &self.control.give_up,
        };
        flag.store(true, Ordering::Relaxed);
    }

    /// A report for the coordinator: the next busy ratio is of the time from now on.
    pub(super) fn report(&mut self, task: &TaskId, now: Duration) -> TaskReport {
        let report = self.snapshot(task, now);
        self.last_report = Busy { busy_ns: self.control.busy_ns(), at: now };
        report
    }

    pub(super) fn snapshot(&self, task: &TaskId, now: Duration) -> TaskReport {
        let control = &self.control;
        let status = control.status();
        let watermark = control.watermark.load(Ordering::Relaxed);
        TaskReport {
            task: task.clone(),
            epoch: self.epoch,
            spec_version: self.loaded.spec.spec_version,
            phase: status.phase,
            error: status.error,
            lag: Messages(control.lag.load(Ordering::Relaxed)),
            messages: Messages(control.messages.load(Ordering::Relaxed)),
            rows: Rows(control.rows.load(Ordering::Relaxed)),
            busy_ratio: self.last_report.ratio_until(control.busy_ns(), now),
            watermark: (watermark != i64::MIN).then_some(EventTime(watermark.div_euclid(1_000_000))),
            restarts: status.restarts,
        }
    }
}

impl Busy {
    fn ratio_until(self, busy_ns: u64, now: Duration) -> f64 {
        let elapsed_ns = now.saturating_sub(self.at).as_nanos() as f64;
        if elapsed_ns <= 0.0 {
            return 0.0;
        }
        (busy_ns.saturating_sub(self.busy_ns) as f64 / elapsed_ns).min(1.0)
    }
}

struct TaskThread {
    task: TaskId,
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
        let ready = self.loaded.ready(&self.options.connectors, &self.options.host)?;
        let task = ready.task(&self.task).ok_or_else(|| {
            Error::internal(format!("the pipeline `{}` has no task `{}`", self.task.pipeline, self.task))
        })?;
        drive(&ready.shared, &self.control, task).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_busy_for_a_share_of_the_time_since_its_last_report() {
        let last = Busy { busy_ns: 100, at: Duration::from_nanos(1_000) };
        for (busy_ns, at, expected) in [(100, 2_000, 0.0), (350, 2_000, 0.25), (9_000, 2_000, 1.0), (200, 1_000, 0.0)] {
            let ratio = last.ratio_until(busy_ns, Duration::from_nanos(at));
            assert!((ratio - expected).abs() < 1e-9, "{busy_ns} at {at}: {ratio}");
        }
    }
}
