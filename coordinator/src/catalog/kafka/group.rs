//! The place of the leader: the topic's only partition, which a group gives to one of its members.

use davy_kafka::membership::{Membership, PartitionState};
use tracing::warn;

use super::{CatalogTopic, Halt, SLICE};
use crate::catalog::CatalogError;

/// A coordinator that leads or stands by. It leaves the group when it is dropped.
pub(super) struct Candidate(Membership);

impl Candidate {
    pub(super) fn join(CatalogTopic { options, connection }: &CatalogTopic) -> Result<Self, CatalogError> {
        Ok(Self(Membership::join(connection, &options.group(), &options.topic)?))
    }

    /// Waits until this member has the partition of the catalog topic.
    pub(super) fn wait(&self, is_over: &dyn Fn() -> bool) -> Result<(), Halt> {
        let mut last_reported = None;
        while self.0.wait(SLICE) == PartitionState::Waits {
            if is_over() {
                return Err(Halt::Over);
            }
            let obstacle = self.0.obstacle();
            if obstacle != last_reported {
                warn!(group = self.0.group(), obstacle, "waiting for the group to assign the catalog's partition");
                last_reported = obstacle;
            }
        }
        Ok(self.check()?)
    }

    /// Whether this member has the place, as far as is known without waiting.
    pub(super) fn check(&self) -> Result<(), CatalogError> {
        let group = self.0.group();
        match self.0.partition_state() {
            PartitionState::Holds => Ok(()),
            PartitionState::Waits => {
                Err(CatalogError::Fenced(format!("the group `{group}` has given the lead to another one")))
            }
            PartitionState::Lost => Err(CatalogError::Fenced(format!(
                "the group `{group}` has taken the lead away, as for a while it did not hear of this coordinator, or this one not of it"
            ))),
        }
    }
}
