//! The second stage alone, over an exchange whose records are known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use davy_engine::log::{Partials, SplitId, SplitTime};
use davy_engine::task::{ROWS_PER_ADVANCE, Step, reset_watermark};
use davy_engine::time::Watermark;

use super::log::{self, Log, LogSource, Schedule, batch};
use super::model::{GAP, MAX, NS, Partial, Record, sessions};
use super::rig::Rig;
use super::store::{Broken, Store};
use crate::random::{Rng, for_seeds};
use crate::support::World;

const N_SENDERS: u32 = 2;

/// Of some seeds, a task that spills everything and gives out few rows at once.
fn rig(n_partitions: u32, seed: u64) -> Rig {
    let text = format!(
        "SET max_session = '{MAX} seconds';
         CREATE TABLE flows (ts TIMESTAMP, k TEXT, WATERMARK FOR ts AS ts) WITH (connector = 'test', format = 'json');
         SELECT k, session(INTERVAL '{GAP} seconds') AS window, count(*) AS n FROM flows GROUP BY k, window;"
    );
    let pipeline = World::default().plan(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let state_bytes = crate::support::state_bytes(seed, usize::MAX);
    Rig::new(pipeline, 1, n_partitions).with_limits(state_bytes, *Rng::new(seed).pick(&[1, 3, ROWS_PER_ADVANCE]))
}

/// By partition.
type Records = Vec<Vec<Record>>;

fn log_of(rig: &Rig, records: &[Vec<Record>]) -> Arc<Log> {
    let partials = |Record { sender, partials, times }: &Record| {
        let rows: Vec<([i64; 2], &str, i64)> = partials
            .iter()
            .map(|partial| ([partial.first * NS, partial.last * NS], &*partial.key, partial.n))
            .collect();
        let watermarks = times.iter().map(|(split, time)| (SplitId::from(*split), *time)).collect();
        Partials { sender: *sender, senders: N_SENDERS, batch: batch(rig, &rows), watermarks: Arc::new(watermarks) }
    };
    log::log_of(rig, records, partials)
}

/// The rows that are committed in the end, and how many commits there were.
fn run(rig: &Rig, log: &Arc<Log>, schedule: &Schedule, broken: Broken) -> (Vec<String>, usize) {
    let store = Store::broken(broken);
    let n_commits = log::run(rig, log, &store, schedule).expect("a run");
    (store.rows(), n_commits)
}

/// Runs with a crash after each commit and another one soon after it, and compares with the model.
fn check(records: &[Vec<Record>], seed: u64, broken: Broken) -> Result<(), String> {
    let rig = rig(records.len() as u32, seed);
    let mut expected: Vec<String> = records.iter().flat_map(|records| sessions(records, N_SENDERS).0).collect();
    expected.sort();
    let log = log_of(&rig, records);
    let calm = Schedule::calm(seed);
    let (_, n_commits) = run(&rig, &log, &calm, broken);
    let with_crashes = calm.with_crashes(n_commits, [5, 25][seed as usize % 2]);
    for schedule in std::iter::once(calm).chain(with_crashes) {
        let (found, _) = run(&rig, &log, &schedule, broken);
        if found != expected {
            return Err(format!("engine {found:#?}\nmodel {expected:#?}\n{schedule:?}"));
        }
    }
    Ok(())
}

fn partial(key: &str, first: i64, last: i64) -> Partial {
    Partial { key: key.to_owned(), first, last, n: last - first }
}

fn at(seconds: i64) -> Watermark {
    Watermark(seconds * NS)
}

/// What comes at the end: everything closes, and both senders are heard twice, as after some seconds without news.
fn last_reports() -> Vec<Record> {
    let all = |sender: u32| {
        let times = SPLITS[sender as usize].map(|split| (split, SplitTime::Active(at(1_000_000)))).into();
        Record { sender, partials: Vec::new(), times }
    };
    [0, 1, 0, 1].map(all).into()
}

const SPLITS: [[&str; 2]; 2] = [["a", "b"], ["c", "d"]];

use SplitTime::{Active, Idle};

fn record(sender: u32, partials: &[Partial], times: [SplitTime; 2]) -> Record {
    let times = SPLITS[sender as usize].into_iter().zip(times).collect();
    Record { sender, partials: partials.to_vec(), times }
}

/// The second sender has nothing.
fn nothing() -> Record {
    record(1, &[], [Idle(at(0)), Idle(at(0))])
}

fn line(key: &str, start: u32, end: u32, n: u32) -> String {
    format!("{key} | {{start: 1970-01-01T00:00:{start:02}, end: 1970-01-01T00:00:{end:02}, is_cut: false}} | {n}")
}

fn check_small(mut records: Vec<Record>, expected: (&[String], i64)) {
    records.extend(last_reports());
    let (found, n_late) = sessions(&records, N_SENDERS);
    assert_eq!((&*found, n_late), expected);
    for seed in 0..6 {
        check(&[records.clone()], seed, Broken::Nothing).unwrap();
    }
}

/// Session x [0, 5] closes at 20, when the split of the rest of x is idle; y is open and brings all of it back.
#[test]
fn rows_of_a_split_that_was_idle_join_no_session_that_has_closed() {
    let records = vec![
        nothing(),
        record(0, &[partial("x", 0, 5), partial("y", 0, 18)], [Active(at(18)), Idle(at(0))]),
        record(0, &[], [Active(at(20)), Idle(at(0))]),
        record(0, &[partial("x", 6, 8), partial("x", 12, 25)], [Active(at(20)), Active(at(20))]),
    ];
    check_small(records, (&[line("x", 0, 15, 5), line("x", 12, 35, 13), line("y", 0, 28, 18)], 2));
}

/// The watermark has come to 20 without split b, and stays there although b is back with 5.
fn regained() -> Vec<Record> {
    vec![
        nothing(),
        record(0, &[], [Active(at(20)), Idle(at(0))]),
        record(0, &[], [Active(at(20)), Active(at(5))]),
        nothing(),
        record(0, &[], [Active(at(20)), Active(at(5))]),
        nothing(),
        record(0, &[partial("y", 21, 23)], [Active(at(20)), Active(at(5))]),
        record(0, &[partial("x", 14, 16), partial("x", 21, 25)], [Active(at(20)), Active(at(5))]),
    ]
}

#[test]
fn a_watermark_that_no_record_repeats_still_holds() {
    check_small(regained(), (&[line("x", 21, 35, 4), line("y", 21, 33, 2)], 2));
}

/// The other partition is behind, so session x [0, 5] is still open when its rest comes too late. Then a sender says that it is far in the
/// future, which the task has not read when the watermark is set back.
#[test]
fn what_came_too_late_does_not_come_back_after_a_reset() {
    let read = vec![
        nothing(),
        record(0, &[partial("x", 0, 5), partial("y", 0, 18)], [Active(at(18)), Idle(at(0))]),
        record(0, &[], [Active(at(20)), Idle(at(0))]),
        record(0, &[partial("x", 2, 4), partial("y", 18, 25)], [Active(at(20)), Idle(at(0))]),
    ];
    let behind = vec![nothing(), record(0, &[], [Active(at(5)), Idle(at(0))])];
    let wrong = record(0, &[], [Active(at(1_000_000)), Idle(at(0))]);
    let rest = record(0, &[partial("y", 26, 28)], [Active(at(27)), Idle(at(0))]);
    for seed in 0..6 {
        let (rig, store, mut rng) = (rig(2, seed), Store::default(), Rng::new(seed));
        let source = |records: &[Vec<Record>; 2], rng: &mut Rng| {
            Box::new(LogSource::new(&log_of(&rig, records), &store, Rng::new(rng.next())))
        };
        let run = |records: &[Vec<Record>; 2], rng: &mut Rng| {
            let mut task = rig.start(source(records, rng), &store, Duration::ZERO);
            while task.step(Duration::ZERO).expect("a step") != Step::Idle {
                task.commit().expect("a commit");
            }
        };
        let mut records = [read.clone(), behind.clone()];
        run(&records, &mut rng);
        records.iter_mut().for_each(|records| records.push(wrong.clone()));
        let parts = rig.parts(source(&records, &mut rng), &store);
        reset_watermark(parts, 22 * NS).expect("reset");
        let [first, second] = &mut records;
        first.extend([nothing(), rest.clone()].into_iter().chain(last_reports()));
        second.extend([nothing()].into_iter().chain(last_reports()));
        run(&records, &mut rng);
        assert_eq!(store.rows(), [line("x", 0, 15, 5), line("y", 0, 38, 27)], "seed {seed}");
    }
}

/// Records of one partition: senders whose splits are now and then idle, and come back far behind.
fn records(rng: &mut Rng, partition: u32) -> Vec<Record> {
    let mut times = [[0_i64; 2]; 2];
    let mut all = Vec::new();
    let mut latest = 0;
    for _ in 0..rng.between(3, 30) {
        let sender = rng.below(2);
        let mut partials = Vec::new();
        for _ in 0..rng.below(4) {
            let behind = if rng.percent(40) { 30 } else { 3 };
            let first = rng.between(latest - behind, latest + 12);
            let boundary = (first.div_euclid(MAX) + 1) * MAX;
            let last = (first + rng.between(0, 9)).min(boundary - 1);
            let key = format!("{partition}{}", rng.pick(&["x", "y", "z"]));
            partials.push(Partial { key, first, last, n: rng.between(1, 5) });
        }
        let mut reported = BTreeMap::new();
        for (index, split) in SPLITS[sender].into_iter().enumerate() {
            let time = &mut times[sender][index];
            let is_idle = rng.percent(35);
            if !is_idle {
                *time += rng.between(0, 9);
                latest = latest.max(*time);
            }
            reported.insert(split, if is_idle { SplitTime::Idle(at(*time)) } else { SplitTime::Active(at(*time)) });
        }
        all.push(Record { sender: sender as u32, partials, times: reported });
    }
    all.extend(last_reports());
    all
}

fn random_records(seed: u64) -> Records {
    let mut rng = Rng::new(seed);
    let n_partitions = 1 + rng.below(3) as u32;
    (0..n_partitions).map(|partition| records(&mut rng, partition)).collect()
}

#[test]
fn sessions_are_the_models_whatever_crashes() {
    for_seeds("revived::exchange::sessions_are_the_models_whatever_crashes", 30, |seed| {
        let records = random_records(seed);
        check(&records, seed, Broken::Nothing).map_err(|problem| format!("{problem}\n{records:#?}"))
    });
}

/// The test is about rows that come late and rows that touch what has closed: both have to be there.
#[test]
fn the_logs_have_late_rows() {
    let n_late = |seed| sessions(&records(&mut Rng::new(seed), 0), N_SENDERS).1;
    assert!(15 < (0..50).filter(|seed| 0 < n_late(*seed)).count());
}

#[test]
fn each_protection_that_is_taken_away_is_noticed() {
    let regained = [regained().into_iter().chain(last_reports()).collect()];
    let forgotten = (0..50).find(|&seed| check(&regained, seed, Broken::ForgetsJudged).is_err());
    let unheard = (0..50).find(|&seed| check(&random_records(seed), seed, Broken::HearsTooLate).is_err());
    for (broken, red) in [(Broken::ForgetsJudged, forgotten), (Broken::HearsTooLate, unheard)] {
        eprintln!("{broken:?} is noticed by seed {red:?}");
        assert!(red.is_some(), "no seed of 50 notices {broken:?}");
    }
}
