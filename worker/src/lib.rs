//! Davy's worker: the connectors, which bring the outside world to the engine, and the host that runs tasks.

pub mod host;
