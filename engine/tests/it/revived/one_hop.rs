//! Sessions in the task that reads their rows: what is late is decided while the rows are read, and stays decided.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use davy_engine::Result;
use davy_engine::connector::{Connectors, Share, Table, TableRequest};
use davy_engine::log::{Fetched, Messages, Payload, Polled, Position, Sink, Source, SplitId};
use davy_engine::options::Options;
use davy_engine::plan::Output;
use davy_engine::sql::{PlanRequest, plan};
use davy_engine::task::{ROWS_PER_ADVANCE, Step, Task};
use davy_engine::time::format_ns;

use super::model::{GAP, MAX, NS};
use super::rig::Rig;
use super::store::Store;
use crate::random::{Rng, check_shrunk_list, for_seeds};
use crate::support::World;

/// A world whose topics may be partitioned by a key.
#[derive(Default)]
pub struct Topics(World);

#[derive(Debug)]
struct Topic(Arc<dyn Table>);

impl Connectors for Topics {
    fn names(&self) -> Vec<&'static str> {
        self.0.names()
    }

    fn variable(&self, kind: &str, name: &str) -> Result<String> {
        self.0.variable(kind, name)
    }

    fn model(&self, card: &str, backend: davy_forest::scorer::Backend) -> Result<Arc<davy_forest::scorer::Scorer>> {
        self.0.model(card, backend)
    }

    fn table(&self, request: TableRequest<'_>, options: &mut Options) -> Result<Arc<dyn Table>> {
        Ok(Arc::new(Topic(self.0.table(request, options)?)))
    }
}

impl Table for Topic {
    fn has_metadata(&self) -> bool {
        true
    }

    fn is_source(&self) -> bool {
        self.0.is_source()
    }

    fn is_sink(&self) -> bool {
        self.0.is_sink()
    }

    fn is_bounded(&self) -> bool {
        self.0.is_bounded()
    }

    fn reads_bytes(&self) -> bool {
        self.0.reads_bytes()
    }

    fn source(&self, schema: &SchemaRef, share: Share) -> Result<Box<dyn Source>> {
        self.0.source(schema, share)
    }

    fn sink(&self, schema: &SchemaRef) -> Result<Box<dyn Sink>> {
        self.0.sink(schema)
    }
}

/// Of some seeds, a task that spills everything.
fn rig(seed: u64) -> Rig {
    let text = format!(
        "SET max_session = '{MAX} seconds';
         CREATE TABLE late (ts TIMESTAMP, k TEXT) WITH (connector = 'sink', format = 'json');
         CREATE TABLE flows (ts TIMESTAMP, k TEXT, WATERMARK FOR ts AS ts - INTERVAL '3 seconds')
         WITH (connector = 'test', format = 'json', partitioned_by = 'k', idle_timeout = '1 hour', late_table = 'late');
         SELECT k, session(INTERVAL '{GAP} seconds') AS window, count(*) AS n FROM flows GROUP BY k, window;"
    );
    rig_of(&text).with_limits(crate::support::state_bytes(seed, usize::MAX), ROWS_PER_ADVANCE)
}

/// The task of a script with windows in one hop.
pub fn rig_of(text: &str) -> Rig {
    let request = PlanRequest { text, connectors: &Topics::default(), settings: &BTreeMap::new() };
    let rig = Rig::new(plan(&request).unwrap_or_else(|error| panic!("{error}\n{text}")), 0, 1);
    assert!(matches!(rig.dataflow.stages[0].branches[0].output, Output::Local(_)), "windows in one hop");
    rig
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// A row of this key at this second, and the task reads it.
    Row(usize, char, i64),
    Commit,
    /// Time passes, such rows come, and a commit: the other splits are idle.
    Quiet(Vec<(usize, char, i64)>),
    /// The third split appears, and a commit finds it.
    Join,
}

impl Event {
    /// How many rows there are of it, but for those of the end.
    fn n_rows(&self) -> usize {
        match self {
            Self::Row(_, key, _) => usize::from(*key != 'e'),
            Self::Quiet(rows) => rows.len(),
            Self::Commit | Self::Join => 0,
        }
    }

    fn commits(&self) -> bool {
        !matches!(self, Self::Row(..))
    }
}

fn split_id(index: usize) -> SplitId {
    SplitId::from(format!("flows/{index}").as_str())
}

/// The rows of each split.
type Written = BTreeMap<SplitId, Vec<String>>;
type Shared = Arc<Mutex<Written>>;

fn lock(written: &Shared) -> MutexGuard<'_, Written> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(written: &Shared, split: usize, key: char, second: i64) {
    let row = format!("{{\"ts\":\"{}\",\"k\":\"{split}{key}\"}}", format_ns(second * NS));
    lock(written).get_mut(&split_id(split)).expect("the split is there").push(row);
}

