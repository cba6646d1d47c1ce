//! A source over random rows: which split is next and how much comes at once is left to chance.

use std::collections::{BTreeMap, VecDeque};

use davy_engine::Result;
use davy_engine::connector::Share;
use davy_engine::log::{Fetched, Payload, Polled, Position, Source, SplitId};

use super::Rng;
use super::schedule::Schedule;
use super::stream::Row;

/// A table's share of splits, read in a random order and cut at random. A position is the number of records before it.
pub struct SplitSource {
    all: BTreeMap<SplitId, Vec<String>>,
    left: BTreeMap<SplitId, (u64, VecDeque<String>)>,
    rng: Rng,
    schedule: Schedule,
}

impl SplitSource {
    pub fn new(rows: &[Row], share: Share, schedule: Schedule, seed: u64) -> Self {
        let mut all: BTreeMap<SplitId, Vec<String>> = BTreeMap::new();
        for row in rows {
            all.entry(row.split.clone()).or_default().push(row.text.clone());
        }
        let all = all
            .into_iter()
            .enumerate()
            .filter(|(at, _)| at % share.count == share.index)
            .map(|(_, split)| split)
            .collect();
        Self { all, left: BTreeMap::new(), rng: Rng::new(seed), schedule }
    }
}

impl Source for SplitSource {
    fn splits(&mut self) -> Result<Vec<SplitId>> {
        Ok(self.all.keys().cloned().collect())
    }

    fn assign(&mut self, split: &SplitId, from: Position) -> Result<()> {
        let left = self.all[split].iter().skip(from.0 as usize).cloned().collect();
        self.left.insert(split.clone(), (from.0, left));
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled> {
        let waiting: Vec<SplitId> =
            self.left.iter().filter(|(_, (_, left))| !left.is_empty()).map(|(split, _)| split.clone()).collect();
        if waiting.is_empty() {
            return Ok(Polled::End);
        }
        if !self.schedule.exact && self.rng.percent(10) {
            return Ok(Polled::Pending);
        }
        let split = self.rng.pick(&waiting).clone();
        let most = self.schedule.records_per_poll;
        let wanted = if self.schedule.exact { most } else { 1 + self.rng.below(most) };
        let (position, left) = self.left.get_mut(&split).expect("waiting splits are assigned");
        let records: Vec<String> = left.drain(..wanted.min(left.len())).collect();
        let start = Position(*position);
        *position += records.len() as u64;
        let payload = Payload::Bytes(records.join("\n").into_bytes());
        let end_of_split = left.is_empty() && self.rng.percent(50);
        Ok(Polled::Data(Fetched {
            start,
            next: Position(*position),
            split,
            preamble: None,
            payload,
            messages: None,
            end_of_split,
        }))
    }
}
