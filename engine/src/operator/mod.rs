//! Operators: what a task does to its rows.
//!
//! Everything here is synchronous on purpose: a chain can be run, crashed and replayed in a unit test without a runtime, and
//! no batch is ever half applied across an await.

pub mod align;
pub mod bounded;
pub(crate) mod checked;
pub mod closed;
mod cut;
pub(crate) mod float;
pub(crate) mod guard;
pub mod keys;
pub mod merge;
mod order;
mod panes;
pub mod partial;
pub mod partition;
mod run;
pub mod spill;
pub mod watermark;
pub mod window;
