//! Functions that a script brings along.

pub mod abi;
pub mod library;
