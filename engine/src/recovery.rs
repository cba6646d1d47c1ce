//! What a task does with the commit it finds when it takes over: one pure decision.
//!
//! For each of the task's splits the caller knows whether a position is committed, its offset metadata, and which records the split
//! still holds. The first row that fits decides.
//!
//! | what is found | decision |
//! |---|---|
//! | for stage 2: no split has a commit, and the exchange was purged | refuse: the stage has run, and its positions are gone |
//! | no split has a commit | start fresh, where the table says |
//! | offset metadata that cannot be read (not ours, damaged, another version) | refuse: go back to the old build, or start fresh under another name |
//! | offset metadata of another plan | refuse, naming both |
//! | offset metadata of another task, or of another number of tasks | refuse: tasks are fixed when a pipeline is made |
//! | offset metadata that disagrees on what is closed, or replays from behind its position | refuse: damaged |
//! | a position behind what the split holds (retention ran past it) | refuse, naming how much is lost; go on from the first that is there where the table says `on_loss = 'continue'` |
//! | a position beyond the split's end (the topic was made anew) | refuse; `on_loss = 'continue'` begins it anew |
//! | for stage 2: a replay that begins behind what the exchange holds | refuse: windows would lose rows |
//! | a position without offset metadata (set by an administrator) | resume there, and say loudly that state is gone |
//! | for stage 2: a split without a commit beside others with one | refuse: partitions were added by hand, or positions deleted |
//! | a table's split without a commit before one with a commit | refuse: its position is gone; read it again where the table says `on_loss = 'continue'` |
//! | a table's split without a commit behind all with one | resume the others; it has joined, and is read from its beginning |
//! | everything in order | resume |
//!
//! A log that keeps the record whole (the one in memory) is checked for the plan and for the replay only.

use crate::error::Error;
use crate::log::offset_metadata::{OffsetMetadata, SplitMetadata, SplitState, record_of};
use crate::log::{Bounds, CommitRecord, Found, FoundSplit, Position, SplitId};

/// The task that recovers.
#[derive(Clone, Copy, Debug)]
pub struct TaskFacts<'a> {
    pub name: &'a str,
    /// Which of its stage's tasks.
    pub index: u32,
    /// How many there are.
    pub n_tasks: u32,
    pub fingerprint: u64,
    /// Its splits, in the order in which they appeared.
    pub splits: &'a [SplitId],
    pub reads: Reads,
    /// Whether rows that are gone from a split may be done without.
    pub accepts_loss: bool,
}

/// What a task reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// New splits may appear.
    Table,
    /// Commits have a position of every split.
    Exchanges,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing was ever committed.
    StartFresh,
    /// Go on from here; and what a person should know of it.
    Resume(Box<CommitRecord>, Vec<String>),
    Refuse {
        why: String,
        /// What a person can do.
        remedy: &'static str,
    },
}

impl Recovery {
    /// The error of a refusal.
    pub fn refusal(task: &str, why: &str, remedy: &'static str) -> Error {
        Error::invalid(format!("task `{task}`: {why}")).hint(remedy)
    }
}

const OTHER_NAME: &str = "start fresh under another name, or go back to the build that wrote it";
const OTHER_PLAN: &str = "drain with the script or build that wrote it, or start fresh under another name";
const FIXED_TASKS: &str = "run it with the number of tasks it was made with, or start fresh under another name";
const DAMAGED: &str = "the commit is damaged; start fresh under another name";
const LOST: &str =
    "to do without them, say 'source.on_loss' = 'continue' for the table, or start fresh under another name";
const MADE_ANEW: &str =
    "if the topic was made anew, say 'source.on_loss' = 'continue' for the table, or start fresh under another name";
const PURGED: &str = "records were deleted before they could be done without; start fresh under another name, or, where it is a table's topic, \
                      say 'source.on_loss' = 'continue' for the table";

const POSITIONS_GONE: &str =
    "Kafka deletes positions of a pipeline that has not run for a week; start fresh under another name";
