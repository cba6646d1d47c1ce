//! Files with certificates and keys, in PEM. Only paths: the files are read where a connection is made.

use std::path::PathBuf;

/// How one side of a TLS connection checks the other side, and identifies itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate authorities that this side trusts. A client without it can use `http://` addresses only; a server without it requests
    /// for no certificate.
    pub ca: Option<PathBuf>,
    pub identity: Option<IdentityFiles>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The certificate, followed by those that lead from it to its root.
    pub certificate: PathBuf,
    pub key: PathBuf,
}
