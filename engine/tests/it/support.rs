//! A world for scripts to run in: tables whose rows are written in the test, and a clock that the test drives.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use davy_engine::connector::{Connectors, Share, Table, TableRequest};
use davy_engine::log::memory::MemoryLog;
use davy_engine::log::{Commit, ExchangeId, Fetched, Payload, Polled, Position, Sink, Source, SplitId, Transaction};
use davy_engine::lookup::LookupFile;
use davy_engine::metrics::Metrics;
use davy_engine::operator::spill::{Budget, MemorySpill};
use davy_engine::options::Options;
use davy_engine::plan::{Pipeline, StageInput};
use davy_engine::sql::{PlanRequest, plan};
use davy_engine::task::{ROWS_PER_ADVANCE, Step, Task, TaskParts, fit_to_sink};
use davy_engine::{Error, Result};
use davy_forest::package::Package;
use davy_forest::scorer::{self, Backend, Scorer};

/// One thing that happens to a table.
#[derive(Clone, Debug)]
pub enum Event {
    /// A record arrives in a split.
    Record(SplitId, String),
    /// Nothing comes for so long.
    Quiet(Duration),
    Commit,
    /// A list of a lookup table is replaced, and looked at.
    List {
        path: String,
        content: String,
    },
}

/// What is in the tables, and what time it is.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The contents of lists for lookup tables, by path.
    pub lists: Lists,
    pub events: Arc<BTreeMap<String, Vec<Event>>>,
    pub clock: Arc<Mutex<Duration>>,
    pub commit_requested: Arc<Mutex<bool>>,
    /// How many records a poll gives at most.
    pub records_per_poll: usize,
}

/// The contents of lists, by path.
#[derive(Clone, Debug, Default)]
pub struct Lists(pub Arc<Mutex<BTreeMap<String, String>>>);

#[derive(Debug)]
struct ListFile {
    path: String,
    lists: Lists,
}

impl LookupFile for ListFile {
    fn read(&self) -> Result<Vec<u8>> {
        let lists = self.lists.0.lock().unwrap();
        let list = lists.get(&self.path).cloned().map(String::into_bytes);
        list.ok_or_else(|| Error::invalid(format!("file `{}` does not exist", self.path)).hint("check `path`"))
    }
}

impl World {
    pub fn new(events: BTreeMap<String, Vec<Event>>) -> Self {
        Self { events: Arc::new(events), records_per_poll: 1, ..Self::default() }
    }

    pub fn plan(&self, text: &str) -> Result<Pipeline> {
        self.plan_with(text, &BTreeMap::new())
    }

    pub fn plan_with(&self, text: &str, settings: &BTreeMap<String, String>) -> Result<Pipeline> {
        plan(&PlanRequest { text, connectors: self, settings })
    }
}

impl Connectors for World {
    fn names(&self) -> Vec<&'static str> {
        vec!["test", "sink"]
    }

    fn variable(&self, kind: &str, name: &str) -> Result<String> {
        match (kind, name) {
            ("env", "SPLIT_LIMIT") => Ok("7".into()),
            // The one of Crypto-PAn's published sample.
            ("env", "ANONYMIZE_KEY") => Ok("1522178d33a4cf80130a5b1649907d10d8988f837979652762574c2d2a842202".into()),
            _ => Err(Error::invalid(format!("environment variable `{name}` is not set"))),
        }
    }

    fn model(&self, card: &str, backend: Backend) -> Result<Arc<Scorer>> {
        // Tests run in the crate's folder.
        let card = std::path::Path::new("tests/models").join(card);
        let package = Package::open(&card)?;
        Ok(Arc::new(Scorer::new(&package, &scorer::Options { backend, onnxruntime: None })?))
    }

    fn table(&self, request: TableRequest<'_>, options: &mut Options) -> Result<Arc<dyn Table>> {
        let mut list = None;
        let is_source = match request.connector {
            "lookup" => {
                list = Some(options.require("path")?);
                false
            }
            "test" | "topic" => true,
            "sink" => false,
            other => {
                return Err(Error::invalid(format!("table `{}`: there is no connector `{other}`", request.name))
                    .hint("connectors are `test`, `sink`"));
            }
        };
        options.parse::<u64>("limit", "a number")?;
        let is_keyed = !is_source && list.is_none() && options.take("key").is_some();
        let (name, has_metadata) = (request.name.to_owned(), request.connector == "topic");
        Ok(Arc::new(TestTable { name, list, is_source, is_keyed, has_metadata, world: self.clone() }))
    }
}

