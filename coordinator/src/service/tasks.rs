//! Tasks of the runtime: named, tracked until they end, and their panics logged.

use std::future::Future;

use tokio_util::task::TaskTracker;
use tracing::error;

/// Spawns tasks, and waits for all of them.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
}

impl Tasks {
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        let panics = PanicLog { name };
        self.tracker.spawn(async move {
            future.await;
            drop(panics);
        });
    }

    /// Runs blocking work on a thread for it.
    pub fn spawn_blocking(&self, name: &'static str, work: impl FnOnce() + Send + 'static) {
        let panics = PanicLog { name };
        self.tracker.spawn_blocking(move || {
            work();
            drop(panics);
        });
    }

    /// Waits until all tasks have ended.
    pub async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

struct PanicLog {
    name: &'static str,
}

impl Drop for PanicLog {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!(task = self.name, "a task has panicked");
        }
    }
}
