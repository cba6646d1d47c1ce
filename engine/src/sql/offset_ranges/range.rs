//! A range of offsets as text: `flows/3@1000-1018`.

use std::fmt;

/// Consecutive offsets of a split, the first and the last one included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OffsetRange {
    /// As `METADATA FROM 'split'` names it: `topic/partition`.
    pub split: String,
    pub first: i64,
    pub last: i64,
}

impl OffsetRange {
    /// Reads what [`fmt::Display`] writes; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (split, offsets) = text.trim().rsplit_once('@')?;
        let (first, last) = offsets.split_once('-')?;
        let offset = |text: &str| text.parse::<i64>().ok().filter(|offset| 0 <= *offset);
        let (first, last) = (offset(first)?, offset(last)?);
        (!split.is_empty() && first <= last).then(|| Self { split: split.to_owned(), first, last })
    }
}

impl fmt::Display for OffsetRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { split, first, last } = self;
        write!(f, "{split}@{first}-{last}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_reads_back_and_nothing_else_is_one() {
        for text in ["flows/3@1000-1018", "a@b/0@0-0", "flows/0@7-9223372036854775807"] {
            assert_eq!(OffsetRange::parse(text).expect("a range").to_string(), text);
        }
        for text in [
            "",
            "flows/3",
            "flows/3@5",
            "flows/3@5-4",
            "@1-2",
            "flows/3@-1-2",
            "flows/3@1-x",
            "flows/3@1-9223372036854775808",
        ] {
            assert_eq!(OffsetRange::parse(text), None, "{text}");
        }
    }
}