#[derive(Debug)]
struct TestTable {
    name: String,
    /// The path of its list, of a lookup table.
    list: Option<String>,
    is_source: bool,
    /// Whether a later row replaces an earlier one.
    is_keyed: bool,
    /// As a topic has.
    has_metadata: bool,
    world: World,
}

impl Table for TestTable {
    fn lookup_file(&self) -> Option<Arc<dyn LookupFile>> {
        let path = self.list.clone()?;
        Some(Arc::new(ListFile { path, lists: self.world.lists.clone() }))
    }

    fn is_source(&self) -> bool {
        self.is_source
    }

    fn is_sink(&self) -> bool {
        !self.is_source && self.list.is_none()
    }

    fn takes_updates(&self) -> bool {
        self.is_keyed
    }

    fn has_metadata(&self) -> bool {
        self.has_metadata
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn reads_bytes(&self) -> bool {
        true
    }

    fn source(&self, _: &SchemaRef, _: Share) -> Result<Box<dyn Source>> {
        let events = self.world.events.get(&self.name).cloned().unwrap_or_default();
        Ok(Box::new(TestSource { events, next: 0, positions: BTreeMap::new(), world: self.world.clone() }))
    }

    fn sink(&self, _: &SchemaRef) -> Result<Box<dyn Sink>> {
        Err(Error::internal("tests look into the log"))
    }
}

/// Gives records in the order of the script. A position is the number of records of the split before it.
struct TestSource {
    events: Vec<Event>,
    next: usize,
    positions: BTreeMap<SplitId, u64>,
    world: World,
}

impl Source for TestSource {
    fn splits(&mut self) -> Result<Vec<SplitId>> {
        let mut splits: Vec<SplitId> = self
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Record(split, _) => Some(split.clone()),
                _ => None,
            })
            .collect();
        splits.sort();
        splits.dedup();
        Ok(splits)
    }

    fn assign(&mut self, split: &SplitId, from: Position) -> Result<()> {
        self.positions.insert(split.clone(), from.0);
        // What was read before is dropped from the script; events between records are kept.
        let mut to_skip = from.0;
        self.events.retain(|event| match event {
            Event::Record(of, _) if of == split && 0 < to_skip => {
                to_skip -= 1;
                false
            }
            _ => true,
        });
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled> {
        let Some(event) = self.events.get(self.next).cloned() else { return Ok(Polled::End) };
        self.next += 1;
        match event {
            Event::Quiet(time) => {
                *self.world.clock.lock().unwrap() += time;
                *self.world.commit_requested.lock().unwrap() = true;
                Ok(Polled::Pending)
            }
            Event::List { path, content } => {
                self.world.lists.0.lock().unwrap().insert(path, content);
                Ok(Polled::Pending)
            }
            Event::Commit => {
                *self.world.commit_requested.lock().unwrap() = true;
                Ok(Polled::Pending)
            }
            Event::Record(split, mut text) => {
                let mut n_records = 1;
                while n_records < self.world.records_per_poll as u64
                    && let Some(Event::Record(next_split, next)) = self.events.get(self.next)
                    && *next_split == split
                {
                    text = format!("{text}\n{next}");
                    n_records += 1;
                    self.next += 1;
                }
                let position = self.positions.get_mut(&split).expect("assigned");
                let start = Position(*position);
                *position += n_records;
                Ok(Polled::Data(Fetched {
                    start,
                    next: Position(*position),
                    split,
                    preamble: None,
                    messages: None,
                    payload: Payload::Bytes(text.into_bytes()),
                    end_of_split: false,
                }))
            }
        }
    }
}

/// What a run left behind.
#[derive(Debug)]
pub struct Outcome {
    pub metrics: Arc<Metrics>,
    pub rows: BTreeMap<String, Vec<String>>,
}

