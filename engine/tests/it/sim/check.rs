//! The oracles: what a reader sees while it happens, and what is left at the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::kafka::{Broker, Isolation, TopicPartition};
use davy_engine::log::{Position, SplitId};

use super::case::Case;
use super::producer::SENTINEL;

/// A committed reader of the sinks' topics that reads from time to time.
#[derive(Debug, Default)]
pub struct Reader {
    positions: BTreeMap<TopicPartition, u64>,
    seen: BTreeMap<TopicPartition, Vec<(u64, String)>>,
}

fn is_sink(case: &Case, topic_partition: &TopicPartition) -> bool {
    case.planned.sinks.contains_key(&topic_partition.topic)
}

fn read_all(broker: &Broker, topic_partition: &TopicPartition, from: u64) -> (Vec<(u64, String)>, u64) {
    let read =
        broker.read(topic_partition, Position(from), Isolation::Committed, usize::MAX).expect("the topic is there");
    let text = |(offset, message): (u64, davy_engine::log::transactions::Message)| {
        (offset, String::from_utf8(message.value).expect("rows are text"))
    };
    (read.messages.into_iter().map(text).collect(), read.next)
}

impl Reader {
    /// Reads what is new; no row may be there more often than expected.
    pub fn poll(&mut self, case: &Case, broker: &Broker) -> Result<usize, String> {
        let mut n_new = 0;
        for topic_partition in broker.topic_partitions().iter().filter(|topic_partition| is_sink(case, topic_partition))
        {
            let from = self.positions.get(topic_partition).copied().unwrap_or(0);
            let (new, next) = read_all(broker, topic_partition, from);
            n_new += new.len();
            self.positions.insert(topic_partition.clone(), next);
            self.seen.entry(topic_partition.clone()).or_default().extend(new);
        }
        if 0 < n_new { self.compare(case, false).map(|()| n_new) } else { Ok(0) }
    }

    fn compare(&self, case: &Case, is_end: bool) -> Result<(), String> {
        for (sink, expected) in &case.expected {
            let of_sink = self.seen.iter().filter(|(topic_partition, _)| *topic_partition.topic == **sink);
            let mut found: Vec<&String> =
                of_sink.flat_map(|(_, rows)| rows).map(|(_, row)| row).filter(|row| !row.contains(SENTINEL)).collect();
            found.sort();
            let is_right = if is_end { found.iter().copied().eq(expected) } else { is_within(&found, expected) };
            if !is_right {
                let when = if is_end { "at the end" } else { "in between" };
                return Err(format!("{when} `{sink}` has {found:#?}\nexpected are {expected:#?}"));
            }
        }
        Ok(())
    }

    /// The end: all rows, none taken back, every position at its end, nothing left open.
    pub fn finish(mut self, case: &Case, broker: &Broker, groups: &[(Arc<str>, String)]) -> Result<(), String> {
        self.poll(case, broker)?;
        self.compare(case, true)?;
        self.compare_bad(case)?;
        for (topic_partition, seen) in &self.seen {
            let (again, _) = read_all(broker, topic_partition, 0);
            if again != *seen {
                return Err(format!("{topic_partition}: seen {seen:#?}\nread again {again:#?}"));
            }
        }
        for topic_partition in broker.topic_partitions() {
            let end = broker.bounds(&topic_partition).expect("listed").end;
            let stable = broker.last_stable(&topic_partition).expect("listed");
            if end != stable {
                return Err(format!("{topic_partition}: a transaction is open at {} of {}", stable.0, end.0));
            }
            let readers = groups.iter().filter(|(_, topic)| **topic == *topic_partition.topic);
            for (group, _) in readers {
                let split = SplitId::from(topic_partition.to_string().as_str());
                let committed = broker.committed(group, &split).map(|(position, _)| position);
                if committed != Some(end) {
                    return Err(format!(
                        "{topic_partition}: {group} has committed {committed:?}, the end is {}",
                        end.0
                    ));
                }
            }
        }
        Ok(())
    }

    fn compare_bad(&self, case: &Case) -> Result<(), String> {
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        for (_, row) in
            self.seen.iter().filter(|(topic_partition, _)| *topic_partition.topic == *"bad").flat_map(|(_, rows)| rows)
        {
            let split = row.split(" | ").nth(1).unwrap_or_default();
            *found.entry(split.to_owned()).or_default() += 1;
        }
        if found == case.n_bad { Ok(()) } else { Err(format!("dead letters {found:?}, expected {:?}", case.n_bad)) }
    }
}

/// Whether sorted rows are all among the sorted ones expected, as often at most.
fn is_within(found: &[&String], expected: &[String]) -> bool {
    let mut left = expected.iter();
    found.iter().all(|row| left.any(|expected| expected == *row))
}
