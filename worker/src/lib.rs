//! Davy's worker: the connectors and the host that runs tasks.
//!
//! The engine names what it needs (`davy_engine::connector`, `davy_engine::log`); everything here that touches files,
//! programs, the standard streams or a clock implements one of those traits.

pub mod agent;
mod clock;
pub mod connector;
mod exposition;
pub mod host;
pub mod http;
pub mod http_client;
mod library;
mod lookups;
mod probe;
pub mod runs;
pub mod slots;
pub mod topic;
