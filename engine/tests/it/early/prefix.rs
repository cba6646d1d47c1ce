//! Record by record: which windows have early rows, and that they are those of a batch over the rows so far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::runtime_env::RuntimeEnv;
use davy_engine::connector::Share;
use davy_engine::log::memory::MemoryLog;
use davy_engine::log::{ExchangeId, Source};
use davy_engine::metrics::Metrics;
use davy_engine::plan::StageInput;
use davy_engine::task::{ROWS_PER_ADVANCE, Step, Task, TaskParts};
use davy_engine::time::{format_ns, parse_timestamp};

use super::{CASES, Case, Row, SINK};
use crate::oracle;
use crate::random::scripts::BOUND_MS;
use crate::random::{Rng, for_seeds};
use crate::support::{Event, World, lines};

const INTERVAL_MS: i64 = 7_000;

pub(super) struct Record {
    time_ms: i64,
    text: String,
}

/// Rows within the bound on disorder, in one split.
pub(super) fn records(rng: &mut Rng) -> Vec<Record> {
    let mut latest = rng.between(-30_000, 30_000);
    let record = |_| {
        latest += rng.between(0, 3_000);
        let time_ms = latest - if rng.percent(50) { rng.between(0, BOUND_MS - 1) } else { 0 };
        let (key, value) = (rng.pick(&["a", "b", "c"]), rng.between(0, 12));
        let text = format!("{{\"ts\":\"{}\",\"k\":\"{key}\",\"v\":{value}}}", format_ns(time_ms * 1_000_000));
        Record { time_ms, text }
    };
    (0..40).map(record).collect()
}

/// The tasks of a pipeline, one per stage.
pub(super) struct Rig {
    log: MemoryLog,
    tasks: Vec<Task>,
    n_seen: usize,
}

impl Rig {
    pub(super) fn new(text: &str, records: &[Record], rows_per_advance: usize) -> Self {
        let events = records.iter().map(|record| Event::Record("0".into(), record.text.clone())).collect();
        let world = World::new([("flows".to_owned(), events)].into());
        let mut pipeline = world.plan(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let dataflow = Arc::new(pipeline.dataflows.remove(0));
        let log = MemoryLog::keeping_rows();
        let task = |stage: usize| {
            let name: Arc<str> = format!("0/{stage}/0").into();
            let source: Box<dyn Source> = match &dataflow.stages[stage].input {
                StageInput::Table(plan) => plan.table.table.source(&plan.schema, Share { index: 0, count: 1 }).unwrap(),
                StageInput::Exchanges(inputs) => {
                    let exchanges: Vec<ExchangeId> =
                        inputs.iter().map(|input| input.aggregate.exchange.clone()).collect();
                    Box::new(log.source_of(&exchanges, 0))
                }
            };
            let parts = TaskParts {
                commit: Box::new(log.commit_for(&name)),
                name,
                dataflow: Arc::clone(&dataflow),
                stage,
                n_tasks: vec![1; dataflow.stages.len()].into(),
                index: 0,
                n_partitions: 1,
                source,
                runtime: Arc::<RuntimeEnv>::default(),
                metrics: Arc::<Metrics>::default(),
                board: Arc::default(),
                run_start: 0,
                rows_per_advance,
                probe: |_| (),
            };
            Task::recover(parts, Duration::ZERO).unwrap()
        };
        let tasks = (0..dataflow.stages.len()).map(task).collect();
        Self { log, tasks, n_seen: 0 }
    }

    /// Reads one record more, or the end, and gives the rows that come of it.
    pub(super) fn read(&mut self) -> Vec<Row> {
        for (stage, task) in self.tasks.iter_mut().enumerate() {
            loop {
                let step = task.step(Duration::ZERO).unwrap();
                task.commit().unwrap();
                if stage == 0 || step == Step::Idle || step == Step::Ended {
                    break;
                }
            }
        }
        let all = lines(&self.log.rows(SINK));
        let new = all[self.n_seen..].iter().map(|line| Row::of_line(line)).collect();
        self.n_seen = all.len();
        new
    }
}

type ByWindow = BTreeMap<(String, String), Vec<Row>>;

fn by_window(rows: Vec<Row>) -> ByWindow {
    let mut found = ByWindow::new();
    for row in rows {
        found.entry(row.window()).or_default().push(row);
    }
    found.values_mut().for_each(|rows| rows.sort());
    found
}

fn ms(timestamp: &str) -> i64 {
    parse_timestamp(timestamp).expect("a timestamp").div_euclid(1_000_000)
}

/// What is known of a stream while it is read.
struct Model<'a> {
    case: &'a Case,
    seen: Vec<&'a Record>,
    watermark: i64,
    /// The last multiple of the interval that was passed.
    passed: i64,
    /// The rows of each window that were given out early last.
    given: ByWindow,
    /// Times of rows since then.
    new: Vec<i64>,
}

