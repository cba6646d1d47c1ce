//! The connectors against real files, programs, pipes and a Kafka broker.
#![allow(
    clippy::disallowed_methods,
    reason = "real programs and files are waited for with a deadline; the environment says where data is"
)]

mod files;
mod folders;
mod generator;
mod harness;
mod http;
mod kafka;
mod nfcapd;
mod options;
mod rows;
mod transactional;
