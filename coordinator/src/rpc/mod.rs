//! The gRPC port.
//!
//! Only this module names tonic and the generated messages. Each call passes the [`gate`], which checks the caller, before its message is
//! read; a request is checked and becomes an event for [`Handle`], and the answer becomes a message.

mod cluster;
mod convert;
mod gate;
mod methods;
mod pipelines;
mod routes;
mod sample;
mod scaler;
mod server;
mod status;
mod workers;

pub use server::{Parts, Peer, Tls, serve};

#[cfg(doc)]
use crate::service::handle::Handle;
