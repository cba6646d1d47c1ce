//! What a pipeline has left behind on the broker, and whether it can go on from there.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use davy_engine::connector::Share;
use davy_engine::log::SplitId;
use davy_engine::log::memory::exchange_split;
use davy_engine::log::offset_metadata::{OffsetMetadata, SplitMetadata, SplitState};
use davy_engine::plan::{Dataflow, ExchangeInput, StageInput};
use davy_engine::{Error, Result};
use davy_kafka::KafkaConnection;

use super::beginning::readers;
use crate::connector::kafka::transactions::{Identity, committed_so_far};
use crate::host::{Shared, WantedTasks};

/// What a stage has left behind when it ran before.
pub(super) struct Past {
    /// How many tasks it has: as many as when the pipeline was made.
    pub(super) n_tasks: u32,
    /// The table that it reads, where no position of it is known and loss is not accepted.
    forgotten: Option<Arc<str>>,
    /// Whether it has heard of rows.
    has_heard: bool,
    /// Whether it has committed positions.
    pub(super) has_run: bool,
    /// Whether every split has a position.
    is_complete: bool,
    /// The plans that have left state.
    pub(super) states: BTreeSet<u64>,
}

pub(super) fn past_of(
    shared: &Shared,
    cluster: &KafkaConnection,
    (input, wanted): (&StageInput, WantedTasks),
    identity: &Identity,
) -> Result<Past> {
    let (splits, table) = match input {
        StageInput::Table(plan) => {
            let mut source = plan.table.table.source(&plan.schema, Share { index: 0, count: 1 })?;
            (source.splits()?, (!source.accepts_loss()).then(|| Arc::clone(&plan.table.name)))
        }
        StageInput::Exchanges(inputs) => (exchange_splits(inputs, shared.exchange_partitions), None),
    };
    let n_splits = match input {
        StageInput::Table(_) => splits.len() as u32,
        StageInput::Exchanges(_) => shared.exchange_partitions,
    };
    let found = committed_so_far(cluster, identity, &splits)?;
    let metadata: Vec<SplitMetadata> = found
        .iter()
        .filter_map(|(_, _, text)| match SplitMetadata::decode(text) {
            OffsetMetadata::Valid(metadata) => Some(metadata),
            OffsetMetadata::Erased | OffsetMetadata::Unreadable(_) => None,
        })
        .collect();
    let known = metadata.first().map(|metadata| metadata.n_tasks);
    let has_heard = |metadata: &SplitMetadata| match metadata.state {
        SplitState::Source { .. } => false,
        SplitState::Windows { expected, .. } => expected != i64::MIN,
    };
    Ok(Past {
        n_tasks: decide_tasks(known, wanted, n_splits)?,
        forgotten: table.filter(|_| found.is_empty()),
        has_heard: metadata.iter().any(has_heard),
        has_run: !metadata.is_empty(),
        is_complete: found.len() == splits.len(),
        states: metadata.iter().map(|metadata| metadata.fingerprint).collect(),
    })
}

/// Only a stage over a table that has committed positions writes into its exchange for good. Read from its beginning again, its rows would be
/// counted twice.
pub(super) fn check_exchanges(
    pasts: &[Past],
    topics: &HashMap<Arc<str>, Arc<str>>,
    has_records: &dyn Fn(&Arc<str>) -> Result<bool>,
) -> Result<()> {
    if pasts.iter().any(|past| past.has_run) {
        return Ok(());
    }
    for topic in topics.values() {
        if has_records(topic)? {
            return Err(Error::invalid(format!(
                "no position is committed for the pipeline, but its exchange `{topic}` has records: Kafka deletes positions of a pipeline \
                 that has not run for a week"
            ))
            .hint("start fresh under another name, or delete the topic to begin again under this one"));
        }
    }
    Ok(())
}

