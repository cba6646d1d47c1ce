//! The place of the leader: the topic's only partition, which a group gives to one of its members.
//!
//! Partitions stay where they are when members come (`cooperative-sticky`): otherwise each coordinator that begins to stand by would
//! take the place from the one that leads.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use tracing::{debug, warn};

use super::client::{Context, EVENTS, Place, failed, make};
use super::{Halt, KafkaCatalogOptions, SLICE};
use crate::catalog::CatalogError;

/// How long the group waits for one that it does not hear of. Brokers allow 6 s and more by default.
const SESSION_MS: &str = "8000";
const HEARTBEAT_MS: &str = "2000";
/// How long a coordinator that hangs keeps its place. The longest call that does not poll, a commit, takes half of it.
const HANGS_MS: &str = "60000";
/// A member of the group. It leaves when it is dropped.
pub(super) struct Membership {
    consumer: BaseConsumer<Context>,
    group: String,
}

impl Membership {
    pub(super) fn join(options: &KafkaCatalogOptions) -> Result<Self, CatalogError> {
        let group = options.group();
        let more = [
            ("group.id", group.as_str()),
            ("group.protocol", "classic"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("session.timeout.ms", SESSION_MS),
            ("heartbeat.interval.ms", HEARTBEAT_MS),
            ("max.poll.interval.ms", HANGS_MS),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "latest"),
        ];
        let what = format!("join the group `{group}`");
        let consumer: BaseConsumer<Context> = make(options, &what, &more)?;
        consumer.subscribe(&[&options.topic]).map_err(|error| failed(&what, options, &error))?;
        Ok(Self { consumer, group })
    }

    /// Waits until this member has the partition of the catalog topic.
    pub(super) fn wait(&self, is_over: &dyn Fn() -> bool) -> Result<(), Halt> {
        let context = self.consumer.client().context();
        let mut last_reported = None;
        while context.place() == Place::Waits {
            if is_over() {
                return Err(Halt::Over);
            }
            self.poll(SLICE);
            let obstacle = context.obstacle();
            if obstacle != last_reported {
                warn!(group = self.group, obstacle, "waiting for the group to assign the catalog's partition");
                last_reported = obstacle;
            }
        }
        Ok(self.check()?)
    }

    /// Whether this member has the place, as far as is known without waiting.
    pub(super) fn check(&self) -> Result<(), CatalogError> {
        (0..EVENTS).for_each(|_| self.poll(Duration::ZERO));
        let group = &self.group;
        match self.consumer.client().context().place() {
            Place::Holds => Ok(()),
            Place::Waits => Err(CatalogError::Fenced(format!("the group `{group}` has given the lead to another one"))),
            Place::Lost => Err(CatalogError::Fenced(format!(
                "the group `{group}` has taken the lead away, as for a while it did not hear of this coordinator, or this one not of it"
            ))),
        }
    }

    fn poll(&self, wait: Duration) {
        // The context receives the reason too, when the client cannot connect.
        if let Some(Err(error)) = self.consumer.poll(wait) {
            debug!(%error, group = self.group, "waits for the group");
        }
    }
}
