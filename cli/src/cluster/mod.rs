//! The long-lived processes of a cluster, from the command line.

pub(crate) mod args;
pub(crate) mod coordinator;
pub(crate) mod dev;
mod planner;
pub(crate) mod worker;
