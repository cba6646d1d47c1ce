//! Sets a task's watermark back, without running it: takes the task over, and commits what it found with an earlier watermark.

use std::collections::BTreeMap;

use super::recover::decide_recovery;
use super::{Context, TaskParts};
use crate::error::Result;
use crate::log::{CommitRecord, Transaction};
use crate::plan::StageInput;
use crate::recovery::reset::set_back;

/// The watermark of a task before and after; `None` where none was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetWatermark {
    pub before: Option<i64>,
    pub after: Option<i64>,
}

/// Sets back what lies beyond `to`. Tasks that write to this one have to be reset before it, because their records are left out up to here.
pub fn reset_watermark(parts: TaskParts, to: i64) -> Result<ResetWatermark> {
    let (context, mut source, mut commit) = Context::of(parts);
    let splits = source.splits()?;
    let found = commit.take_over(&splits)?;
    let facts = context.facts(source.accepts_loss(), &splits);
    let (last, _) = decide_recovery(&facts, found, source.as_mut())?;
    let Some(last) = last else { return Ok(ResetWatermark { before: None, after: None }) };
    let mut ends = BTreeMap::new();
    if let StageInput::Exchanges(_) = &context.dataflow.stages[context.stage].input {
        for split in &splits {
            ends.extend(source.bounds(split)?.map(|bounds| (split.clone(), bounds.end)));
        }
    }
    let record = set_back(last.clone(), to, &ends);
    let reset = ResetWatermark { before: greatest(&last), after: greatest(&record) };
    if record != last {
        commit.commit(Transaction { record, ..Transaction::default() })?;
    }
    Ok(reset)
}

fn greatest(record: &CommitRecord) -> Option<i64> {
    record.watermarks.values().copied().chain(record.expected).chain(record.closed_through).max()
}
