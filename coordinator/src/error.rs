//! Refusals, by what the client should do about them.

use davy_proto::Location;

use crate::catalog::CatalogError;
use crate::planner::Refusal;

/// What the client should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Invalid,
    /// Send a token that is known.
    Unauthenticated,
    /// Use a token of a role that may.
    Denied,
    NotFound,
    Exists,
    /// Change the pipeline's state first, or accept its loss.
    Precondition,
    /// Request less, or try again later.
    Exhausted,
    Unavailable,
    /// Try again with more time.
    TooSlow,
    Internal,
}

/// A refusal, with its location in the SQL and how to fix it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    pub kind: Kind,
    /// What is wrong, without the location.
    pub message: String,
    pub location: Option<Location>,
    /// How to fix it; may be empty.
    pub hint: String,
}

impl Refused {
    /// A refusal without a hint.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), location: None, hint: String::new() }
    }

    /// Adds how to fix it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid { message, location, hint } => {
                Self { kind: Kind::Invalid, message, location, hint: hint.unwrap_or_default() }
            }
            Refusal::Precondition { message, hint } => Self::new(Kind::Precondition, message).hint(hint),
            Refusal::Unavailable(message) => Self::new(Kind::Unavailable, message),
            Refusal::Internal(message) => Self::new(Kind::Internal, message),
        }
    }
}

impl From<CatalogError> for Refused {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Fenced(message) => {
                Self::new(Kind::Unavailable, format!("another coordinator leads: {message}"))
            }
            CatalogError::Unavailable(message) => Self::new(Kind::Unavailable, message),
            CatalogError::Corrupt(message) => Self::new(Kind::Internal, message),
        }
    }
}
