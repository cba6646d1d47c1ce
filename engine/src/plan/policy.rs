//! What becomes of records that cannot be decoded, and of rows on which an expression fails.

use std::fmt;
use std::sync::Arc;

/// What becomes of a bad record, besides being counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadRecordPolicy {
    Drop,
    Fail,
    /// It goes to this table.
    DeadLetter(Arc<str>),
}

/// What becomes of a row on which an expression fails, besides being counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowPolicy {
    /// The task fails.
    Fail,
    /// The failing part of the expression is null.
    Null,
    /// The row goes to this table instead.
    DeadLetter(Arc<str>),
}

impl RowPolicy {
    /// The label in metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Null => "null",
            Self::DeadLetter(_) => "dead_letter",
        }
    }

    pub(super) fn table(&self) -> Option<&Arc<str>> {
        match self {
            Self::Fail | Self::Null => None,
            Self::DeadLetter(table) => Some(table),
        }
    }
}

impl fmt::Display for BadRecordPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => write!(f, "drop"),
            Self::Fail => write!(f, "fail"),
            Self::DeadLetter(table) => write!(f, "dead letter to `{table}`"),
        }
    }
}
