//! Membership of a consumer group whose partition stands for a place: the member that has it may act, the others wait.
//!
//! Partitions stay where they are when members join (`cooperative-sticky`): otherwise each new member would take the place from
//! the one that has it.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use tracing::debug;

use crate::KafkaConnection;
use crate::client::{self, Context};
use crate::error::{Result, failed};

/// How long the group waits for a member that it does not hear of. Brokers allow 6 s and more by default.
const SESSION_MS: &str = "8000";
const HEARTBEAT_MS: &str = "2000";
/// How long a member that does not poll keeps its place. The longest call of a leader that does not poll, a commit, takes half of it.
const MAX_POLL_INTERVAL_MS: &str = "60000";
/// How many events are taken from the client at once.
const N_EVENTS: usize = 64;

/// Whether a member has the partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PartitionState {
    /// Another member has the partition.
    #[default]
    Waits,
    /// This member has it.
    Holds,
    /// This member had it. It stays so: a member that gets it back may have missed another one in between.
    Lost,
}

/// A member of a group. It leaves the group when it is dropped.
pub struct Membership {
    consumer: BaseConsumer<Context>,
    group: String,
}

impl Membership {
    /// Joins `group` for the partitions of `topic`.
    pub fn join(connection: &KafkaConnection, group: &str, topic: &str) -> Result<Self> {
        let mut config = connection.config();
        for (name, value) in [
            ("group.id", group),
            ("group.protocol", "classic"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("session.timeout.ms", SESSION_MS),
            ("heartbeat.interval.ms", HEARTBEAT_MS),
            ("max.poll.interval.ms", MAX_POLL_INTERVAL_MS),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "latest"),
        ] {
            config.set(name, value);
        }
        let consumer = client::consumer(connection, &config)?;
        let joined = consumer.subscribe(&[topic]);
        joined.map_err(|error| failed(&format!("join the group `{group}`"), connection, &error))?;
        Ok(Self { consumer, group: group.to_owned() })
    }

    pub fn group(&self) -> &str {
        &self.group
    }

    /// Whether this member has the partition, as far as is known after at most `wait`.
    pub fn wait(&self, wait: Duration) -> PartitionState {
        self.poll(wait);
        self.consumer.client().context().partition_state()
    }

    /// Whether this member has the partition, as far as is known without waiting.
    pub fn partition_state(&self) -> PartitionState {
        (0..N_EVENTS).for_each(|_| self.poll(Duration::ZERO));
        self.consumer.client().context().partition_state()
    }

    /// Why the client cannot connect, as it has last reported.
    pub fn obstacle(&self) -> Option<String> {
        self.consumer.client().context().obstacle().map(|(_, reason)| reason)
    }

    fn poll(&self, wait: Duration) {
        // The context receives the reason too, when the client cannot connect.
        if let Some(Err(error)) = self.consumer.poll(wait) {
            debug!(%error, group = self.group, "waits for the group");
        }
    }
}
