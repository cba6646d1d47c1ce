//! `source.ranges`: the messages of a topic that a run reads, and then ends.

use std::collections::BTreeMap;

use davy_engine::options::Options;
use davy_engine::sql::offset_ranges::OffsetRange;
use davy_engine::{Error, Result};

const NAME: &str = "source.ranges";
const WANTED: &str = "ranges of offsets, one per partition, first and last included, such as 'flows/0@1000-1018, flows/3@7-7'; \
     or nothing";

/// Offsets of a partition, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offsets {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// What is read of each partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ranges(BTreeMap<i32, Offsets>);

impl Ranges {
    /// Takes the option of a table over `topic`.
    pub(crate) fn take(options: &mut Options, topic: &str) -> Result<Option<Self>> {
        let Some(text) = options.take(NAME) else { return Ok(None) };
        let mut ranges = BTreeMap::new();
        for part in text.split(',').filter(|_| !text.trim().is_empty()) {
            let Some(OffsetRange { split, first, last }) = OffsetRange::parse(part) else {
                return Err(options.bad_value(NAME, &text, WANTED));
            };
            let partition = split.rsplit_once('/').filter(|(of, _)| *of == topic);
            let Some(number) = partition.and_then(|(_, number)| number.parse::<i32>().ok()).filter(|n| 0 <= *n) else {
                return Err(options.bad_value(NAME, &text, &format!("ranges of topic `{topic}`")));
            };
            let offsets = Offsets { first: first.unsigned_abs(), last: last.unsigned_abs() };
            if ranges.insert(number, offsets).is_some() {
                return Err(options.bad_value(NAME, &text, WANTED));
            }
        }
        Ok(Some(Self(ranges)))
    }

    pub(crate) fn partitions(&self) -> Vec<i32> {
        self.0.keys().copied().collect()
    }

    pub(crate) fn of(&self, partition: i32) -> Option<Offsets> {
        self.0.get(&partition).copied()
    }
}

/// Refuses a range of which messages are gone, or not there yet.
pub(crate) fn check(split: &str, wanted: Offsets, first: u64, end: u64) -> Result<()> {
    let Offsets { first: from, last: to } = wanted;
    if from < first {
        return Err(Error::invalid(format!(
            "messages {from} to {} of `{split}` are gone: the topic begins at {first}",
            to.min(first - 1)
        ))
        .hint("a topic whose messages are to be read again has to keep them: see its retention.ms"));
    }
    if end <= to {
        return Err(Error::invalid(format!("`{split}` ends before message {end}, and message {to} was to be read"))
            .hint("check the cluster and the topic; messages of open transactions are not there yet"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str) -> Result<Option<Ranges>> {
        let mut options = Options::new("t");
        options.set(NAME, text, None);
        Ranges::take(&mut options, "flows")
    }

    #[test]
    fn ranges_name_each_partition_once() {
        let ranges = take("flows/3@1000-1018, flows/0@7-7").expect("accepted").expect("given");
        assert_eq!(ranges.partitions(), [0, 3]);
        assert_eq!(ranges.of(1), None);
        assert_eq!(ranges.of(3), Some(Offsets { first: 1_000, last: 1_018 }));
        for text in
            [",", "flows/0", "flows/0@2-1", "other/0@1-2", "flows/x@1-2", "flows/0@1-2,flows/0@5-6", "flows/-1@0-1"]
        {
            let error = take(text).expect_err(text).to_string();
            assert!(error.contains("`source.ranges` cannot be"), "{error}");
        }
        assert_eq!(take(" ").expect("accepted").expect("given").partitions(), [0_i32; 0]);
        assert_eq!(Ranges::take(&mut Options::new("t"), "flows").expect("nothing to refuse"), None);
    }

    #[test]
    fn a_range_that_is_gone_or_to_come_is_refused() {
        let wanted = Offsets { first: 10, last: 20 };
        check("flows/0", wanted, 10, 21).expect("all there");
        let error = check("flows/0", wanted, 15, 30).expect_err("refused").to_string();
        assert!(error.contains("messages 10 to 14 of `flows/0` are gone"), "{error}");
        let error = check("flows/0", wanted, 25, 30).expect_err("refused").to_string();
        assert!(error.contains("messages 10 to 20 of"), "{error}");
        let error = check("flows/0", wanted, 0, 20).expect_err("refused").to_string();
        assert!(error.contains("ends before message 20, and message 20"), "{error}");
    }
}