/// Runs a pipeline to its end in one thread: every task in turn, with a commit after every third step.
pub fn run(world: &World, pipeline: Pipeline) -> Result<Outcome> {
    let log = MemoryLog::keeping_rows();
    let metrics = Arc::new(Metrics::default());
    let budget = Budget::new(pipeline.memory_bytes, Arc::new(MemorySpill))?;
    let lookups = pipeline.lookups.clone();
    let sinks: HashMap<Arc<str>, _> =
        pipeline.sinks.iter().map(|sink| (Arc::clone(&sink.name), sink.clone())).collect();
    for (number, dataflow) in pipeline.dataflows.into_iter().enumerate() {
        let dataflow = Arc::new(dataflow);
        let n_tasks: Arc<[u32]> = vec![1; dataflow.stages.len()].into();
        let make = |stage: usize| -> Result<Task> {
            let name: Arc<str> = format!("{number}/{stage}/0").into();
            let source: Box<dyn Source> = match &dataflow.stages[stage].input {
                StageInput::Table(plan) => plan.table.table.source(&plan.schema, Share { index: 0, count: 1 })?,
                StageInput::Exchanges(inputs) => {
                    let exchanges: Vec<ExchangeId> =
                        inputs.iter().map(|input| input.aggregate.exchange.clone()).collect();
                    Box::new(log.source_of(&exchanges, 0))
                }
            };
            let commit: Box<dyn Commit> = Box::new(FittedCommit { inner: log.commit_for(&name), sinks: sinks.clone() });
            let parts = TaskParts {
                commit,
                dataflow: Arc::clone(&dataflow),
                stage,
                n_tasks: Arc::clone(&n_tasks),
                index: 0,
                source,
                budget: budget.clone(),
                metrics: Arc::clone(&metrics),
                name,
                n_partitions: 1,
                board: Arc::default(),
                run_start: 0,
                rows_per_advance: ROWS_PER_ADVANCE,
                probe: |_| (),
            };
            Task::recover(parts, *world.clock.lock().unwrap())
        };
        let mut tasks: Vec<Option<Task>> =
            (0..dataflow.stages.len()).map(|stage| make(stage).map(Some)).collect::<Result<_>>()?;
        let mut n_steps = 0_usize;
        while tasks.iter().any(Option::is_some) {
            for slot in &mut tasks {
                let Some(task) = slot.as_mut() else { continue };
                // Taken apart: the clock must be free again while the source lets time pass.
                let now = *world.clock.lock().unwrap();
                let step = task.step(now)?;
                n_steps += 1;
                for lookup in &lookups {
                    // Where it cannot be used, the one before stays.
                    drop(lookup.reload());
                }
                let is_requested = std::mem::take(&mut *world.commit_requested.lock().unwrap());
                let is_due = is_requested || step == Step::Ended || n_steps.is_multiple_of(3);
                if is_due {
                    task.commit()?;
                }
                if step == Step::Ended {
                    *slot = None;
                }
            }
        }
    }
    let mut rows = BTreeMap::new();
    for name in sinks.keys() {
        rows.insert(name.to_string(), sorted_lines(&log.rows(name)));
    }
    Ok(Outcome { metrics, rows })
}

/// Brings side rows to their sinks' columns, as the worker's commit does.
pub struct FittedCommit<C> {
    pub inner: C,
    pub sinks: HashMap<Arc<str>, davy_engine::plan::SinkPlan>,
}

impl<C: Commit> Commit for FittedCommit<C> {
    fn take_over(&mut self, splits: &[SplitId]) -> Result<davy_engine::log::Found> {
        self.inner.take_over(splits)
    }

    fn commit(&mut self, mut transaction: Transaction) -> Result<()> {
        for (name, batch) in &mut transaction.rows {
            *batch = fit_to_sink(&self.sinks[name], batch)?;
        }
        self.inner.commit(transaction)
    }
}

/// Rows as text, sorted: a multiset that can be compared.
pub fn sorted_lines(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = lines(batches);
    lines.sort();
    lines
}

/// Rows as text.
pub fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("∅");
    let mut lines = Vec::new();
    for batch in batches {
        let formatters: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).expect("every type prints"))
            .collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = formatters.iter().map(|formatter| formatter.value(row).to_string()).collect();
            lines.push(cells.join(" | "));
        }
    }
    lines
}

/// How much state a task of a random test keeps in memory: everything, nothing (so that every merge spills), or a little.
pub fn state_bytes(seed: u64, everything: usize) -> usize {
    match seed % 4 {
        0 | 1 => everything,
        2 => 0,
        _ => 20_000,
    }
}
