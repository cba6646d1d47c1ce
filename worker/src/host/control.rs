//! How a task's thread is spoken to, and what it shows of itself while it runs.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a task is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It takes over, or waits to try again.
    #[default]
    Starting,
    /// It reads and commits.
    Running,
    /// It was asked to stop and makes its last commit.
    Draining,
    /// It is over, and can be taken over by anyone.
    Released,
    /// It ended with an error.
    Failed,
}

/// What a task has told.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// What it is doing.
    pub phase: Phase,
    /// Why it is not running, if it is not.
    pub error: Option<String>,
    /// How often it began again.
    pub restarts: u32,
}

/// Between a task's thread and whoever has started it. The tasks of a run share one; each task of a worker has its own.
pub(crate) struct Control {
    /// The owner's number on the broker: greater in those who come later.
    pub(crate) owner: u64,
    /// Asked to stop, with a last commit.
    pub(crate) stop: Arc<AtomicBool>,
    /// To be given up without a commit.
    pub(crate) give_up: AtomicBool,
    /// Rows or partials read.
    pub(crate) rows: AtomicU64,
    on_core_ns: AtomicU64,
    waited_ns: AtomicU64,
    /// Messages not yet read.
    pub(crate) lag: AtomicU64,
    /// Nanoseconds since 1970; `i64::MIN` where none is known.
    pub(crate) watermark: AtomicI64,
    told: Mutex<Told>,
    /// Called when what it has told has changed.
    changed: Box<dyn Fn() + Send + Sync>,
}

impl Control {
    pub(crate) fn new(owner: u64, stop: Arc<AtomicBool>, changed: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            owner,
            stop,
            give_up: AtomicBool::new(false),
            rows: AtomicU64::new(0),
            on_core_ns: AtomicU64::new(0),
            waited_ns: AtomicU64::new(0),
            lag: AtomicU64::new(0),
            watermark: AtomicI64::new(i64::MIN),
            told: Mutex::default(),
            changed: Box::new(changed),
        }
    }

    /// Whether it should end, one way or the other.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.give_up.load(Ordering::Relaxed)
    }

    /// What it has told.
    pub(crate) fn told(&self) -> Told {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells what it is doing now.
    pub(crate) fn tell(&self, phase: Phase, error: Option<String>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = told.phase != phase || told.error != error;
        (told.phase, told.error) = (phase, error);
        drop(told);
        if is_new {
            (self.changed)();
        }
    }

    /// Tells that it begins again, and why.
    pub(crate) fn tell_restart(&self, error: String) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).restarts += 1;
        self.tell(Phase::Starting, Some(error));
    }

    /// How long its thread has been on a core.
    pub(crate) fn show_work(&self, on_core: Duration) {
        self.on_core_ns.store(nanoseconds(on_core), Ordering::Relaxed);
    }

    /// It waited for a broker to take its commit.
    pub(crate) fn add_waiting(&self, duration: Duration) {
        self.waited_ns.fetch_add(nanoseconds(duration), Ordering::Relaxed);
    }

    /// Nanoseconds in which it could not have done more: on a core, or waiting for a commit.
    pub(crate) fn busy_ns(&self) -> u64 {
        self.on_core_ns.load(Ordering::Relaxed) + self.waited_ns.load(Ordering::Relaxed)
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
