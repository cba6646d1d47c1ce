//! The coordinator as clients and workers see it: over loopback, with a catalog in memory and a planner that reads a small script.

mod audit;
mod calls;
mod changes;
mod leadership;
mod limits;
mod monitoring;
mod planner;
mod rig;
mod security;
mod streams;
mod worker;
mod workers;
