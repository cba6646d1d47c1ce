//! The second stage alone, over an exchange whose records are known, read in any order of its partitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use davy_engine::Result;
use davy_engine::log::memory::exchange_split;
use davy_engine::log::{Bounds, Fetched, Partials, Payload, Polled, Position, Source, SplitId};
use davy_engine::operator::partial::WindowedAggregate;
use davy_engine::plan::StageInput;
use davy_engine::task::{Step, Task};

use super::rig::Rig;
use super::store::Store;
use crate::random::Rng;

/// What is in the exchange, by partition.
pub type Log = BTreeMap<SplitId, Vec<Partials>>;

fn aggregate(rig: &Rig) -> Arc<WindowedAggregate> {
    let StageInput::Exchanges(inputs) = &rig.dataflow.stages[1].input else { panic!("a stage over windows") };
    Arc::clone(&inputs[0].aggregate)
}

/// The log of a model's records, by partition.
pub fn log_of<R>(rig: &Rig, records: &[Vec<R>], partials: impl Fn(&R) -> Partials) -> Arc<Log> {
    let exchange = &aggregate(rig).exchange;
    let of_partition = |(partition, records): (usize, &Vec<R>)| {
        (exchange_split(exchange, partition as u32), records.iter().map(&partials).collect())
    };
    Arc::new(records.iter().enumerate().map(of_partition).collect())
}

/// A partial of a query that counts the rows of a text: the times that it begins with, the text, and how many rows.
pub type Row<'a, const N: usize> = ([i64; N], &'a str, i64);

pub fn batch<const N: usize>(rig: &Rig, rows: &[Row<'_, N>]) -> Option<RecordBatch> {
    let numbers =
        |value: &dyn Fn(&Row<'_, N>) -> i64| -> ArrayRef { Arc::new(rows.iter().map(value).collect::<Int64Array>()) };
    let schema = aggregate(rig).partial_schema().expect("a planned aggregate has a schema");
    let columns = schema.fields().iter().enumerate().map(|(index, field)| match field.data_type() {
        DataType::Int64 if index < N => numbers(&|(times, ..)| times[index]),
        DataType::Int64 => numbers(&|(.., n)| *n),
        _ => Arc::new(rows.iter().map(|(_, key, _)| Some(*key)).collect::<StringArray>()),
    });
    let columns = columns.collect();
    (!rows.is_empty()).then(|| RecordBatch::try_new(schema, columns).expect("a batch of partials"))
}

/// Reads the partitions in a random order.
pub struct LogSource {
    log: Arc<Log>,
    store: Store,
    positions: BTreeMap<SplitId, u64>,
    /// Before where it reads.
    ends: BTreeMap<SplitId, u64>,
    repeats: bool,
    rng: Rng,
}

impl LogSource {
    pub fn new(log: &Arc<Log>, store: &Store, rng: Rng) -> Self {
        let (log, store) = (Arc::clone(log), store.clone());
        Self { log, store, positions: BTreeMap::new(), ends: BTreeMap::new(), repeats: false, rng }
    }

    /// After the log, senders repeat themselves for ever, as they do every few seconds, and each owner hears all of them: one that has
    /// nothing to read again needs that.
    fn repeating(self) -> Self {
        Self { repeats: true, ..self }
    }

    fn end_of(&self, split: &SplitId) -> u64 {
        let records = &self.log[split];
        let n_repeated = records.first().filter(|_| self.repeats).map_or(0, |first| u64::from(first.senders));
        self.store.position(split).0.max(records.len() as u64) + n_repeated
    }

    fn record(&self, split: &SplitId, at: u64) -> Partials {
        let records = &self.log[split];
        if let Some(record) = records.get(at as usize) {
            return record.clone();
        }
        let after_log = at - records.len() as u64;
        let of_sender = |partials: &&Partials| after_log % u64::from(partials.senders) == u64::from(partials.sender);
        let last = records.iter().rfind(of_sender).expect("every sender has a record");
        Partials { batch: None, ..last.clone() }
    }
}

impl Source for LogSource {
    fn splits(&mut self) -> Result<Vec<SplitId>> {
        Ok(self.log.keys().cloned().collect())
    }

    fn bounds(&mut self, split: &SplitId) -> Result<Option<Bounds>> {
        Ok(Some(Bounds { first: self.store.purged_below(split), end: Position(self.end_of(split)) }))
    }

    fn assign(&mut self, split: &SplitId, from: Position) -> Result<()> {
        assert!(self.store.purged_below(split) <= from, "`{split}` is purged below what is read");
        self.positions.insert(split.clone(), from.0);
        self.ends.insert(split.clone(), self.end_of(split));
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled> {
        let is_left = |split: &&SplitId| self.positions[*split] < self.ends[*split];
        let waiting: Vec<SplitId> = self.positions.keys().filter(is_left).cloned().collect();
        if waiting.is_empty() {
            return Ok(Polled::Pending);
        }
        let split = self.rng.pick(&waiting).clone();
        let start = self.positions[&split];
        let partials = self.record(&split, start);
        self.positions.insert(split.clone(), start + 1);
        Ok(Polled::Data(Fetched {
            split,
            start: Position(start),
            next: Position(start + 1),
            preamble: None,
            payload: Payload::Partials(partials),
            messages: None,
            end_of_split: false,
        }))
    }
}

/// How a run goes.
#[derive(Clone, Debug)]
pub struct Schedule {
    seed: u64,
    commit_percent: usize,
    /// The commits after which the owner is replaced.
    crashes_after: Vec<usize>,
    /// How many steps in a hundred the owner is replaced after, some times.
    pub crash_percent: usize,
}

impl Schedule {
    /// Without crashes.
    pub fn calm(seed: u64) -> Self {
        let commit_percent = [15, 50, 90][seed as usize % 3];
        Self { seed, commit_percent, crashes_after: Vec::new(), crash_percent: 0 }
    }

    /// With a crash after each of so many commits and another one soon after it; and with crashes at random.
    pub fn with_crashes(&self, n_commits: usize, crash_percent: usize) -> Vec<Self> {
        let crashes = (1..n_commits).map(|at| vec![at, at + 1 + (at + self.seed as usize) % 3]);
        let mut schedules = vec![Self { crash_percent, ..self.clone() }];
        schedules.extend(crashes.map(|crashes_after| Self { crashes_after, ..self.clone() }));
        schedules
    }
}

/// Runs over a store until there is no more to read; how many commits there were then.
pub fn run(rig: &Rig, log: &Arc<Log>, store: &Store, schedule: &Schedule) -> Result<usize> {
    let mut rng = Rng::new(schedule.seed);
    let start = |rng: &mut Rng| -> Task {
        let source = LogSource::new(log, store, Rng::new(rng.next())).repeating();
        rig.start(Box::new(source), store, Duration::ZERO)
    };
    let mut task = start(&mut rng);
    let mut n_crashes = 0;
    loop {
        let step = task.step(Duration::ZERO)?;
        if n_crashes < 12 && rng.percent(schedule.crash_percent) {
            n_crashes += 1;
            task = start(&mut rng);
            continue;
        }
        let is_over = step == Step::Idle || step == Step::Ended;
        if !is_over && !rng.percent(schedule.commit_percent) {
            continue;
        }
        task.commit()?;
        let n_commits = store.committed().n_commits;
        if schedule.crashes_after.contains(&n_commits) {
            task = start(&mut rng);
        } else if is_over {
            return Ok(n_commits);
        }
    }
}
