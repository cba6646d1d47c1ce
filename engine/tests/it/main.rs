//! The engine's integration tests: golden scripts, the batch oracle, random streams with crashes.
#![allow(unreachable_pub, reason = "modules of one test binary")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and read options from the environment"
)]

mod golden;
mod mutated_scripts;
mod oracle;
mod random;
mod sim;
mod support;
