//! Where the worker gets its time from: the one edge at which processing time enters, monotonic.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

#[expect(clippy::disallowed_methods, reason = "the worker is where processing time comes from")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// How long ago that was.
#[expect(clippy::disallowed_methods, reason = "as above")]
pub(crate) fn since(then: Instant) -> Duration {
    then.elapsed()
}

/// How long this thread has been on a core: what it waits for does not count.
pub(crate) fn on_core() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Time since the first call, for differences.
pub(crate) fn running() -> Duration {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    since(*BEGUN.get_or_init(now))
}

/// The time of day. For durations, use [`now`] and [`since`].
#[expect(clippy::disallowed_methods, reason = "as above")]
pub(crate) fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// As [`since_1970`], in nanoseconds, the unit of event time.
pub(crate) fn ns_since_1970() -> i64 {
    i64::try_from(since_1970().as_nanos()).unwrap_or(i64::MAX)
}

/// Sleeps: polling sources have no event to wait for.
#[expect(clippy::disallowed_methods, reason = "polling sources have no event to wait for")]
pub(crate) fn rest(duration: Duration) {
    std::thread::sleep(duration);
}
