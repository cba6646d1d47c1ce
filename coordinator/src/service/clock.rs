//! The one place of the coordinator that looks at a clock; everybody else is told the time.

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

    /// For people: it goes where somebody sets it.
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
