//! Controls a task's thread, and reads its status while it runs.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use davy_proto::domain::Phase;

/// The status that a task last reported.
#[derive(Clone, Debug, Default)]
pub struct TaskStatus {
    pub phase: Phase,
    /// Why it is not running; while it runs, what is wrong with its input.
    pub error: Option<String>,
    /// How often it started again from its last commit.
    pub restarts: u32,
}

/// Shared by a task's thread and its host. The tasks of `davy run` share one; on a worker, each task has its own.
pub(crate) struct Control {
    /// The owner's number on the broker; a later owner has a greater one.
    pub(crate) owner: u64,
    /// The task is to stop after a last commit.
    pub(crate) stop: Arc<AtomicBool>,
    /// The task is to stop without a commit.
    pub(crate) give_up: AtomicBool,
    pub(crate) rows: AtomicU64,
    /// Messages that they were read from.
    pub(crate) messages: AtomicU64,
    on_core_ns: AtomicU64,
    waited_ns: AtomicU64,
    pub(crate) lag: AtomicU64,
    /// Nanoseconds since 1970; `i64::MIN` where none is known.
    pub(crate) watermark: AtomicI64,
    status: Mutex<TaskStatus>,
    /// Called when the status has changed.
    changed: Box<dyn Fn() + Send + Sync>,
}

impl Control {
    pub(crate) fn new(owner: u64, stop: Arc<AtomicBool>, changed: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            owner,
            stop,
            give_up: AtomicBool::new(false),
            rows: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            on_core_ns: AtomicU64::new(0),
            waited_ns: AtomicU64::new(0),
            lag: AtomicU64::new(0),
            watermark: AtomicI64::new(i64::MIN),
            status: Mutex::default(),
            changed: Box::new(changed),
        }
    }

    /// Whether the task is to end, with or without a last commit.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.give_up.load(Ordering::Relaxed)
    }

    pub(crate) fn status(&self) -> TaskStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn report(&self, phase: Phase, error: Option<String>) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = status.phase != phase || status.error != error;
        (status.phase, status.error) = (phase, error);
        drop(status);
        if is_new {
            (self.changed)();
        }
    }

    /// Reports that the task starts again, and why.
    pub(crate) fn report_restart(&self, error: String) {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).restarts += 1;
        self.report(Phase::Starting, Some(error));
    }

    /// Sets how long the task's thread has been on a core.
    pub(crate) fn show_work(&self, on_core: Duration) {
        self.on_core_ns.store(nanoseconds(on_core), Ordering::Relaxed);
    }

    /// Adds time spent waiting for a broker to take a commit.
    pub(crate) fn add_waiting(&self, duration: Duration) {
        self.waited_ns.fetch_add(nanoseconds(duration), Ordering::Relaxed);
    }

    /// Nanoseconds spent on a core or waiting for a commit.
    pub(crate) fn busy_ns(&self) -> u64 {
        self.on_core_ns.load(Ordering::Relaxed) + self.waited_ns.load(Ordering::Relaxed)
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
