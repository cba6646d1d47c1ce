//! What trials of exactly-once have in common: a broker, rows that are fed, whoever reads along, and an account of what must come out.

#![expect(clippy::print_stderr, reason = "what stays behind has to be told")]

pub(crate) mod broker;
pub(crate) mod feed;
pub(crate) mod input;
pub(crate) mod oracle;
pub(crate) mod pipeline;
pub(crate) mod process;
pub(crate) mod reader;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Trials share the machine with nothing but other tests: each holds this.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn number_from_environment(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "whoever replays a case, or plays a long one, says so")]
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
