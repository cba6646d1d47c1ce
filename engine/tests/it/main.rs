//! The engine's integration tests: the batch oracle, mutated scripts, random streams with crashes.
#![allow(unreachable_pub, reason = "modules of one test binary")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and read options from the environment"
)]

mod checked;
mod early;
mod fingerprints;
mod keys;
mod lookup;
mod mutated_scripts;
#[allow(dead_code, reason = "golden.rs uses the rest")]
mod oracle;
mod random;
mod revived;
mod sim;
#[allow(dead_code, reason = "golden.rs uses the rest")]
mod support;
