//! The transaction coordinator: per transactional id a producer, its epoch, and how far its transaction has come.
//!
//! ```text
//! Empty ──add──▶ Ongoing ──end──▶ Ending ──last marker──▶ Ended ──add──▶ Ongoing …
//!                   │  init or timeout: the epoch grows, then as an abort ▲
//!                   └─────────────────────────────────────────────────────┘
//! ```
//!
//! What makes late requests dangerous is here: of a request only the epoch is checked, not which transaction it was meant for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Producer, Refusal, TopicPartition};

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Empty,
    Ongoing,
    /// Decided, but some members have no marker yet.
    Ending {
        commits: bool,
    },
    Ended {
        commits: bool,
    },
}

/// Where a transaction needs a marker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Member {
    Partition(TopicPartition),
    Group(Arc<str>),
}

/// The state of a transactional id.
#[derive(Clone, Debug)]
pub(super) struct Transactional {
    pub(super) producer: Producer,
    pub(super) stage: Stage,
    members: BTreeSet<Member>,
    since: Duration,
}

impl Transactional {
    pub(super) fn new(id: u64) -> Self {
        let producer = Producer { id, epoch: 0 };
        Self { producer, stage: Stage::Empty, members: BTreeSet::new(), since: Duration::ZERO }
    }

    /// A new owner: the epoch grows and with it every older owner is fenced. An open transaction is aborted first.
    pub(super) fn init(&mut self) -> Result<Producer, Refusal> {
        match self.stage {
            Stage::Ongoing => {
                self.abort();
                Err(Refusal::Concurrent)
            }
            Stage::Ending { .. } => Err(Refusal::Concurrent),
            Stage::Empty | Stage::Ended { .. } => {
                self.producer.epoch += 1;
                self.stage = Stage::Empty;
                Ok(self.producer)
            }
        }
    }

    /// Aborts the open transaction and fences its owner.
    fn abort(&mut self) {
        self.producer.epoch += 1;
        self.stage = Stage::Ending { commits: false };
    }

    /// Aborts a transaction that is open for too long; returns whether it was.
    pub(super) fn expire(&mut self, now: Duration, timeout: Duration) -> bool {
        let is_over = self.stage == Stage::Ongoing && timeout <= now.saturating_sub(self.since);
        if is_over {
            self.abort();
        }
        is_over
    }

    /// Takes a partition or a group into the transaction, and begins one where none is open.
    pub(super) fn add(&mut self, member: Member, now: Duration) -> Result<(), Refusal> {
        match self.stage {
            Stage::Ending { .. } => return Err(Refusal::Concurrent),
            Stage::Ongoing => {}
            Stage::Empty | Stage::Ended { .. } => {
                self.stage = Stage::Ongoing;
                self.since = now;
                self.members.clear();
            }
        }
        self.members.insert(member);
        Ok(())
    }

    /// Whether a transaction is open that this is a member of.
    pub(super) fn has(&self, member: &Member) -> bool {
        self.stage == Stage::Ongoing && self.members.contains(member)
    }

    /// Decides the open transaction, whichever it is.
    pub(super) fn end(&mut self, commits: bool) -> Result<(), Refusal> {
        match self.stage {
            Stage::Ongoing => {
                self.stage = Stage::Ending { commits };
                Ok(())
            }
            Stage::Ending { commits: decided } if decided == commits => Err(Refusal::Concurrent),
            Stage::Ended { commits: decided } if decided == commits => Ok(()),
            Stage::Empty | Stage::Ending { .. } | Stage::Ended { .. } => Err(Refusal::InvalidState),
        }
    }

    /// The next member that needs a marker, and whether the marker commits; the last one ends the transaction.
    pub(super) fn next_marker(&mut self) -> Option<(Member, bool)> {
        let Stage::Ending { commits } = self.stage else { return None };
        let member = self.members.pop_first();
        if self.members.is_empty() {
            self.stage = Stage::Ended { commits };
        }
        member.map(|member| (member, commits))
    }
}
