//! Canaries: with one protection taken away the suite must go red, or it would not notice if the engine lost it.

use std::collections::BTreeMap;

use davy_engine::log::memory::MemoryCommit;
use davy_engine::log::{Commit, CommitRecord, Fetched, Found, Payload, Polled, Position, Source, SplitId, Transaction};
use davy_engine::{Error, Result};

use super::Rng;
use super::agree::check_case;
use super::schedule::{Crashes, Schedule};
use super::scripts::{SCRIPTS, by_name};
use super::source::SplitSource;
use super::stream::{Input, Shape};

/// Which protection is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    Nothing,
    /// A fenced owner takes over again and commits all the same.
    NoFencing,
    /// Positions are committed first, rows after; a crash comes between.
    PositionsFirst,
    /// Rows are committed first, positions after; a crash comes between.
    RowsFirst,
    /// Stage 2 forgets what open windows still need and goes on from where it had come to.
    NoReplay,
    /// A commit forgets how far its windows have closed.
    ForgetsClosed,
    /// A commit forgets what other stages' tasks have reported.
    ForgetsSenders,
    /// A commit forgets its splits' watermarks.
    ForgetsWatermarks,
    /// After a recovery a record is left out.
    SkipsRecord,
    /// After a recovery a record comes twice.
    RepeatsRecord,
}

pub struct BrokenCommit {
    inner: MemoryCommit,
    broken: Broken,
    rng: Rng,
    last: CommitRecord,
}

impl BrokenCommit {
    pub fn new(inner: MemoryCommit, broken: Broken, rng: Rng) -> Self {
        Self { inner, broken, rng, last: CommitRecord::default() }
    }

    /// Only one half reaches the log.
    fn half(&mut self, transaction: Transaction) -> Result<()> {
        self.inner.commit(transaction)?;
        Err(Error::Unavailable("crashed between the halves of a commit".into()))
    }
}

impl Commit for BrokenCommit {
    fn take_over(&mut self, splits: &[SplitId]) -> Result<Found> {
        let last = self.inner.take_over(splits)?;
        self.last = last.clone().whole().unwrap_or_default();
        Ok(last)
    }

    fn commit(&mut self, mut transaction: Transaction) -> Result<()> {
        let crashes_between = self.rng.percent(10);
        match self.broken {
            Broken::NoFencing => {
                if matches!(self.inner.check_owner(), Err(Error::Fenced(_))) {
                    self.inner.take_over(&[])?;
                }
            }
            Broken::PositionsFirst if crashes_between => {
                let record = transaction.record;
                return self.half(Transaction { record, ..Transaction::default() });
            }
            Broken::RowsFirst if crashes_between => {
                let fingerprint = transaction.record.fingerprint;
                return self
                    .half(Transaction { record: CommitRecord { fingerprint, ..self.last.clone() }, ..transaction });
            }
            Broken::NoReplay => transaction.record.replay_from = transaction.record.positions.clone(),
            Broken::ForgetsClosed => transaction.record.closed_through = None,
            Broken::ForgetsSenders => {
                transaction.record.heard.clear();
                transaction.record.expected = None;
            }
            Broken::ForgetsWatermarks => transaction.record.watermarks.clear(),
            _ => {}
        }
        self.last = transaction.record.clone();
        self.inner.commit(transaction)
    }
}

pub struct BrokenSource {
    inner: SplitSource,
    broken: Broken,
    moved: BTreeMap<SplitId, Position>,
}

impl BrokenSource {
    pub fn new(inner: SplitSource, broken: Broken) -> Self {
        Self { inner, broken, moved: BTreeMap::new() }
    }
}

impl Source for BrokenSource {
    fn splits(&mut self) -> Result<Vec<SplitId>> {
        self.inner.splits()
    }

    fn assign(&mut self, split: &SplitId, from: Position) -> Result<()> {
        if from.0 == 0 {
            return self.inner.assign(split, from);
        }
        match self.broken {
            Broken::SkipsRecord => {
                self.moved.insert(split.clone(), from);
                self.inner.assign(split, Position(from.0 + 1))
            }
            Broken::RepeatsRecord => {
                self.moved.insert(split.clone(), from);
                self.inner.assign(split, Position(from.0 - 1))
            }
            _ => self.inner.assign(split, from),
        }
    }

    fn poll(&mut self) -> Result<Polled> {
        let mut polled = self.inner.poll()?;
        if let Polled::Data(Fetched { split, start, payload: Payload::Bytes(_), .. }) = &mut polled
            && let Some(claimed) = self.moved.remove(split)
        {
            *start = claimed;
        }
        Ok(polled)
    }
}

/// Whether a case that passes with all protections fails without this one.
fn notices(broken: Broken, seed: u64) -> bool {
    let script = match broken {
        // Only windows that stay open across commits replay.
        Broken::NoReplay | Broken::ForgetsClosed => by_name("hop that divides"),
        Broken::ForgetsWatermarks => by_name("tumble"),
        _ => &SCRIPTS[seed as usize % SCRIPTS.len()],
    };
    let shape = if broken == Broken::ForgetsWatermarks { Shape::WILD } else { Shape::TAME };
    let input = Input::random(&mut Rng::new(seed), shape);
    let schedule = Schedule { crashes: Crashes::Random(10, 6), zombies: true, broken, ..Schedule::random(seed) };
    check_case(script, &input, schedule).is_err()
        && check_case(script, &input, Schedule { broken: Broken::Nothing, ..schedule }).is_ok()
}

#[test]
fn each_protection_that_is_taken_away_is_noticed() {
    let all = [
        Broken::NoFencing,
        Broken::PositionsFirst,
        Broken::RowsFirst,
        Broken::NoReplay,
        Broken::ForgetsClosed,
        Broken::ForgetsSenders,
        Broken::ForgetsWatermarks,
        Broken::SkipsRecord,
        Broken::RepeatsRecord,
    ];
    for broken in all {
        let red = (0..50).find(|&seed| notices(broken, seed));
        eprintln!("{broken:?} is noticed by seed {red:?}");
        assert!(red.is_some(), "no seed of 50 notices {broken:?}");
    }
}
