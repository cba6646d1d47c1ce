//! Tasks of the runtime: named, counted, and their panics seen.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::error;

/// Spawns tasks, and waits for all of them.
#[derive(Clone, Debug)]
pub struct Tasks {
    running: Arc<watch::Sender<usize>>,
}

impl Tasks {
    pub fn new() -> Self {
        Self { running: Arc::new(watch::Sender::new(0)) }
    }

    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        let running = self.count(name);
        #[expect(clippy::disallowed_methods, reason = "here tasks are tracked")]
        tokio::spawn(async move {
            future.await;
            drop(running);
        });
    }

    /// Runs what blocks on a thread for such.
    pub fn spawn_blocking(&self, name: &'static str, work: impl FnOnce() + Send + 'static) {
        let running = self.count(name);
        tokio::task::spawn_blocking(move || {
            work();
            drop(running);
        });
    }

    /// Until all have ended.
    pub async fn ended(&self) {
        let mut running = self.running.subscribe();
        running.wait_for(|n| *n == 0).await.expect("`self` keeps the sender");
    }

    fn count(&self, name: &'static str) -> Running {
        self.running.send_modify(|n| *n += 1);
        Running { running: Arc::clone(&self.running), name }
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

struct Running {
    running: Arc<watch::Sender<usize>>,
    name: &'static str,
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!(task = self.name, "a task has panicked");
        }
        self.running.send_modify(|n| *n -= 1);
    }
}