impl<'a> Model<'a> {
    fn batch(&self) -> ByWindow {
        let closed = |record: &&&Record| {
            self.case.inner_ms.is_none_or(|width| (record.time_ms.div_euclid(width) + 1) * width <= self.watermark)
        };
        let seen = self.seen.iter().filter(closed).map(|record| record.text.clone()).collect();
        let seen = [("flows".to_owned(), seen)].into();
        let rows = oracle::rows(&World::default(), &self.case.oracle_text(), &seen).expect("the oracle answers");
        by_window(rows[SINK].iter().map(|line| Row::of_line(line)).collect())
    }

    fn read(&mut self, record: &'a Record) {
        self.seen.push(record);
        self.new.push(record.time_ms);
        self.watermark = self.watermark.max(record.time_ms - BOUND_MS);
    }

    /// Checks what one record more has brought.
    fn check(&mut self, early: &ByWindow) -> Result<(), String> {
        let multiple = self.watermark.div_euclid(INTERVAL_MS);
        if multiple == self.passed {
            let is_none = early.is_empty();
            return is_none.then_some(()).ok_or_else(|| format!("the watermark has passed no multiple: {early:#?}"));
        }
        self.passed = multiple;
        let mut open = self.batch();
        open.retain(|(_, stop), _| self.watermark < ms(stop));
        let early_of = |rows: &Vec<Row>| rows.iter().cloned().map(Row::early).collect::<Vec<_>>();
        for (window, rows) in early {
            let expected = open.get(window).map(early_of);
            if expected.as_ref() != Some(rows) {
                return Err(format!("early rows of {window:?} are {rows:#?}\nexpected {expected:#?}"));
            }
            let (start, stop) = (ms(&window.0), ms(&window.1));
            if self.case.inner_ms.is_none() && !self.new.iter().any(|time| start <= *time && *time < stop) {
                return Err(format!("{window:?} has not changed, but has early rows"));
            }
        }
        for (window, rows) in &open {
            let is_changed = self.given.get(window) != Some(rows);
            if is_changed && !early.contains_key(window) {
                return Err(format!("{window:?} has no early rows, although it has {rows:#?}"));
            }
        }
        self.given = open;
        self.new.clear();
        Ok(())
    }
}

fn check(case: &Case, text: &str, seed: u64) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let records = records(&mut rng);
    let rows_per_advance = *rng.pick(&[1, 3, ROWS_PER_ADVANCE]);
    let mut rig = Rig::new(text, &records, rows_per_advance);
    let mut model = Model {
        case,
        seen: Vec::new(),
        watermark: i64::MIN,
        passed: i64::MIN,
        given: ByWindow::new(),
        new: Vec::new(),
    };
    let mut finals = Vec::new();
    let mut closed = BTreeSet::new();
    let mut n_early = 0;
    for record in records.iter().map(Some).chain([None]) {
        let rows = rig.read();
        let (now_final, early): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.is_final);
        n_early += early.len();
        closed.extend(now_final.iter().map(Row::window));
        finals.extend(now_final);
        let early = by_window(early);
        if let Some(window) = early.keys().find(|window| closed.contains(*window)) {
            return Err(format!("{window:?} has early rows after its final ones"));
        }
        let checked = match record {
            Some(record) => {
                model.read(record);
                model.check(&early)
            }
            None => early.is_empty().then_some(()).ok_or_else(|| format!("early rows at the end: {early:#?}")),
        };
        checked.map_err(|problem| format!("`{}`, {} records: {problem}", case.name, model.seen.len()))?;
    }
    model.watermark = i64::MAX;
    let (found, expected) = (by_window(finals), model.batch());
    if found != expected {
        return Err(format!("`{}`: final rows are {found:#?}\nexpected {expected:#?}", case.name));
    }
    if n_early == 0 {
        return Err(format!("`{}` has no early rows", case.name));
    }
    Ok(())
}

#[test]
fn early_rows_are_those_of_a_batch_over_the_rows_so_far() {
    for_seeds("early::early_rows_are_those_of_a_batch_over_the_rows_so_far", 2 * CASES.len() as u64, |seed| {
        let case = &CASES[seed as usize % CASES.len()];
        check(case, &case.text(), seed)
    });
}

#[test]
fn windows_in_the_task_that_reads_the_rows_have_early_rows_too() {
    let names = ["tumble", "hop that divides", "session", "having"];
    for_seeds("early::windows_in_the_task_that_reads_the_rows_have_early_rows_too", 4, |seed| {
        let case = CASES.iter().find(|case| case.name == names[seed as usize % names.len()]).expect("there is one");
        let text = case.text_in_one_task();
        assert_eq!(World::default().plan(&text).unwrap().dataflows[0].stages.len(), 1, "{text}");
        check(case, &text, seed)
    });
}
