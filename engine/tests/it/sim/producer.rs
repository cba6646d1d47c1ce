//! Writes the input into the topics, row by row, during the run.

use std::collections::{BTreeMap, VecDeque};

use super::kafka::{Broker, TopicPartition};

use crate::random::Rng;
use crate::random::stream::Input;

/// The key of the rows that push the watermark beyond every window at the end.
pub const SENTINEL: &str = "sentinel";

/// How many partitions a table's topic has before one joins.
const N_PARTITIONS: usize = 3;

/// Rows that have not been written yet.
pub struct Producer {
    waiting: BTreeMap<TopicPartition, VecDeque<String>>,
    pub has_joined: bool,
}

impl Producer {
    pub fn new(input: &Input, broker: &mut Broker) -> Self {
        let mut waiting: BTreeMap<TopicPartition, VecDeque<String>> = BTreeMap::new();
        for (table, rows) in &input.0 {
            broker.make_topic(table, N_PARTITIONS);
            for row in rows {
                let partition = row.split.0[1..].parse().expect("splits are called s0, s1, …");
                let topic_partition = TopicPartition { topic: table.as_str().into(), partition };
                waiting.entry(topic_partition).or_default().push_back(row.text.clone());
            }
        }
        Self { waiting, has_joined: false }
    }

    /// Adds a partition to `flows`.
    pub fn join(&mut self, broker: &mut Broker) {
        broker.make_topic("flows", N_PARTITIONS + 1);
        self.has_joined = true;
    }

    /// Writes some rows of some partition.
    pub fn write_some(&mut self, rng: &mut Rng, broker: &mut Broker) -> Option<String> {
        let has_joined = self.has_joined;
        let exists =
            |topic_partition: &TopicPartition| has_joined || (topic_partition.partition as usize) < N_PARTITIONS;
        let topic_partitions: Vec<TopicPartition> = self
            .waiting
            .iter()
            .filter(|(topic_partition, rows)| exists(topic_partition) && !rows.is_empty())
            .map(|(topic_partition, _)| topic_partition.clone())
            .collect();
        if topic_partitions.is_empty() {
            return None;
        }
        let topic_partition = rng.pick(&topic_partitions).clone();
        let rows = self.waiting.get_mut(&topic_partition)?;
        let n = (1 + rng.below(6)).min(rows.len());
        for row in rows.drain(..n) {
            broker.append(&topic_partition, row.into_bytes()).expect("the partition is there");
        }
        Some(format!("{n} rows into {topic_partition}"))
    }

    /// Writes all that is left.
    pub fn write_all(&mut self, broker: &mut Broker) {
        for (topic_partition, rows) in std::mem::take(&mut self.waiting) {
            for row in rows {
                broker.append(&topic_partition, row.into_bytes()).expect("the partition is there");
            }
        }
    }

    /// Pushes every partition's watermark over all windows.
    pub fn write_sentinels(broker: &mut Broker, tables: &[String]) {
        let row = format!("{{\"ts\":\"1971-01-01T00:00:00\",\"k\":\"{SENTINEL}\",\"v\":1}}");
        for topic_partition in broker
            .topic_partitions()
            .iter()
            .filter(|topic_partition| tables.iter().any(|table| **table == *topic_partition.topic))
        {
            broker.append(topic_partition, row.clone().into_bytes()).expect("the partition is there");
        }
    }
}

/// When a message was made: all rows are from around 1970, and the sentinels may be from whenever they want.
pub fn message_timestamp(value: &[u8]) -> i64 {
    let is_sentinel = value.windows(SENTINEL.len()).any(|part| part == SENTINEL.as_bytes());
    if is_sentinel { -1 } else { 0 }
}
