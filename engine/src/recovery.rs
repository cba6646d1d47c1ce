//! What a task does with the commit it finds when it takes over: one pure decision.
//!
//! | last commit | its fingerprint | decision |
//! |---|---|---|
//! | none | – | start fresh, from where the source says |
//! | there | this plan's | resume: replay what open windows need, then go on |
//! | there | another plan's | refuse, naming both |
//! | there, positions below the replay start | this plan's | refuse: the record contradicts itself |

use crate::error::{Error, Result};
use crate::log::CommitRecord;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing was ever committed.
    StartFresh,
    /// Go on from here.
    Resume(CommitRecord),
}

/// Decides; see the table above.
pub fn decide(task: &str, fingerprint: u64, last: Option<CommitRecord>) -> Result<Recovery> {
    let Some(record) = last else { return Ok(Recovery::StartFresh) };
    if record.fingerprint != fingerprint {
        return Err(Error::invalid(format!(
            "task `{task}`: the committed position was written by plan `{:08x}`, this build plans `{fingerprint:08x}`",
            record.fingerprint
        ))
        .hint("drain with the script or build that wrote it, or start fresh under another name"));
    }
    for (split, from) in &record.replay_from {
        if record.positions.get(split).is_none_or(|position| position < from) {
            return Err(Error::invalid(format!(
                "task `{task}`: the last commit would replay split `{split}` from {} but never read that far",
                from.0
            ))
            .hint("the commit is damaged; start fresh under another name"));
        }
    }
    Ok(Recovery::Resume(record))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Position, SplitId};

    fn record(fingerprint: u64, replay: Option<u64>, position: Option<u64>) -> CommitRecord {
        let split = SplitId::from("x/0");
        CommitRecord {
            fingerprint,
            replay_from: replay.map(|at| (split.clone(), Position(at))).into_iter().collect(),
            positions: position.map(|at| (split, Position(at))).into_iter().collect(),
            ..CommitRecord::default()
        }
    }

    #[test]
    fn every_row_of_the_table() {
        let fine = record(7, Some(3), Some(9));
        assert_eq!(decide("t", 7, None).expect("fresh"), Recovery::StartFresh);
        assert_eq!(decide("t", 7, Some(fine.clone())).expect("resume"), Recovery::Resume(fine.clone()));
        let refused = [
            (8, fine, "written by plan `00000007`, this build plans `00000008`"),
            (7, record(7, Some(3), Some(2)), "would replay split `x/0` from 3"),
            (7, record(7, Some(3), None), "would replay split `x/0` from 3"),
        ];
        for (fingerprint, record, expected) in refused {
            let error = decide("t", fingerprint, Some(record)).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
