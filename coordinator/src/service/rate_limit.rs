//! Limits how often the event loop does something slow: it takes at most a fifth of the loop's time.

use std::time::Duration;

/// After each run, a pause of so many times its duration.
const PAUSE_FACTOR: u32 = 4;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RateLimit {
    ended_at: Duration,
    took: Duration,
}

impl RateLimit {
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.took * PAUSE_FACTOR <= now.saturating_sub(self.ended_at)
    }

    pub(super) fn done(&mut self, began_at: Duration, ended_at: Duration) {
        *self = Self { ended_at, took: ended_at.saturating_sub(began_at) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_work_is_done_less_often() {
        let at = Duration::from_millis;
        let mut limit = RateLimit::default();
        assert!(limit.is_due(at(0)));
        limit.done(at(0), at(10));
        assert!(!limit.is_due(at(49)) && limit.is_due(at(50)));
        limit.done(at(50), at(50));
        assert!(limit.is_due(at(50)), "work that takes no time is always due");
    }
}
