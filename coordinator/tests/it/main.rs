//! The coordinator against real files, processes and a Kafka broker.
#![allow(
    clippy::disallowed_methods,
    reason = "real files, processes and brokers are waited for with a deadline; the environment says where a broker is"
)]

mod catalog;
mod cost;
mod service;
