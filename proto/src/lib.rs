//! What workers, the coordinator and clients share: the typed domain, the generated gRPC messages, and the conversions between them.
//!
//! [`domain`] has the types that code works with. [`v1`] has the messages on the wire, which end in [`convert`]: that module checks what
//! has arrived. [`client`] opens every connection to a coordinator. Nothing here decides.

pub mod client;
mod convert;
pub mod domain;
mod error_detail;

pub use convert::InvalidMessage;
pub use error_detail::{ErrorDetail, Location};

pub use generated::{keda, v1};

#[allow(
    clippy::allow_attributes_without_reason,
    clippy::doc_markdown,
    clippy::default_trait_access,
    clippy::missing_errors_doc,
    clippy::too_many_lines,
    reason = "generated code; the .proto files are documented"
)]
mod generated {
    /// `davy.v1`.
    pub mod v1 {
        tonic::include_proto!("davy.v1");
    }

    /// KEDA's interface for external scalers.
    pub mod keda {
        tonic::include_proto!("externalscaler");
    }
}

/// All services and messages, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
