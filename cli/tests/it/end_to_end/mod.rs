//! What end-to-end tests of exactly-once share: a broker, a producer of input, a reader in the background, and the expected results.

#![expect(clippy::print_stderr, reason = "a test that fails says which broker it leaves behind")]

pub(crate) mod broker;
pub(crate) mod files;
pub(crate) mod input;
pub(crate) mod oracle;
pub(crate) mod pipeline;
pub(crate) mod process;
pub(crate) mod producer;
pub(crate) mod reader;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks out other end-to-end tests: each needs the whole machine.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn number_from_environment(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "seeds and lengths of tests come from the environment")]
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
