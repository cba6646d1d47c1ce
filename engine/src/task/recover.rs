//! Takes a task over: gathers what [`crate::recovery`] needs to know, and makes an error of what it refuses.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::log::{Bounds, Commit, CommitRecord, Found, Source, SplitId};
use crate::recovery::{Recovery, TaskFacts, decide};

/// Gathers what the decision needs, decides, and makes an error of a refusal.
pub(super) fn decide_recovery(
    task: &TaskFacts<'_>,
    found: Found,
    source: &mut dyn Source,
) -> Result<(Option<CommitRecord>, Vec<String>)> {
    let mut bounds: BTreeMap<SplitId, Bounds> = BTreeMap::new();
    if let Found::Splits(splits) = &found {
        let all = if splits.is_empty() {
            task.splits.to_vec()
        } else {
            splits.iter().map(|found| found.split.clone()).collect()
        };
        for split in all {
            bounds.extend(source.bounds(&split)?.map(|bounds| (split, bounds)));
        }
    }
    match decide(task, found, &|split| bounds.get(split).copied()) {
        Recovery::StartFresh => Ok((None, Vec::new())),
        Recovery::Resume(record, notices) => Ok((Some(*record), notices)),
        Recovery::Refuse { why, remedy } => Err(Recovery::refusal(task.name, &why, remedy)),
    }
}

/// A refusal, if what it was decided on is still committed. An owner that paused while a newer one continued, and while records that the
/// newer one no longer needs were deleted, would otherwise report that rows are lost.
pub(super) fn unless_overtaken(refusal: Error, commit: &mut dyn Commit, splits: &[SplitId], found: &Found) -> Error {
    match (found, commit.find(splits)) {
        (Found::Whole(_), _) => refusal,
        (Found::Splits(_), Ok(again)) if again == *found => refusal,
        (Found::Splits(_), Ok(_)) => Error::Fenced("another owner has committed since this one took over".into()),
        (Found::Splits(_), Err(error)) => error,
    }
}