const EXCHANGE_CHANGED: &str =
    "partitions of an exchange are never added, and its positions never deleted; start fresh under another name";
const POSITION_GONE: &str = "set its position with kafka-consumer-groups.sh, or, to read it again from its beginning, say \
                             'source.on_loss' = 'continue' for the table";

/// Decides; see the table above. `bounds` says what is still there of a split, where that is known.
pub fn decide(task: &TaskFacts<'_>, found: Found, bounds: &dyn Fn(&SplitId) -> Option<Bounds>) -> Recovery {
    match found {
        Found::Whole(None) => Recovery::StartFresh,
        Found::Whole(Some(record)) => decide_whole(task, *record),
        Found::Splits(splits) if splits.is_empty() => match purged(task, bounds) {
            Some(why) => refuse(why, POSITIONS_GONE).into(),
            None => Recovery::StartFresh,
        },
        Found::Splits(splits) => decide_splits(task, splits, bounds).unwrap_or_else(Into::into),
    }
}

/// Why not, and how to fix it.
struct Refusal {
    why: String,
    remedy: &'static str,
}

impl From<Refusal> for Recovery {
    fn from(Refusal { why, remedy }: Refusal) -> Self {
        Self::Refuse { why, remedy }
    }
}

fn refuse(why: String, remedy: &'static str) -> Refusal {
    Refusal { why, remedy }
}

fn other_plan(written: u64, planned: u64) -> Refusal {
    let why = format!("the committed position was written by plan `{written:08x}`, this build plans `{planned:08x}`");
    refuse(why, OTHER_PLAN)
}

fn replays_too_far(split: &SplitId, from: Position) -> Refusal {
    refuse(format!("the last commit would replay split `{split}` from {} but never read that far", from.0), DAMAGED)
}

fn decide_whole(task: &TaskFacts<'_>, record: CommitRecord) -> Recovery {
    if record.fingerprint != task.fingerprint {
        return other_plan(record.fingerprint, task.fingerprint).into();
    }
    for (split, from) in &record.replay_from {
        if record.positions.get(split).is_none_or(|position| position < from) {
            return replays_too_far(split, *from).into();
        }
    }
    Recovery::Resume(Box::new(record), Vec::new())
}

fn decide_splits(
    task: &TaskFacts<'_>,
    mut found: Vec<FoundSplit>,
    bounds: &dyn Fn(&SplitId) -> Option<Bounds>,
) -> Result<Recovery, Refusal> {
    let mut notices = Vec::new();
    check_missing(task, &found, &mut notices)?;
    let mut closed_through = None;
    for entry in &mut found {
        let FoundSplit { split, position, metadata } = &*entry;
        match metadata {
            OffsetMetadata::Unreadable(why) => {
                return Err(refuse(
                    format!("the offset metadata beside the position of split `{split}` cannot be read: {why}"),
                    OTHER_NAME,
                ));
            }
            OffsetMetadata::Erased => notices.push(format!(
                "split `{split}`: the position {} was set from outside; reading goes on there with nothing remembered",
                position.0
            )),
            OffsetMetadata::Valid(metadata) => {
                check_writer(task, split, metadata)?;
                check_windows(split, *position, metadata.state, &mut closed_through)?;
            }
        }
        if let Some(bounds) = bounds(split) {
            check_bounds(task, entry, bounds, &mut notices)?;
        }
    }
    let record = CommitRecord { fingerprint: task.fingerprint, ..record_of(&found) };
    Ok(Recovery::Resume(Box::new(record), notices))
}

/// Only a stage that has run deletes records of its exchange.
fn purged(task: &TaskFacts<'_>, bounds: &dyn Fn(&SplitId) -> Option<Bounds>) -> Option<String> {
    let begins = |split: &SplitId| bounds(split).map_or(0, |bounds| bounds.first.0);
    let split = task.splits.iter().find(|split| task.reads == Reads::Exchanges && 0 < begins(split))?;
    let first = begins(split);
    Some(format!("no position is committed, but split `{split}` begins at {first}, so the stage has run before"))
}

