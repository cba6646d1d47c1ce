//! Whether the positions that a broker answers with are all those that were committed.
//!
//! A broker whose group coordinator moves away and back within a second may answer while it still loads what was committed: as if groups had
//! never committed, or with positions from long ago; the former until it is restarted (both seen with Kafka 4.3 under load). A task that
//! believed that would read its input again, and remove its files. So a process remembers the positions that it knows to be committed,
//! reads again where one is missing or older, and starts no task with it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use davy_engine::log::{Position, SplitId};
use davy_engine::{Error, Result};

use crate::clock;

/// How long positions that are missing or older are read again.
const PATIENCE: Duration = Duration::from_secs(60);

/// The positions of a task that this process knows to be committed.
#[derive(Debug, Default)]
pub(crate) struct KnownPositions(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    positions: BTreeMap<SplitId, Position>,
    wrong_since: Option<Instant>,
}

impl KnownPositions {
    /// Notes that these positions are committed.
    pub(super) fn note<'a>(&self, committed: impl Iterator<Item = (&'a SplitId, Position)>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (split, position) in committed {
            match known.positions.get_mut(split) {
                Some(known) => *known = position,
                None => drop(known.positions.insert(split.clone(), position)),
            }
        }
    }

    /// Checks an answer for `splits`: which positions it has.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where a position is missing that is known to be committed, or is older; after a minute [`Error::Invalid`].
    pub(super) fn check(&self, splits: &[SplitId], found: &BTreeMap<&SplitId, Position>) -> Result<()> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wrong = splits.iter().find_map(|split| {
            let committed = *known.positions.get(split)?;
            wrong(split, committed, found.get(split).copied())
        });
        let Some(why) = wrong else {
            known.wrong_since = None;
            return Ok(());
        };
        let since = *known.wrong_since.get_or_insert_with(clock::now);
        if clock::since(since) < PATIENCE {
            return Err(Error::Unavailable(why));
        }
        let restart = "restart the broker that coordinates the consumer group, which may have lost what is in its log, unless the group was \
                       deleted or reset; then start the pipeline again";
        Err(Error::invalid(why).hint(restart))
    }
}

/// Why an answer cannot be what was committed.
fn wrong(split: &SplitId, committed: Position, found: Option<Position>) -> Option<String> {
    match found {
        None => Some(format!("the broker has no position for split `{split}` any more, although one was committed")),
        Some(found) if found < committed => Some(format!(
            "the broker has position {} for split `{split}`, although {} was committed since",
            found.0, committed.0
        )),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits(names: &[&str]) -> Vec<SplitId> {
        names.iter().map(|name| SplitId::from(*name)).collect()
    }

    #[test]
    fn positions_that_were_committed_have_to_be_found() {
        let all = splits(&["t/0", "t/1"]);
        let found = |positions: [Option<u64>; 2]| -> BTreeMap<&SplitId, Position> {
            all.iter().zip(positions).filter_map(|(split, position)| Some((split, Position(position?)))).collect()
        };
        let known = KnownPositions::default();
        known.check(&all, &found([None, None])).expect("nothing is known yet");
        known.note([(&all[1], Position(7))].into_iter());
        for (positions, expected) in [
            ([Some(3), None], Some("no position for split `t/1` any more")),
            ([None, Some(7)], None),
            ([None, Some(9)], None),
            ([None, Some(6)], Some("position 6 for split `t/1`, although 7 was committed since")),
        ] {
            let error = known.check(&all, &found(positions)).err();
            assert!(matches!(error, None | Some(Error::Unavailable(_))), "{error:?}");
            let why = error.map(|error| error.to_string());
            assert_eq!(why.is_some(), expected.is_some(), "{positions:?}: {why:?}");
            assert!(why.unwrap_or_default().contains(expected.unwrap_or_default()), "{positions:?}");
        }
        known.check(&splits(&["t/2"]), &BTreeMap::new()).expect("others are not read");
        // A topic that was created again: reading goes on at its begin, if the table says so.
        known.note([(&all[1], Position(0))].into_iter());
        known.check(&all, &found([None, Some(0)])).expect("the last commit counts");
    }

    #[test]
    fn a_position_that_stays_missing_ends_the_task() {
        let known = KnownPositions::default();
        let all = splits(&["t/0"]);
        known.note(all.iter().map(|split| (split, Position(1))));
        known.0.lock().expect("a lock").wrong_since = clock::now().checked_sub(PATIENCE);
        let missing = known.check(&all, &BTreeMap::new());
        assert!(matches!(&missing, Err(Error::Invalid(_))), "{missing:?}");
    }
}
