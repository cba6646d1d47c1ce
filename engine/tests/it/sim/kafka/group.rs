//! Committed positions of groups, and those that wait for their transaction to end.

use std::collections::BTreeMap;
use std::sync::Arc;

use davy_engine::log::{Position, SplitId};

type Key = (Arc<str>, SplitId);

/// Positions with their metadata.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    committed: BTreeMap<Key, (Position, String)>,
    pending: BTreeMap<u64, BTreeMap<Key, (Position, String)>>,
}

impl Groups {
    /// Holds positions until the transaction of `producer` ends. The last one of a split counts.
    pub(super) fn wait(&mut self, producer: u64, group: &Arc<str>, positions: &[(SplitId, Position, String)]) {
        let pending = self.pending.entry(producer).or_default();
        for (split, position, text) in positions {
            pending.insert((Arc::clone(group), split.clone()), (*position, text.clone()));
        }
    }

    /// Commits the positions of a producer's transaction, or drops them.
    pub(super) fn end(&mut self, producer: u64, group: &Arc<str>, commits: bool) {
        let Some(pending) = self.pending.get_mut(&producer) else { return };
        let (ended, other) = std::mem::take(pending).into_iter().partition(|((of, _), _)| of == group);
        *pending = other;
        if commits {
            self.committed.extend::<BTreeMap<_, _>>(ended);
        }
    }

    /// Deletes what is committed of a split.
    pub(super) fn expire(&mut self, group: &Arc<str>, split: &SplitId) {
        self.committed.remove(&(Arc::clone(group), split.clone()));
    }

    /// Whether no transaction is open that may change one of these.
    pub(super) fn is_stable(&self, group: &Arc<str>, splits: &[SplitId]) -> bool {
        let is_requested = |key: &Key| key.0 == *group && splits.contains(&key.1);
        !self.pending.values().any(|pending| pending.keys().any(is_requested))
    }

    /// What is committed of a split.
    pub(super) fn committed(&self, group: &Arc<str>, split: &SplitId) -> Option<&(Position, String)> {
        self.committed.get(&(Arc::clone(group), split.clone()))
    }
}
