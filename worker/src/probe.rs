//! Named points of a task: `poll`, `decode`, `aggregate`, `before_begin`, `after_produce`, `after_send_offsets`, `before_commit`,
//! `after_commit`; `after_write_outside`, after rows were written outside of the transaction; and of files, `during_file_write`,
//! `after_file_sync`, `after_file_rename`.
//!
//! In a build for tests (feature `testing`), `DAVY_CRASH_AT=<point>:<n>` makes the process kill itself when it reaches the point for
//! the n-th time. In other builds the points do nothing.

#[cfg(not(feature = "testing"))]
pub(crate) fn reached(_point: &'static str) {}

#[cfg(feature = "testing")]
pub(crate) fn reached(point: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PLAN: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let plan = PLAN.get_or_init(|| {
        #[expect(clippy::disallowed_methods, reason = "a test sets where the process that it starts dies")]
        let text = std::env::var("DAVY_CRASH_AT").ok()?;
        let (name, count) = text.split_once(':')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    let Some((name, count)) = plan else { return };
    if name == point && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *count {
        signal_hook::low_level::raise(signal_hook::consts::SIGKILL).unwrap_or_else(|_| std::process::abort());
    }
}