/// A task writes into an exchange only when all that read it have positions (see [`super::beginning`]). From the beginning of what it holds,
/// these would give out again what is in the output.
pub(super) fn check_windows(
    dataflow: &Dataflow,
    pasts: &[Past],
    topics: &HashMap<Arc<str>, Arc<str>>,
    has_records: &dyn Fn(&Arc<str>) -> Result<bool>,
) -> Result<()> {
    for writer in (0..pasts.len()).filter(|writer| pasts[*writer].has_run) {
        for reader in readers(dataflow, writer).filter(|reader| !pasts[*reader].is_complete) {
            let StageInput::Exchanges(inputs) = &dataflow.stages[reader].input else { continue };
            for topic in inputs.iter().filter_map(|input| topics.get(&input.aggregate.exchange.0)) {
                if has_records(topic)? {
                    return Err(windows_lost(topic));
                }
            }
        }
    }
    Ok(())
}
fn windows_lost(topic: &str) -> Error {
    Error::invalid(format!(
        "its tables were read into the exchange `{topic}`, but the windows behind it have no positions: Kafka deletes positions of a \
         pipeline that has not run for a week, or with their group. Windows that are in the output would be written again"
    ))
    .hint("start fresh under another name")
}

/// Windows that have heard of rows are behind a table whose positions were committed with these rows. Kafka forgets positions with their
/// topic: read as if it were new, the unread rest of the old one would be lost in silence.
///
/// The other way round, an exchange that had to be made for stages that have run: what they had written into it is gone, and with it the
/// rows of windows that were open.
pub(super) fn check_pasts(pasts: &[Past], made: &[Arc<str>]) -> Result<()> {
    if let (Some(topic), true) = (made.first(), pasts.iter().any(|past| past.has_run)) {
        return Err(Error::invalid(format!(
            "the exchange `{topic}` was deleted, and the rows of open windows with it; it is there again, and empty"
        ))
        .hint("start fresh under another name; run again, the pipeline goes on without these rows"));
    }
    let has_heard = pasts.iter().any(|past| past.has_heard);
    match pasts.iter().find_map(|past| past.forgotten.as_ref()) {
        Some(table) if has_heard => Err(Error::invalid(format!(
            "table `{table}`: its windows are there, but how far it was read is forgotten: the topic was made anew, or its \
             positions were deleted"
        ))
        .hint("say 'source.on_loss' = 'continue' for the table, or start fresh under another name")),
        _ => Ok(()),
    }
}

/// The splits of a stage over exchanges.
pub(super) fn exchange_splits(inputs: &[ExchangeInput], n_partitions: u32) -> Vec<SplitId> {
    let of = |number| inputs.iter().map(move |input| exchange_split(&input.aggregate.exchange, number));
    (0..n_partitions).flat_map(of).collect()
}

/// | made with | requested | tasks |
/// |---|---|---|
/// | – | anything | as requested, at most one per partition |
/// | n | nothing, or n | n |
/// | n | another number | refused: partitions belong to tasks for good |
fn decide_tasks(known: Option<u32>, wanted: WantedTasks, n_splits: u32) -> Result<u32> {
    let WantedTasks { n_tasks, is_fixed } = wanted;
    let wanted = n_tasks.min(n_splits.max(1));
    match known {
        None => Ok(wanted),
        Some(known) if known == wanted || !is_fixed => Ok(known),
        Some(known) => Err(Error::invalid(format!("the pipeline was made with {known} tasks, {wanted} are requested"))
            .hint(format!("run it with --tasks {known} or without, or start fresh under another name"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_tasks_stays_what_it_was() {
        let cases = [
            (None, 4, false, 8, Some(4)),
            (None, 4, true, 3, Some(3)),
            (None, 4, false, 0, Some(1)),
            (Some(2), 4, false, 8, Some(2)),
            (Some(2), 2, true, 8, Some(2)),
            (Some(2), 4, true, 8, None),
        ];
        for (known, n_tasks, is_fixed, n_splits, expected) in cases {
            let wanted = WantedTasks { n_tasks, is_fixed };
            assert_eq!(decide_tasks(known, wanted, n_splits).ok(), expected, "{known:?} {wanted:?}");
        }
    }
}
