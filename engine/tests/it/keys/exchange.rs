//! The second stage alone, over an exchange whose records are known, read in any order of its partitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, SchemaRef};
use davy_engine::log::memory::exchange_split;
use davy_engine::log::{Fetched, Partials, Payload, Polled, Position, Source, SplitId, SplitTime};
use davy_engine::operator::window::spec::WindowSpec;
use davy_engine::plan::StageInput;
use davy_engine::task::{Step, Task};
use davy_engine::time::Watermark;
use davy_engine::{Error, Result};

use super::{Arrival, Expected, HOPPING, NS, Shape, TUMBLING, model};
use crate::random::{Rng, for_seeds};
use crate::revived::rig::Rig;
use crate::revived::store::Store;
use crate::support::World;

/// What the sender puts into a partition at a commit: partials that had come by its watermark then, and its new watermark.
#[derive(Clone, Debug)]
struct Record {
    arrivals: Vec<Arrival>,
    watermark: i64,
}

/// By partition.
type Log = Vec<Vec<Record>>;

/// One sender that commits to all partitions at once.
fn random_log(rng: &mut Rng, shape: Shape, n_partitions: usize) -> Log {
    let mut log = vec![Vec::new(); n_partitions];
    let (mut latest, mut watermark) = (0, i64::MIN / NS);
    for _ in 0..rng.between(4, 20) {
        latest += rng.between(0, 8);
        for (partition, records) in log.iter_mut().enumerate() {
            let arrival = |rng: &mut Rng| {
                let behind = if rng.percent(30) { 20 } else { 6 };
                let second = latest - rng.between(0, behind);
                let key = format!("{partition}{}", rng.pick(&["a", "b", "c", "d", "e"]));
                Arrival { key, second, n: rng.between(1, 4), watermark }
            };
            let is_in_time = |row: &Arrival| !shape.open_ends(row.second, watermark).is_empty();
            let arrivals = (0..rng.below(6)).map(|_| arrival(rng)).filter(is_in_time);
            records.push(Record { arrivals: arrivals.collect(), watermark: latest - 6 });
        }
        watermark = latest - 6;
    }
    log.iter_mut().for_each(|records| records.push(Record { arrivals: Vec::new(), watermark: i64::MAX / NS }));
    log
}

fn partials(shape: Shape, schema: &SchemaRef, arrivals: &[Arrival]) -> Option<RecordBatch> {
    let Shape { slide, width, .. } = shape;
    let spec = WindowSpec::hop(slide * NS, width * NS).expect("a window");
    let numbers =
        |value: &dyn Fn(&Arrival) -> i64| -> ArrayRef { Arc::new(arrivals.iter().map(value).collect::<Int64Array>()) };
    let columns = schema.fields().iter().map(|field| match (field.name().as_str(), field.data_type()) {
        ("__pane", _) => numbers(&|row| spec.pane_key(row.second * NS, row.watermark * NS)),
        (_, DataType::Int64) => numbers(&|row| row.n),
        _ => Arc::new(arrivals.iter().map(|row| Some(row.key.as_str())).collect::<StringArray>()),
    });
    let columns = columns.collect();
    (!arrivals.is_empty()).then(|| RecordBatch::try_new(Arc::clone(schema), columns).expect("a batch of partials"))
}

/// Reads the partitions in a random order.
struct LogSource {
    log: Arc<Log>,
    splits: Vec<SplitId>,
    shape: Shape,
    schema: SchemaRef,
    store: Store,
    positions: BTreeMap<usize, u64>,
    rng: Rng,
}

impl Source for LogSource {
    fn splits(&mut self) -> Result<Vec<SplitId>> {
        Ok(self.splits.clone())
    }

