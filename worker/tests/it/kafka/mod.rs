//! The Kafka connector against a real broker.
//!
//! Every test has topics and a pipeline of its own, so that all of them share one broker and run at once. What crashes, paused brokers
//! and slow networks do to it is tested with the whole program, in `cli/tests/it/`.

mod brokers;
mod early;
mod files;
mod future;
mod http;
mod keys;
mod late;
mod late_end;
mod on_disk;
mod one_hop;
mod partitions;
mod pipeline;
mod poison;
mod reading;
mod recovery;
mod refusals;
mod reset;
mod restart;
mod security;
mod slow;
mod spill;
mod too_long;
mod topics;
mod writing;

use davy_testkit::broker;
