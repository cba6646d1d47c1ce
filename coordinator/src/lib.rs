//! Davy's coordinator: which pipelines there are, which worker runs which task, and how many workers are needed.
//!
//! It only decides. Kafka keeps the truth and fences older owners, so a coordinator that is wrong, late or dead costs time, and
//! never a row. Decisions are pure functions; the driver gathers facts and carries decisions out.

pub mod assign;
pub mod audit;
pub mod auth;
pub mod autoscale;
pub mod catalog;
pub mod cluster;
pub mod error;
pub mod http;
pub mod limits;
pub mod metrics;
pub mod model;
pub mod options;
pub mod planner;
pub mod rpc;
pub mod service;
