//! The versions of lists that a task uses: the same ones from one commit to the next.
//!
//! A list is published for all tasks at once, each task takes it up after its next commit. So every row that a commit covers was
//! compared with one version, which the commit names.
//!
//! DataFusion evaluates an expression without anything of the task that it is evaluated for. So a task says which versions are in force
//! on its thread while it works ([`Pinned::enter`]); a call outside of a task uses what is published.

use std::cell::RefCell;
use std::sync::Arc;

use super::{Lookup, Snapshot};
use crate::log::LookupVersions;

/// The lists of a task's dataflow, at the versions that are in force.
#[derive(Clone, Debug)]
pub(crate) struct Pinned(Vec<(Arc<Lookup>, Arc<Snapshot>)>);

thread_local! {
    static IN_FORCE: RefCell<Pinned> = const { RefCell::new(Pinned(Vec::new())) };
}

/// The version of a list for an expression that is evaluated on this thread.
pub(super) fn in_force(lookup: &Arc<Lookup>) -> Arc<Snapshot> {
    let pinned = IN_FORCE.with_borrow(|pinned| {
        let found = pinned.0.iter().find(|(other, _)| Arc::ptr_eq(other, lookup));
        found.map(|(_, snapshot)| Arc::clone(snapshot))
    });
    pinned.unwrap_or_else(|| lookup.published())
}

/// Restores what was in force on the thread before.
pub(crate) struct Entered(Option<Pinned>);

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(before) = self.0.take() {
            IN_FORCE.set(before);
        }
    }
}

impl Pinned {
    /// What is published now.
    pub(crate) fn new(lookups: &[Arc<Lookup>]) -> Self {
        Self(lookups.iter().map(|lookup| (Arc::clone(lookup), lookup.published())).collect())
    }

    /// Puts these versions in force on this thread until the returned value is dropped.
    pub(crate) fn enter(&self) -> Entered {
        let has_lists = !self.0.is_empty();
        Entered(has_lists.then(|| IN_FORCE.replace(self.clone())))
    }

    /// Takes up what is published now.
    pub(crate) fn renew(&mut self) {
        for (lookup, snapshot) in &mut self.0 {
            *snapshot = lookup.published();
        }
    }

    /// What a commit remembers.
    pub(crate) fn versions(&self) -> LookupVersions {
        let version = |(lookup, snapshot): &(Arc<Lookup>, Arc<Snapshot>)| (lookup.id(), snapshot.version.short());
        self.0.iter().map(version).collect()
    }

    /// What has changed since a commit, for a task that continues there.
    pub(crate) fn changes_since(&self, committed: &LookupVersions) -> Vec<String> {
        let change = |(lookup, snapshot): &(Arc<Lookup>, Arc<Snapshot>)| {
            let before = *committed.get(&lookup.id())?;
            let now = snapshot.version.short();
            (now != before).then(|| {
                format!(
                    "lookup table `{}`: the last commit used version {before:08x}, rows are read from there on with version \
                     {now:08x}",
                    lookup.declaration.name
                )
            })
        };
        self.0.iter().filter_map(change).collect()
    }
}