struct RowSource {
    written: Shared,
    positions: BTreeMap<SplitId, u64>,
    known: BTreeSet<SplitId>,
    rng: Rng,
}

impl Source for RowSource {
    fn splits(&mut self) -> Result<Vec<SplitId>> {
        self.known = lock(&self.written).keys().cloned().collect();
        Ok(self.known.iter().cloned().collect())
    }

    fn joined(&mut self) -> Result<Vec<SplitId>> {
        let all: BTreeSet<SplitId> = lock(&self.written).keys().cloned().collect();
        let joined = all.difference(&self.known).cloned().collect();
        self.known = all;
        Ok(joined)
    }

    fn end(&mut self, split: &SplitId) -> Result<Option<Position>> {
        Ok(Some(Position(lock(&self.written)[split].len() as u64)))
    }

    fn assign(&mut self, split: &SplitId, from: Position) -> Result<()> {
        self.positions.insert(split.clone(), from.0);
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled> {
        let written = lock(&self.written);
        let left = |split: &SplitId| written[split].len() as u64 - self.positions[split];
        let waiting: Vec<SplitId> = self.positions.keys().filter(|split| 0 < left(split)).cloned().collect();
        if waiting.is_empty() {
            return Ok(Polled::Pending);
        }
        let split = self.rng.pick(&waiting).clone();
        let start = self.positions[&split];
        let n = 1 + self.rng.below(left(&split).min(3) as usize) as u64;
        let rows = &written[&split][start as usize..(start + n) as usize];
        let mut bytes = Vec::new();
        let mut messages = Messages { positions: (start..start + n).collect(), ..Messages::default() };
        for row in rows {
            bytes.extend_from_slice(row.as_bytes());
            bytes.push(b'\n');
            messages.ends.push(bytes.len() as u32);
            messages.timestamps.push(-1);
        }
        let (payload, messages) = (Payload::Bytes(bytes), Some(Arc::new(messages)));
        self.positions.insert(split.clone(), start + n);
        let (start, next) = (Position(start), Position(start + n));
        let (preamble, end_of_split) = (None, false);
        Ok(Polled::Data(Fetched { split, start, next, preamble, payload, messages, end_of_split }))
    }
}

/// When owners are replaced: after which commits, and after which events.
#[derive(Clone, Debug, Default)]
pub struct Crashes {
    pub after_commits: Vec<usize>,
    pub after_events: Vec<usize>,
}

impl Crashes {
    /// Everywhere, and at each place by itself.
    pub fn of(events: &[Event]) -> Vec<Self> {
        let n_commits = events.iter().filter(|event| event.commits()).count();
        let everywhere =
            Self { after_commits: (1..n_commits).collect(), after_events: (0..events.len()).step_by(3).collect() };
        let after_commits = (1..n_commits).map(|at| Self { after_commits: vec![at, at + 1], ..Self::default() });
        let after_events =
            (0..events.len() - 1).step_by(2).map(|at| Self { after_events: vec![at], ..Self::default() });
        std::iter::once(everywhere).chain(after_commits).chain(after_events).collect()
    }
}

/// All rows by table, in the end.
pub fn run(rig: &Rig, events: &[Event], crashes: &Crashes, seed: u64) -> BTreeMap<String, Vec<String>> {
    let (store, written) = (Store::default(), Shared::default());
    lock(&written).extend([(split_id(0), Vec::new()), (split_id(1), Vec::new())]);
    let mut rng = Rng::new(seed);
    let start = |now: Duration, rng: &mut Rng| {
        let (positions, known) = (BTreeMap::new(), BTreeSet::new());
        let source = RowSource { written: Arc::clone(&written), positions, known, rng: Rng::new(rng.next()) };
        rig.start(Box::new(source), &store, now)
    };
    let read_all = |task: &mut Task, now| while task.step(now).expect("a step") != Step::Idle {};
    let mut now = Duration::ZERO;
    let mut task = start(now, &mut rng);
    let mut n_commits = 0;
    for (number, event) in events.iter().enumerate() {
        match event {
            Event::Row(split, key, second) => {
                write(&written, *split, *key, *second);
                read_all(&mut task, now);
            }
            Event::Join => {
                lock(&written).insert(split_id(2), Vec::new());
            }
            Event::Commit => {}
            Event::Quiet(rows) => {
                now += Duration::from_secs(7_200);
                rows.iter().for_each(|(split, key, second)| write(&written, *split, *key, *second));
                read_all(&mut task, now);
            }
        }
        if event.commits() {
            task.commit().expect("a commit");
            n_commits += 1;
            while crashes.after_commits.contains(&n_commits) && rng.percent(70) {
                task = start(now, &mut rng);
                // Some commits come in the middle of the replay.
                while task.step(now).expect("a step") != Step::Idle {
                    if rng.percent(30) {
                        task.commit().expect("a commit");
                    }
                }
            }
        }
        if crashes.after_events.contains(&number) {
            task = start(now, &mut rng);
            read_all(&mut task, now);
        }
    }
    let mut rows = store.committed().rows.clone();
    rows.values_mut().for_each(|rows| rows.sort());
    rows
}

/// The last commits close everything.
pub fn with_end(events: &[Event]) -> Vec<Event> {
    let mut events = events.to_vec();
    let n_splits = if events.iter().any(|event| matches!(event, Event::Join)) { 3 } else { 2 };
    // A split that was behind reads its late rows before; a second round ends what was held back.
    for _ in 0..2 {
        events.extend((0..n_splits).map(|split| Event::Row(split, 'e', 3_000)));
        events.push(Event::Commit);
    }
    events
}

fn check(events: &[Event], seed: u64) -> std::result::Result<(), String> {
    let rig = rig(seed);
    let events = with_end(events);
    let calm = run(&rig, &events, &Crashes::default(), seed);
    let count = |line: &String| line.rsplit(" | ").next().and_then(|n| n.parse::<usize>().ok()).expect("a count");
    let is_last = |line: &&String| line.split(" | ").next().is_some_and(|key| key.ends_with('e'));
    let n_counted: usize = calm.get("results").into_iter().flatten().filter(|line| !is_last(line)).map(count).sum();
    let n_late = calm.get("late").map_or(0, Vec::len);
    let n_rows: usize = events.iter().map(Event::n_rows).sum();
    if n_counted + n_late != n_rows {
        return Err(format!("{n_counted} rows in sessions and {n_late} late ones of {n_rows}: {calm:#?}"));
    }
    for crashes in Crashes::of(&events) {
        let found = run(&rig, &events, &crashes, seed);
        if found != calm {
            return Err(format!("with {crashes:?} {found:#?}\nwithout {calm:#?}"));
        }
    }
    Ok(())
}

/// Session x [0, 5] of split 1 closes at 20, when the split is idle; y of split 0 is open and brings all of it back.
#[test]
fn rows_of_a_split_that_was_idle_join_no_session_that_has_closed() {
    use Event::{Commit, Quiet, Row};
    let events = [
        Row(1, 'x', 0),
        Row(1, 'x', 5),
        Row(0, 'y', 0),
        Row(0, 'y', 9),
        Row(0, 'y', 18),
        Commit,
        Quiet(vec![(0, 'y', 23)]),
        Row(1, 'x', 6),
        Row(1, 'x', 8),
        Row(1, 'x', 22),
        Commit,
    ];
    let rows = run(&rig(0), &with_end(&events), &Crashes::default(), 0);
    assert_eq!(rows["late"], ["1970-01-01T00:00:06 | 1x", "1970-01-01T00:00:08 | 1x"], "{rows:#?}");
    check(&events, 0).unwrap();
}

fn random_events(rng: &mut Rng) -> Vec<Event> {
    let mut events = Vec::new();
    let mut n_splits = 2;
    let mut latest = 0;
    for _ in 0..rng.between(5, 30) {
        let mut row = |rng: &mut Rng| {
            latest += rng.between(0, 5);
            let second = if rng.percent(30) { rng.between(latest - 35, latest) } else { latest };
            (rng.below(n_splits), *rng.pick(&['x', 'y']), second)
        };
        match rng.below(10) {
            0..=5 => {
                let (split, key, second) = row(rng);
                events.push(Event::Row(split, key, second));
            }
            6..=7 => events.push(Event::Quiet((0..rng.below(3)).map(|_| row(rng)).collect())),
            8 if n_splits == 2 && rng.percent(30) => {
                n_splits = 3;
                events.push(Event::Join);
            }
            _ => events.push(Event::Commit),
        }
    }
    events
}

/// Whether no split has a row before it is there.
fn is_possible(events: &[Event]) -> bool {
    let joins = events.iter().position(|event| matches!(event, Event::Join)).unwrap_or(events.len());
    events[..joins].iter().all(|event| match event {
        Event::Row(split, ..) => *split < 2,
        Event::Quiet(rows) => rows.iter().all(|(split, ..)| *split < 2),
        Event::Commit | Event::Join => true,
    })
}

#[test]
fn crashes_change_no_session_in_one_hop() {
    for_seeds("revived::one_hop::crashes_change_no_session_in_one_hop", 30, |seed| {
        let events = random_events(&mut Rng::new(seed));
        check_shrunk_list(events, |events| if is_possible(events) { check(events, seed) } else { Ok(()) })
    });
}
