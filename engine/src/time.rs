//! Event time: watermarks and windows, as numbers with a meaning.
//!
//! All times are nanoseconds since the Unix epoch, UTC, as in arrow's `Timestamp(Nanosecond, None)`. Nothing here reads a
//! clock: processing time comes in as an argument.

use std::fmt;

use arrow::datatypes::{DataType, TimeUnit};

/// SQL's TIMESTAMP.
pub const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);

/// No row with an event time before this is expected any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watermark(pub i64);

impl Watermark {
    /// Nothing is known yet.
    pub const MIN: Self = Self(i64::MIN);
    /// The greatest watermark that rows can reach.
    pub const LATEST: Self = Self(i64::MAX - 1);
    /// The input has ended: every window may close. Rows never say so.
    pub const END: Self = Self(i64::MAX);
}

impl fmt::Display for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MIN => write!(f, "none"),
            Self::END => write!(f, "end"),
            Self(ns) => write!(f, "{}", format_ns(ns)),
        }
    }
}

/// Nanoseconds since the epoch of a time such as `2026-01-31T12:00:00Z`; UTC where it names no offset.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    arrow::compute::kernels::cast_utils::string_to_timestamp_nanos(text).ok()
}

/// Prints nanoseconds since the epoch as `2024-05-01T10:00:00.123`.
pub fn format_ns(ns: i64) -> String {
    arrow::temporal_conversions::timestamp_ns_to_datetime(ns)
        .map_or_else(|| format!("{ns} ns"), |time| time.format("%Y-%m-%dT%H:%M:%S%.f").to_string())
}
