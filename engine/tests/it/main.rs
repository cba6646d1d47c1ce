//! The engine's integration tests: golden scripts, the batch oracle, random streams with crashes.
#![allow(unreachable_pub, missing_docs, reason = "modules of one test binary")]

mod golden;
mod oracle;
mod random;
mod support;
