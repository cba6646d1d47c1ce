//! How often something that takes long may be done: it takes no more than a fifth of the event loop's time.

use std::time::Duration;

/// After something was done, it rests for so many times as long as it took.
const REST: u32 = 4;

/// When something was done, and how long it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    ended_at: Duration,
    took: Duration,
}

impl Pace {
    /// Whether it may be done again.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.took * REST <= now.saturating_sub(self.ended_at)
    }

    pub(super) fn done(&mut self, began_at: Duration, ended_at: Duration) {
        *self = Self { ended_at, took: ended_at.saturating_sub(began_at) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_done_less_often() {
        let at = Duration::from_millis;
        let mut pace = Pace::default();
        assert!(pace.is_due(at(0)));
        pace.done(at(0), at(10));
        assert!(!pace.is_due(at(49)) && pace.is_due(at(50)));
        pace.done(at(50), at(50));
        assert!(pace.is_due(at(50)), "what takes no time is done whenever it is asked for");
    }
}
