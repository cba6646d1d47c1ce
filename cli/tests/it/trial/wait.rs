//! Waiting for events, with a deadline: nothing here is waited for by guessing how long it takes.

use std::thread::park_timeout;
use std::time::{Duration, Instant};

/// How often is looked.
const GLANCE: Duration = Duration::from_millis(10);

/// The clock of the rig: deadlines, and the pace of its input.
#[expect(clippy::disallowed_methods, reason = "faults and deadlines of other processes happen on the wall's clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Looks until there is something to see; panics when `limit` is over.
pub(crate) fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    within(limit, &mut look).unwrap_or_else(|| panic!("waited {limit:?} in vain: {what}"))
}

/// Looks until there is something to see, at most for `limit`.
pub(crate) fn within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = now();
    loop {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if limit <= now() - begun {
            return None;
        }
        park_timeout(GLANCE);
    }
}
