//! Units. A number of messages is no number of rows: one message may hold many rows.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

/// Defines a count: it adds up without overflow, and shows as a plain number.
macro_rules! count {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// How many more these are than `earlier`; 0 when a counter began anew.
            #[must_use]
            pub fn since(self, earlier: Self) -> Self {
                Self(self.0.saturating_sub(earlier.0))
            }
        }

        impl Add for $name {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
                counts.fold(Self::default(), Add::add)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

count! {
    /// Messages of a topic, or lines of a file. A lag is counted in messages, since unread messages have not been decoded.
    Messages
}
count! {
    /// Rows, as decoded from messages.
    Rows
}
count! {
    Bytes
}

/// A time in the data, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(pub i64);
