//! The audit: one line for each call that changes something, refused calls included, with caller, subject and result.
//!
//! Lines have the tracing target `davy_audit`, so that a filter can send them where they are kept. They never hold SQL, values of
//! settings or tokens, which may be secret; the SQL's digest shows whether two calls had the same SQL.

use sha2::{Digest, Sha256};
use tracing::info;

use crate::auth::Caller;

/// The subject of a call. Its handler fills it in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    pub tenant: String,
    /// The pipeline's name, or the worker's, if it is one.
    pub name: String,
    /// In hex; empty for a call without SQL.
    pub sql_sha256: String,
}

/// SHA-256 in hex.
pub fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the line. `caller` is `None` if the token is unknown.
pub fn write(caller: Option<&Caller>, peer: &str, action: &str, subject: &Subject, code: &str) {
    let (who, role) = caller.map_or(("", ""), |caller| (&*caller.name, caller.role.as_str()));
    let Subject { tenant, name, sql_sha256 } = subject;
    info!(target: "davy_audit", who, role, peer, action, tenant, name, sql_sha256, code, "call");
}