fn check_missing(task: &TaskFacts<'_>, found: &[FoundSplit], notices: &mut Vec<String>) -> Result<(), Refusal> {
    let is_missing = |split: &SplitId| found.iter().all(|found| found.split != *split);
    let known = match task.reads {
        Reads::Exchanges => task.splits,
        // Splits behind the last one with a position have joined.
        Reads::Table => {
            let n_known = task.splits.iter().rposition(|split| !is_missing(split)).map_or(0, |last| last + 1);
            &task.splits[..n_known]
        }
    };
    for split in known.iter().filter(|split| is_missing(split)) {
        let why = format!("split `{split}` has no committed position, although others have");
        match task.reads {
            Reads::Exchanges => return Err(refuse(why, EXCHANGE_CHANGED)),
            Reads::Table if !task.accepts_loss => return Err(refuse(why, POSITION_GONE)),
            Reads::Table => notices.push(format!("{why}; it is read from its beginning")),
        }
    }
    Ok(())
}

fn check_writer(task: &TaskFacts<'_>, split: &SplitId, metadata: &SplitMetadata) -> Result<(), Refusal> {
    if metadata.fingerprint != task.fingerprint {
        return Err(other_plan(metadata.fingerprint, task.fingerprint));
    }
    if (metadata.task, metadata.n_tasks) != (task.index, task.n_tasks) {
        let why = format!(
            "split `{split}` was committed by task {} of {}, this is task {} of {}",
            metadata.task, metadata.n_tasks, task.index, task.n_tasks
        );
        return Err(refuse(why, FIXED_TASKS));
    }
    Ok(())
}

/// `closed` is what the splits before it say is closed.
fn check_windows(
    split: &SplitId,
    position: Position,
    state: SplitState,
    closed: &mut Option<i64>,
) -> Result<(), Refusal> {
    let SplitState::Windows { replay_from, closed_through, .. } = state else { return Ok(()) };
    if position < replay_from {
        return Err(replays_too_far(split, replay_from));
    }
    if closed.replace(closed_through).is_some_and(|other| other != closed_through) {
        return Err(refuse(
            format!("the offset metadata of its splits disagrees on what is closed, `{split}` among them"),
            DAMAGED,
        ));
    }
    Ok(())
}

fn check_bounds(
    task: &TaskFacts<'_>,
    found: &mut FoundSplit,
    bounds: Bounds,
    notices: &mut Vec<String>,
) -> Result<(), Refusal> {
    let FoundSplit { split, position, metadata } = found;
    let mut replay = match metadata {
        OffsetMetadata::Valid(SplitMetadata { state: SplitState::Windows { replay_from, .. }, .. }) => {
            Some(replay_from)
        }
        OffsetMetadata::Valid(_) | OffsetMetadata::Erased | OffsetMetadata::Unreadable(_) => None,
    };
    if let Some(replay_from) = &mut replay
        && **replay_from < *position
        && **replay_from < bounds.first
    {
        let why =
            format!("open windows need split `{split}` from {}, but it begins at {}", replay_from.0, bounds.first.0);
        if !task.accepts_loss {
            return Err(refuse(why, PURGED));
        }
        notices.push(why);
        **replay_from = bounds.first.min(*position);
    }
    let (why, remedy) = if *position < bounds.first {
        let lost = bounds.first.0 - position.0;
        let why = format!(
            "split `{split}` begins at {}, reading had come to {}: {lost} messages are lost",
            bounds.first.0, position.0
        );
        (why, LOST)
    } else if bounds.end < *position {
        let why = format!(
            "split `{split}` ends at {}, but reading had come to {}: it is another topic now",
            bounds.end.0, position.0
        );
        (why, MADE_ANEW)
    } else {
        return Ok(());
    };
    if !task.accepts_loss {
        return Err(refuse(why, remedy));
    }
    notices.push(why);
    *position = bounds.first;
    if let Some(replay_from) = replay {
        *replay_from = bounds.first;
    }
    Ok(())
}

pub mod reset;
#[cfg(test)]
mod tests;
