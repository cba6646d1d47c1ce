//! The one place of the coordinator that reads a clock; all others get the time as an argument.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time since the process began, and since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the edge: here time is read")]
    pub fn new() -> Self {
        Self { began: Instant::now() }
    }

    #[expect(clippy::disallowed_methods, reason = "the edge: here time is read")]
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// For people: it jumps when the system's clock is set.
    #[expect(clippy::disallowed_methods, reason = "the edge: here time is read")]
    pub fn unix_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
