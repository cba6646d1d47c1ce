//! Functions that a script brings with CREATE FUNCTION: models ([`model`]) and plug-ins ([`plugin`], over the host in [`library`]).
//!
//! They are ordinary scalar functions to DataFusion, so they may be used in any expression. What they do with a row that
//! they cannot answer is a row policy (a null, counted), never the end of a task.

pub mod abi;
pub mod library;
pub mod model;
mod model_info;
pub mod plugin;
