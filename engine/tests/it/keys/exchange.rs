//! The second stage alone, over an exchange whose records are known, read in any order of its partitions.

use std::sync::Arc;

use davy_engine::Error;
use davy_engine::log::{Partials, SplitId, SplitTime};
use davy_engine::operator::window::spec::WindowSpec;
use davy_engine::time::Watermark;

use super::{Arrival, Expected, HOPPING, NS, Shape, TUMBLING, model};
use crate::random::{Rng, for_seeds};
use crate::revived::log::{self, Log, Schedule, batch, run};
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
type Records = Vec<Vec<Record>>;

/// One sender that commits to all partitions at once.
fn random_records(rng: &mut Rng, shape: Shape, n_partitions: usize) -> Records {
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

fn log_of(rig: &Rig, shape: Shape, records: &[Vec<Record>]) -> Arc<Log> {
    let spec = WindowSpec::hop(shape.slide * NS, shape.width * NS).expect("a window");
    let partials = |Record { arrivals, watermark }: &Record| {
        let pane_key = |arrival: &Arrival| spec.pane_key(arrival.second * NS, arrival.watermark * NS);
        let rows: Vec<([i64; 1], &str, i64)> =
            arrivals.iter().map(|arrival| ([pane_key(arrival)], &*arrival.key, arrival.n)).collect();
        let watermarks = [(SplitId::from("a"), SplitTime::Active(Watermark(watermark * NS)))].into();
        Partials { sender: 0, senders: 1, batch: batch(rig, &rows), watermarks: Arc::new(watermarks) }
    };
    log::log_of(rig, records, partials)
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

const SHARE: usize = 2;

fn arrivals(records: &[Vec<Record>]) -> Vec<Vec<Arrival>> {
    records.iter().map(|records| records.iter().flat_map(|record| record.arrivals.clone()).collect()).collect()
}

fn case(seed: u64) -> (Shape, Records, Expected) {
    let mut rng = Rng::new(seed);
    let shape = *rng.pick(&[TUMBLING, HOPPING]);
    let n_partitions = 1 + rng.below(3);
    let records = random_records(&mut rng, shape, n_partitions);
    let expected = model(shape, SHARE, &arrivals(&records));
    (shape, records, expected)
}

/// `max_keys` is divided, and rounded up.
fn options(n_partitions: usize, overflow: &str) -> String {
    format!("max_keys = '{}', overflow = '{overflow}'", SHARE * n_partitions - n_partitions / 2)
}

fn check(shape: Shape, records: &[Vec<Record>], expected: &Expected, seed: u64) -> Result<(), String> {
    let rig = rig(shape, &options(records.len(), "drop_new"), records.len(), seed);
    let log = log_of(&rig, shape, records);
    let calm = Schedule::calm(seed);
    let n_commits = run(&rig, &log, &Store::default(), &calm).map_err(|error| error.to_string())?;
    for schedule in std::iter::once(calm.clone()).chain(calm.with_crashes(n_commits, 10)) {
        let (store, n_before) = (Store::default(), rig.metrics.dropped_rows.get());
        run(&rig, &log, &store, &schedule).map_err(|error| error.to_string())?;
        let found = store.rows();
        let n_dropped = (rig.metrics.dropped_rows.get() - n_before) as i64;
        let is_counted_once = schedule.crash_percent != 0 || n_dropped == expected.n_dropped_rows;
        if found != expected.lines || !is_counted_once {
            return Err(format!("{n_dropped} rows left out, {found:#?}\n{expected:#?}\n{schedule:?}\n{records:#?}"));
        }
    }
    Ok(())
}

#[test]
fn the_first_keys_of_each_partition_are_kept_whatever_crashes() {
    for_seeds("keys::exchange::the_first_keys_of_each_partition_are_kept_whatever_crashes", 12, |seed| {
        let (shape, records, expected) = case(seed);
        check(shape, &records, &expected, seed)
    });
}

/// The second partition is read to its end before the first, and no window needs any of it: after a crash only what the sender repeats is
/// read there.
#[test]
fn an_owner_with_nothing_to_read_again_hears_the_sender() {
    let arrival = |second: i64| Arrival { key: format!("0{second}"), second, n: 1, watermark: i64::MIN / NS };
    let end = Record { arrivals: Vec::new(), watermark: i64::MAX / NS };
    let records = vec![vec![Record { arrivals: vec![arrival(5)], watermark: 0 }, end.clone()], vec![end]];
    let expected = model(TUMBLING, SHARE, &arrivals(&records));
    for seed in 0..12 {
        check(TUMBLING, &records, &expected, seed).unwrap();
    }
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
        let (shape, records, expected) = case(seed);
        let (schedule, store) = (Schedule::calm(seed), Store::default());
        let narrow = rig(shape, &options(records.len(), "fail"), records.len(), seed);
        let log = log_of(&narrow, shape, &records);
        for _ in 0..2 {
            match run(&narrow, &log, &store, &schedule) {
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
        let wide = rig(shape, "max_keys = '1000'", records.len(), seed);
        run(&wide, &log, &store, &schedule).map_err(|error| error.to_string())?;
        let (found, all) = (store.rows(), model(shape, usize::MAX, &arrivals(&records)));
        if found == all.lines { Ok(()) } else { Err(format!("{found:#?}\n{all:#?}")) }
    });
}
