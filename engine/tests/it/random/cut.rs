//! Independence of the cut: however many records a poll gives and however often a task commits, the rows are the same.

use std::collections::{BTreeMap, VecDeque};

use davy_engine::Result;
use davy_engine::log::{Fetched, Payload, Polled, Position, Source, SplitId};

use super::rig::{Commits, Schedule, run};
use super::scripts::{SCRIPTS, planned};
use super::stream::{Input, Row, Shape};
use super::{Rng, check_shrunk, for_seeds};

/// A table's share of splits, read in a random order and cut at random. A position is the number of records before it.
pub struct SplitSource {
    all: BTreeMap<SplitId, Vec<String>>,
    left: BTreeMap<SplitId, (u64, VecDeque<String>)>,
    rng: Rng,
    schedule: Schedule,
}

impl SplitSource {
    /// The share is (index, count).
    pub fn new(rows: &[Row], share: (usize, usize), schedule: Schedule, seed: u64) -> Self {
        let mut all: BTreeMap<SplitId, Vec<String>> = BTreeMap::new();
        for row in rows {
            all.entry(row.split.clone()).or_default().push(row.text.clone());
        }
        let all = all.into_iter().enumerate().filter(|(at, _)| at % share.1 == share.0).map(|(_, split)| split).collect();
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
        Ok(Polled::Data(Fetched { start, next: Position(*position), split, preamble: None, payload, end_of_split }))
    }
}

/// Every cut of `CUTS` gives the same rows, and says of the same rows that they are late.
fn check(text: &str, input: &Input, seed: u64) -> Result<(), String> {
    let planned = planned(text);
    let mut first = None;
    for records_per_poll in [1, 2, 7, 1_000] {
        for steps in [1, 2, 5, 100] {
            let commits = Commits::Every(steps);
            let schedule = Schedule { records_per_poll, exact: true, commits, ..Schedule::random(seed) };
            let found = run(&planned, input, schedule)?.rows;
            let (cut, wanted) = first.get_or_insert_with(|| ((records_per_poll, steps), found.clone()));
            if found != *wanted {
                let other = (records_per_poll, steps);
                return Err(format!(
                    "(records per poll, steps per commit) {cut:?} gives {wanted:#?}\n{other:?} gives {found:#?}\n{text}"
                ));
            }
        }
    }
    Ok(())
}

fn check_seed(seed: u64, shape: Shape) -> Result<(), String> {
    let script = &SCRIPTS[seed as usize % SCRIPTS.len()];
    let input = Input::random(&mut Rng::new(seed), shape);
    check_shrunk(input, |input| check(&script.text_with_sides(), input, seed))
}

#[test]
fn the_cut_changes_no_row_within_the_bound_on_disorder() {
    for_seeds("cut::the_cut_changes_no_row_within_the_bound_on_disorder", 19, |seed| check_seed(seed, Shape::TAME));
}

#[test]
fn the_cut_changes_no_row_and_no_late_row() {
    for_seeds("cut::the_cut_changes_no_row_and_no_late_row", 38, |seed| check_seed(seed, Shape::WILD));
}
