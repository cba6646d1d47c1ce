//! What becomes of records that cannot be decoded, of rows on which an expression fails, and of keys beyond a limit.

use std::fmt;
use std::num::NonZeroU64;
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

/// What becomes of the rows of a key beyond [`KeyLimit::max_keys`]. The stricter one is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Overflow {
    /// The task fails.
    Fail,
    /// They are left out and counted, and the window is incomplete.
    DropNew,
}

/// How many keys an open window may have. Of two limits, the least one holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyLimit {
    pub max_keys: NonZeroU64,
    pub overflow: Overflow,
    /// The table with the option.
    pub table: Arc<str>,
}

impl KeyLimit {
    /// What each of `n` parts may have, into which the keys are spread.
    pub fn share(&self, n: u32) -> usize {
        usize::try_from(self.max_keys.get().div_ceil(u64::from(n.max(1)))).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for KeyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let then = match self.overflow {
            Overflow::Fail => "then the task fails",
            Overflow::DropNew => "rows of others are left out",
        };
        write!(f, "at most {} keys in a window, {then}", self.max_keys)
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
