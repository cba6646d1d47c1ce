//! Where this crate gets its time from: how long a broker may take is decided here, at the edge.

use std::time::{Duration, Instant, SystemTime};

#[expect(clippy::disallowed_methods, reason = "the edge to the brokers")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the edge to the brokers")]
pub(crate) fn since(then: Instant) -> Duration {
    then.elapsed()
}

#[expect(clippy::disallowed_methods, reason = "tokens expire by the time of day, and records have one")]
pub(crate) fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "librdkafka's calls give no event to wait for")]
pub(crate) fn rest(duration: Duration) {
    std::thread::sleep(duration);
}
