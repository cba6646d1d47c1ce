//! The rules of the house that no compiler checks: which crate may use which, and what a committed file may hold.
//!
//! A rule is a function from facts (the crates, the files) to complaints. Each is tested twice: on this repository, where
//! there must be no complaint, and on a small case that breaks it, so that a rule which never fires is found out.

mod alerts;
mod baseline;
mod biflows;
mod cds;
mod cluster;
mod demo;
mod docs;
mod edges;
mod end_to_end;
mod explain_alert;
mod files;
mod functions;
mod ioc;
mod kafka;
mod manifests;
mod miner_test;
mod names;
mod option_c;
mod remote;
mod repository;
mod round_trip;
mod rules;
mod run;
mod stdout;
mod words;
