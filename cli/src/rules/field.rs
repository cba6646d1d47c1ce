//! The fields of Falco that a flow has, and those of which it is known what they would be.
//!
//! A flow is a connection as its client makes it: so the local side is the client, and the remote side is the server.

use super::condition::Comparison;

/// What is known of a comparison before any flow is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It holds for every flow, or for none.
    Constant(bool),
    OfFlow(Field),
    No,
}

/// A field of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Port(Side),
    /// An address, compared with addresses or networks.
    Address(Side),
    /// The name that resolves to an address.
    Name(Side),
    /// `tcp`, `udp` and so on.
    Protocol,
}

/// Which end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Server,
    Client,
    /// One of them, and for `!=` both.
    Any,
}

impl Side {
    /// The ends that are compared, by the names of the view's columns.
    pub(super) fn ends(self) -> &'static [&'static str] {
        match self {
            Self::Server => &["server"],
            Self::Client => &["client"],
            Self::Any => &["server", "client"],
        }
    }
}

/// System calls that make or use a connection.
const OF_CONNECTIONS: [&str; 10] =
    ["connect", "sendto", "sendmsg", "sendmmsg", "accept", "accept4", "recvfrom", "recvmsg", "recvmmsg", "bind"];

/// What is known of a comparison.
pub(super) fn known(comparison: &Comparison) -> Known {
    let is_equality = matches!(comparison.operator.as_str(), "=" | "==" | "in");
    match comparison.field.as_str() {
        "evt.type" if is_equality => {
            Known::Constant(comparison.values.iter().any(|value| OF_CONNECTIONS.contains(&value.text.as_str())))
        }
        // An event when it enters the kernel, and when it has left it.
        "evt.dir" if is_equality => Known::Constant(true),
        field => of_flow(field).map_or(Known::No, Known::OfFlow),
    }
}

/// The field of a flow by its name in Falco.
pub(super) fn of_flow(name: &str) -> Option<Field> {
    let name = name.strip_prefix("fd.")?;
    if name == "l4proto" {
        return Some(Field::Protocol);
    }
    let (name, is_name) = match name.strip_suffix(".name") {
        Some(of) => (of, true),
        None => (name, false),
    };
    let (side, what) = match name.as_bytes().first()? {
        b's' | b'r' => (Side::Server, &name[1..]),
        b'c' | b'l' => (Side::Client, &name[1..]),
        _ => (Side::Any, name),
    };
    match (what, is_name) {
        ("port", false) => Some(Field::Port(side)),
        ("ip" | "net", false) => Some(Field::Address(side)),
        ("ip", true) => Some(Field::Name(side)),
        _ => None,
    }
}
