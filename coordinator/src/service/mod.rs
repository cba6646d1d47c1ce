//! The coordinator as it runs.

pub mod error;
