//! Whether the positions that a broker answers with are all those that were committed.
//!
//! A broker whose group coordinator moves away and back within a second may answer for groups as if they had never committed, until it is
//! restarted (seen with Kafka 4.3 under load). A task that took that for a beginning would read its input from the start again, and remove its files. So a
//! process remembers which positions it knows to be committed, reads again where one is missing, and starts no task without it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use davy_engine::log::SplitId;
use davy_engine::{Error, Result};

use crate::clock;

/// How long positions that are missing are read again.
const PATIENCE: Duration = Duration::from_secs(60);

/// The splits of a task for which this process knows a position to be committed.
#[derive(Debug, Default)]
pub(crate) struct KnownPositions(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    splits: BTreeSet<SplitId>,
    missing_since: Option<Instant>,
}

impl KnownPositions {
    /// Notes that these splits have a committed position.
    pub(super) fn note<'a>(&self, splits: impl Iterator<Item = &'a SplitId>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for split in splits {
            if !known.splits.contains(split) {
                known.splits.insert(split.clone());
            }
        }
    }

    /// Checks an answer for `splits`: it has a position for those in `found`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where a position is missing that is known to be committed; after a minute [`Error::Invalid`].
    pub(super) fn check(&self, splits: &[SplitId], found: &BTreeSet<&SplitId>) -> Result<()> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = splits.iter().find(|split| known.splits.contains(split) && !found.contains(split));
        let Some(split) = missing else {
            known.missing_since = None;
            return Ok(());
        };
        let since = *known.missing_since.get_or_insert_with(clock::now);
        let why = format!("the broker has no position for split `{split}` any more, although one was committed");
        if clock::since(since) < PATIENCE {
            return Err(Error::Unavailable(why));
        }
        let restart = "restart the broker that coordinates the consumer group, which may have lost what is in its log, unless the group was \
                       deleted; then start the pipeline again";
        Err(Error::invalid(why).hint(restart))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits(names: &[&str]) -> Vec<SplitId> {
        names.iter().map(|name| SplitId::from(*name)).collect()
    }

    #[test]
    fn a_position_that_was_committed_has_to_be_found() {
        let known = KnownPositions::default();
        let (all, none) = (splits(&["t/0", "t/1"]), BTreeSet::new());
        known.check(&all, &none).expect("nothing is known yet");
        known.note(splits(&["t/1"]).iter());
        let missing = known.check(&all, &BTreeSet::from([&all[0]]));
        assert!(matches!(&missing, Err(Error::Unavailable(why)) if why.contains("`t/1`")), "{missing:?}");
        known.check(&all, &BTreeSet::from([&all[1]])).expect("all that is known");
        known.check(&splits(&["t/2"]), &none).expect("others are not read");
    }

    #[test]
    fn a_position_that_stays_missing_ends_the_task() {
        let known = KnownPositions::default();
        let all = splits(&["t/0"]);
        known.note(all.iter());
        known.0.lock().expect("a lock").missing_since = clock::now().checked_sub(PATIENCE);
        let missing = known.check(&all, &BTreeSet::new());
        assert!(matches!(&missing, Err(Error::Invalid(_))), "{missing:?}");
    }
}
