//! Waiting for events, with a deadline: no test guesses how long something takes.

use std::thread::park_timeout;
use std::time::{Duration, Instant};

const GLANCE: Duration = Duration::from_millis(10);

/// The clock of the tests: deadlines, and the rate of their input.
#[expect(clippy::disallowed_methods, reason = "faults and deadlines of other processes happen on the wall's clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Polls `look` until it returns something; panics after `limit`.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    within(limit, &mut look).unwrap_or_else(|| panic!("waited {limit:?} in vain: {what}"))
}

/// Polls `look` until it returns something, at most for `limit`.
pub fn within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
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

/// Lets time pass. For how long a fault lasts, and for how long nothing may happen; never to wait for something.
pub fn let_pass(duration: Duration) {
    within(duration, || None::<()>);
}
