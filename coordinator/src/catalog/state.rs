//! The contents that a series of records leads to, the same for every catalog.

use std::collections::BTreeMap;

use super::{Record, Snapshot};
use crate::model::PipelineRecord;
use davy_proto::domain::{Epoch, PipelineId, Term};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pipelines: BTreeMap<PipelineId, PipelineRecord>,
    ceiling: Epoch,
    term: Term,
    leader: Option<String>,
}

impl State {
    /// Refuses records by which a number that only grows would fall.
    pub(super) fn check(&self, records: &[Record]) -> Result<(), String> {
        let (mut ceiling, mut term) = (self.ceiling, self.term);
        for record in records {
            match record {
                Record::Epochs { ceiling: next } if *next < ceiling => {
                    return Err(format!("the ceiling of epochs would fall from {ceiling} to {next}"));
                }
                Record::Leader { term: next, .. } if *next < term => {
                    return Err(format!("the leader's term would fall from {term} to {next}"));
                }
                Record::Epochs { ceiling: next } => ceiling = *next,
                Record::Leader { term: next, .. } => term = *next,
                Record::Pipeline(_) | Record::Forgotten { .. } => {}
            }
        }
        Ok(())
    }

    /// Applies a record that was checked.
    pub(super) fn apply(&mut self, record: Record) {
        match record {
            Record::Pipeline(pipeline) => {
                self.pipelines.insert(pipeline.id().clone(), *pipeline);
            }
            Record::Forgotten { id } => {
                self.pipelines.remove(&id);
            }
            Record::Epochs { ceiling } => self.ceiling = ceiling,
            Record::Leader { term, address } => (self.term, self.leader) = (term, Some(address)),
        }
    }

    pub(super) fn apply_all(&mut self, records: &[Record]) {
        records.iter().cloned().for_each(|record| self.apply(record));
    }

    /// Begins a new leader's term, without its address.
    pub(super) fn begin_term(&mut self) {
        self.term = self.next_term();
    }

    /// Term of the last leader.
    pub(super) fn term(&self) -> Term {
        self.term
    }

    /// Term of the next leader.
    pub(super) fn next_term(&self) -> Term {
        Term(self.term.0 + 1)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            pipelines: self.pipelines.values().cloned().collect(),
            ceiling: self.ceiling,
            term: self.term,
            leader: self.leader.clone(),
        }
    }
}

impl From<Snapshot> for State {
    fn from(snapshot: Snapshot) -> Self {
        let Snapshot { pipelines, ceiling, term, leader } = snapshot;
        let pipelines = pipelines.into_iter().map(|pipeline| (pipeline.id().clone(), pipeline)).collect();
        Self { pipelines, ceiling, term, leader }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_only_grow_may_stay_and_never_fall() {
        let epochs = |ceiling| Record::Epochs { ceiling: Epoch(ceiling) };
        let leader = |term| Record::Leader { term: Term(term), address: "here:1".to_owned() };
        let mut state = State::default();
        state.apply_all(&[epochs(5), leader(2)]);
        for (records, is_fine) in [
            (vec![epochs(5), leader(2)], true),
            (vec![epochs(6), epochs(7)], true),
            (vec![epochs(4)], false),
            (vec![epochs(9), epochs(8)], false),
            (vec![leader(1)], false),
            (vec![leader(4), leader(3)], false),
        ] {
            assert_eq!(state.check(&records).is_ok(), is_fine, "{records:?}");
        }
    }
}
