//! Davy's gRPC interface: generated messages and services, and descriptors for clients that ask by reflection.
//!
//! The .proto files are the documentation. What arrives is checked where it arrives (`rpc`, `agent`); nothing here decides.
#![allow(
    clippy::allow_attributes_without_reason,
    clippy::doc_markdown,
    clippy::default_trait_access,
    clippy::missing_errors_doc,
    clippy::too_many_lines,
    reason = "generated code; the .proto files are documented"
)]

/// `davy.v1`.
pub mod v1 {
    tonic::include_proto!("davy.v1");
}

/// KEDA's interface for external scalers.
pub mod keda {
    tonic::include_proto!("externalscaler");
}

/// All services and messages, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
