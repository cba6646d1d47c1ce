//! What others reach over the network: gRPC, on one port.
//!
//! Only here are tonic and the generated messages named. Each call passes the [`gate`], which knows who calls and whether they may,
//! before anything of it is read; what arrives is checked and becomes a question to [`Handle`], what comes back becomes a message.

mod cluster;
mod convert;
mod gate;
mod methods;
mod pipelines;
mod routes;
mod sample;
pub mod scaler;
mod server;
mod status;
mod workers;

pub use server::{Parts, Peer, Tls, serve};
pub use status::detail;

#[cfg(doc)]
use crate::service::handle::Handle;