    fn assign(&mut self, split: &SplitId, from: Position) -> Result<()> {
        assert!(self.store.purged_below(split) <= from, "`{split}` is purged below what is read");
        let partition = self.splits.iter().position(|known| known == split).expect("a partition");
        self.positions.insert(partition, from.0);
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled> {
        let is_left = |partition: &usize| self.positions[partition] < self.log[*partition].len() as u64;
        let waiting: Vec<usize> = (0..self.log.len()).filter(is_left).collect();
        if waiting.is_empty() {
            return Ok(Polled::Pending);
        }
        let partition = *self.rng.pick(&waiting);
        let start = self.positions[&partition];
        let Record { arrivals, watermark } = &self.log[partition][start as usize];
        self.positions.insert(partition, start + 1);
        let watermarks = [(SplitId::from("a"), SplitTime::Active(Watermark(watermark * NS)))].into();
        Ok(Polled::Data(Fetched {
            split: self.splits[partition].clone(),
            start: Position(start),
            next: Position(start + 1),
            preamble: None,
            payload: Payload::Partials(Partials {
                sender: 0,
                senders: 1,
                batch: partials(self.shape, &self.schema, arrivals),
                watermarks: Arc::new(watermarks),
            }),
            messages: None,
            end_of_split: false,
        }))
    }
}

/// A pipeline whose table has this limit; a task with so little memory that it spills everything, or with enough.
fn rig(shape: Shape, options: &str, n_partitions: usize, seed: u64) -> Rig {
    let text = format!(
        "CREATE TABLE flows (ts TIMESTAMP, k TEXT, WATERMARK FOR ts AS ts)
         WITH (connector = 'test', format = 'json', {options});
         {}",
        shape.query()
    );
    let pipeline = World::default().plan(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let rig = Rig::new(pipeline, 1, n_partitions as u32);
    let state_bytes = crate::support::state_bytes(seed, usize::MAX);
    rig.with_limits(state_bytes, *Rng::new(seed).pick(&[1, 3, 1 << 18]))
}

/// How a run goes.
#[derive(Clone, Debug)]
struct Schedule {
    seed: u64,
    commit_percent: usize,
    /// The commits after which the owner is replaced.
    crashes_after: Vec<usize>,
    /// How many steps in a hundred the owner is replaced after, some times.
    crash_percent: usize,
}

/// Runs over a store until there is no more to read; how many commits there were then.
fn run(rig: &Rig, shape: Shape, log: &Arc<Log>, store: &Store, schedule: &Schedule) -> Result<usize> {
    let mut rng = Rng::new(schedule.seed);
    let StageInput::Exchanges(inputs) = &rig.dataflow.stages[1].input else { panic!("a stage over windows") };
    let exchange = &inputs[0].aggregate.exchange;
    let splits: Vec<SplitId> = (0..log.len()).map(|partition| exchange_split(exchange, partition as u32)).collect();
    let schema = inputs[0].aggregate.partial_schema().expect("a planned aggregate has a schema");
    let start = |rng: &mut Rng| -> Task {
        let (log, splits, schema) = (Arc::clone(log), splits.clone(), Arc::clone(&schema));
        let (store, positions, rng) = (store.clone(), BTreeMap::new(), Rng::new(rng.next()));
        let source = LogSource { log, splits, shape, schema, store: store.clone(), positions, rng };
        rig.start(Box::new(source), &store, Duration::ZERO)
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
        if step != Step::Idle && step != Step::Ended && !rng.percent(schedule.commit_percent) {
            continue;
        }
        task.commit()?;
        let n_commits = store.committed().n_commits;
        if schedule.crashes_after.contains(&n_commits) {
            task = start(&mut rng);
        } else if step == Step::Idle || step == Step::Ended {
            return Ok(n_commits);
        }
    }
}

fn rows(store: &Store) -> Vec<String> {
    let mut rows: Vec<String> = store.committed().rows.values().flatten().cloned().collect();
    rows.sort();
    rows
}

const SHARE: usize = 2;

fn arrivals(log: &Log) -> Vec<Vec<Arrival>> {
    log.iter().map(|records| records.iter().flat_map(|record| record.arrivals.clone()).collect()).collect()
}

fn case(seed: u64) -> (Shape, Arc<Log>, Expected) {
    let mut rng = Rng::new(seed);
    let shape = *rng.pick(&[TUMBLING, HOPPING]);
    let n_partitions = 1 + rng.below(3);
    let log = random_log(&mut rng, shape, n_partitions);
    let expected = model(shape, SHARE, &arrivals(&log));
    (shape, Arc::new(log), expected)
}

/// `max_keys` is divided, and rounded up.
fn options(log: &Log, overflow: &str) -> String {
    format!("max_keys = '{}', overflow = '{overflow}'", SHARE * log.len() - log.len() / 2)
}

#[test]
fn the_first_keys_of_each_partition_are_kept_whatever_crashes() {
    for_seeds("keys::exchange::the_first_keys_of_each_partition_are_kept_whatever_crashes", 12, |seed| {
        let (shape, log, expected) = case(seed);
        let rig = rig(shape, &options(&log, "drop_new"), log.len(), seed);
        let commit_percent = [15, 50, 90][seed as usize % 3];
        let calm = Schedule { seed, commit_percent, crashes_after: Vec::new(), crash_percent: 0 };
        let n_commits = run(&rig, shape, &log, &Store::default(), &calm).map_err(|error| error.to_string())?;
        let crashes = (1..n_commits).map(|at| vec![at, at + 1 + (at + seed as usize) % 3]);
        let mut schedules = vec![calm.clone(), Schedule { crash_percent: 10, ..calm.clone() }];
        schedules.extend(crashes.map(|crashes_after| Schedule { crashes_after, ..calm.clone() }));
        for schedule in schedules {
            let (store, n_before) = (Store::default(), rig.metrics.dropped_rows.get());
            run(&rig, shape, &log, &store, &schedule).map_err(|error| error.to_string())?;
            let found = rows(&store);
            let n_dropped = (rig.metrics.dropped_rows.get() - n_before) as i64;
            let is_counted_once = schedule.crash_percent != 0 || n_dropped == expected.n_dropped_rows;
            if found != expected.lines || !is_counted_once {
                return Err(format!("{n_dropped} rows left out, {found:#?}\n{expected:#?}\n{schedule:?}\n{log:#?}"));
            }
        }
        Ok(())
    });
}

/// The test is about windows from which keys are left out, and about those that are complete.
#[test]
fn the_logs_have_more_keys_than_the_limit_here_and_there() {
    let some = |seed: &u64| {
        let lines = case(*seed).2.lines;
        lines.iter().any(|line| line.ends_with("true")) && lines.iter().any(|line| line.ends_with("false"))
    };
    let n = (0..40).filter(some).count();
    assert!(20 < n, "{n}");
}

/// Where keys would be left out, the task fails at each start; with a higher limit it continues, and all keys are there.
#[test]
fn a_task_that_fails_continues_with_a_higher_limit() {
    for_seeds("keys::exchange::a_task_that_fails_continues_with_a_higher_limit", 20, |seed| {
        let (shape, log, expected) = case(seed);
        let schedule = Schedule { seed, commit_percent: 50, crashes_after: Vec::new(), crash_percent: 0 };
        let store = Store::default();
        let narrow = rig(shape, &options(&log, "fail"), log.len(), seed);
        for _ in 0..2 {
            match run(&narrow, shape, &log, &store, &schedule) {
                Ok(_) if expected.n_dropped_rows == 0 => return Ok(()),
                Err(Error::Data(error)) if 0 < expected.n_dropped_rows => {
                    let message = error.to_string();
                    let parts = ["task `0/0/0`", "more than 2 keys in `w1_1/", "of table `flows`", "raise max_keys"];
                    if !parts.iter().all(|part| message.contains(part)) {
                        return Err(message);
                    }
                }
                other => return Err(format!("{other:?}, {expected:#?}")),
            }
        }
        let wide = rig(shape, "max_keys = '1000'", log.len(), seed);
        run(&wide, shape, &log, &store, &schedule).map_err(|error| error.to_string())?;
        let (found, all) = (rows(&store), model(shape, usize::MAX, &arrivals(&log)));
        if found == all.lines { Ok(()) } else { Err(format!("{found:#?}\n{all:#?}")) }
    });
}
