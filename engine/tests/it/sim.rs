//! The real tasks over simulated Kafka: whatever is lost, late, killed, paused or taken over, the committed rows are the oracle's.
//!
//! A case follows from one seed: script, input, sizes, faults, and the order of everything. A failing one prints its seed and the
//! plan of events that led there; `SEED=n` plays exactly that one again, and `CASES=100000` more.

mod canary;
mod case;
mod cases;
mod check;
mod disk;
mod expired;
mod faults;
mod kafka;
mod owners;
mod producer;
mod quiet;
mod rig;
mod suite;
mod trace;

pub use kafka::TextRows;
