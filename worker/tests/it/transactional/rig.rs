//! Owners of one task that write files, over a broker that fails on demand.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use davy_engine::connector::{SinkTask, Table};
use davy_engine::format::Format;
use davy_engine::log::offset_metadata::{OffsetMetadata, SplitMetadata};
use davy_engine::log::sink_state::SinkState;
use davy_engine::log::transactions::{
    Closing, Destination, Message, TransactionalCommit, TransactionalOptions, TransactionalSink, Transactions,
};
use davy_engine::log::{Commit, CommitRecord, Found, Position, SplitId, Transaction};
use davy_engine::{Error, Result};

use crate::harness::{WHOLE, create, format, names_in, path, read, rows, schema, text};

/// Where the next commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The disk is full: something was written, and not all of it is on the disk.
    Write,
    /// Before it begins: what the commit covers is on the disk.
    Begin,
    /// Before it commits.
    Commit,
    /// After it has committed, before the answer comes: its files are not published.
    Answer,
    /// The files cannot be renamed,
    Publish,
    /// or are renamed, and not all is done that follows.
    Published,
}

pub(crate) const FAULTS: [Fault; 6] =
    [Fault::Write, Fault::Begin, Fault::Commit, Fault::Answer, Fault::Publish, Fault::Published];

#[derive(Default)]
pub(crate) struct Broker {
    epoch: u64,
    committed: BTreeMap<SplitId, (Position, String)>,
    pub(crate) fault: Option<Fault>,
}

pub(crate) type SharedBroker = Arc<Mutex<Broker>>;

pub(crate) fn locked(broker: &SharedBroker) -> MutexGuard<'_, Broker> {
    broker.lock().expect("no test panics with it")
}

fn split() -> SplitId {
    SplitId::from("in/0")
}

impl Broker {
    fn fail_at(&mut self, fault: Fault) -> Result<()> {
        if self.fault == Some(fault) {
            self.fault = None;
            return Err(Error::Unavailable(format!("{fault:?}")));
        }
        Ok(())
    }

    pub(crate) fn position(&self) -> u64 {
        self.committed.get(&split()).map_or(0, |(position, _)| position.0)
    }

    /// What is committed of the files.
    pub(crate) fn sink_state(&self) -> Option<SinkState> {
        match SplitMetadata::decode(&self.committed.get(&split())?.1) {
            OffsetMetadata::Valid(metadata) => metadata.parts.sinks.first().copied(),
            other => panic!("{other:?}"),
        }
    }
}

/// A disk that fails on demand.
struct Disk {
    broker: SharedBroker,
    sink: Box<dyn TransactionalSink>,
}

impl TransactionalSink for Disk {
    fn target(&self) -> u32 {
        self.sink.target()
    }

    fn recover(&mut self, committed: Option<SinkState>) -> Result<SinkState> {
        let recovered = self.sink.recover(committed)?;
        locked(&self.broker).fail_at(Fault::Write)?;
        Ok(recovered)
    }

    fn prepare(&mut self, rows: &[RecordBatch], closing: Closing) -> Result<SinkState> {
        let prepared = self.sink.prepare(rows, closing)?;
        locked(&self.broker).fail_at(Fault::Write)?;
        Ok(prepared)
    }

    fn publish(&mut self) -> Result<()> {
        locked(&self.broker).fail_at(Fault::Publish)?;
        self.sink.publish()?;
        locked(&self.broker).fail_at(Fault::Published)
    }

    fn has_open_file(&self) -> bool {
        self.sink.has_open_file()
    }
}

struct Client {
    broker: SharedBroker,
    epoch: u64,
    positions: Vec<(SplitId, Position, String)>,
}

impl Transactions for Client {
    fn init(&mut self) -> Result<()> {
        let mut broker = locked(&self.broker);
        broker.epoch += 1;
        self.epoch = broker.epoch;
        Ok(())
    }

    fn committed(&mut self, splits: &[SplitId]) -> Result<Vec<(SplitId, Position, String)>> {
        let broker = locked(&self.broker);
        let of = |split: &SplitId| {
            broker.committed.get(split).map(|(position, text)| (split.clone(), *position, text.clone()))
        };
        Ok(splits.iter().filter_map(of).collect())
    }

    fn begin(&mut self) -> Result<()> {
        locked(&self.broker).fail_at(Fault::Begin)
    }

    fn produce(&mut self, message: Message) -> Result<()> {
        panic!("no message is expected: {message:?}")
    }

    fn send_offsets(&mut self, positions: &[(SplitId, Position, String)]) -> Result<()> {
        self.positions = positions.to_vec();
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        let mut broker = locked(&self.broker);
        broker.fail_at(Fault::Commit)?;
        if broker.epoch != self.epoch {
            return Err(Error::Fenced("an old epoch".to_owned()));
        }
        let positions = std::mem::take(&mut self.positions);
        broker.committed.extend(positions.into_iter().map(|(split, position, text)| (split, (position, text))));
        broker.fail_at(Fault::Answer)
    }

    fn abort(&mut self) {}

    fn had_trouble(&self) -> bool {
        false
    }
}

/// A format to write, with the options of its table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind(pub(crate) &'static str, pub(crate) &'static str);

pub(crate) const KINDS: [Kind; 6] = [
    Kind("csv", "none"),
    Kind("csv", "gzip"),
    Kind("json", "zstd"),
    Kind("raw_string", "none"),
    Kind("parquet", "none"),
    Kind("arrow", "none"),
];

impl Kind {
    fn format(self) -> Format {
        format(self.0, &[])
    }

    pub(crate) fn table(self, folder: &Path, rollover_rows: &str) -> Arc<dyn Table> {
        let (folder, Self(_, compression)) = (path(folder), self);
        let options =
            [("path", &*folder), ("type", "sink"), ("rollover_rows", rollover_rows), ("compression", compression)];
        create("filesystem", &options).format(self.format()).table().expect("a table")
    }

    fn is_text(self) -> bool {
        !matches!(self.0, "parquet" | "arrow")
    }

    fn column(self) -> DataType {
        if self.0 == "raw_string" { DataType::Utf8 } else { DataType::Int64 }
    }

    fn batch(self, numbers: std::ops::Range<u64>) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(numbers.map(|n| n as i64).collect::<Int64Array>());
        let column = arrow::compute::cast(&numbers, &self.column()).expect("numbers");
        RecordBatch::try_from_iter_with_nullable([("n", column, true)]).expect("a column")
    }

    /// The numbers in all files that readers see, sorted.
    pub(crate) fn visible(self, folder: &Path) -> Vec<u64> {
        if names_in(folder).iter().all(|name| name.starts_with('.')) {
            return Vec::new();
        }
        let all = path(folder);
        let source = create("filesystem", &[("path", &all), ("type", "source")]).format(self.format());
        let of = schema(&[("n", self.column())]);
        let pieces = read(source.table().expect("a table").as_ref(), &of, WHOLE).expect("whole files");
        let mut numbers: Vec<u64> = if self.is_text() {
            let digits = |line: &str| line.chars().filter(char::is_ascii_digit).collect::<String>();
            text(&pieces).lines().map(|line| digits(line).parse().expect("a number")).collect()
        } else {
            rows(&pieces).column(0).as_primitive::<Int64Type>().values().iter().map(|n| *n as u64).collect()
        };
        numbers.sort_unstable();
        numbers
    }
}

/// One owner of the task, from taking over on.
pub(crate) struct Owner {
    commit: TransactionalCommit<Client>,
    kind: Kind,
    pub(crate) position: u64,
}

impl Owner {
    /// Takes the task over, with its files, and commits at once, as attempts do.
    pub(crate) fn take_over(broker: &SharedBroker, kind: Kind, number: u64, table: &dyn Table) -> Result<Self> {
        let mut owner = Self::unclaimed(broker, kind, number, table)?;
        owner.commit.claim()?;
        owner.write(0)?;
        Ok(owner)
    }

    /// Only fences the owners before, as a tool does that changes positions.
    pub(crate) fn unclaimed(broker: &SharedBroker, kind: Kind, number: u64, table: &dyn Table) -> Result<Self> {
        let task = SinkTask { name: "p/1/1/0", index: 0, owner: number };
        let sink = table.transactional_sink(&schema(&[("n", kind.column())]), task)?;
        let sink = Box::new(Disk { broker: Arc::clone(broker), sink });
        let options = TransactionalOptions {
            name: "t".into(),
            task: 0,
            n_tasks: 1,
            owner: number,
            exchanges: HashMap::new(),
            sinks: BTreeMap::from([("out".into(), Destination::Files(sink))]),
            record_bytes_max: 1_000,
        };
        let client = Client { broker: Arc::clone(broker), epoch: 0, positions: Vec::new() };
        let mut commit = TransactionalCommit::new(client, options);
        let position = match commit.take_over(&[split()])? {
            Found::Splits(splits) => splits.first().map_or(0, |found| found.position.0),
            Found::Whole(_) => panic!("this log keeps splits"),
        };
        Ok(Self { commit, kind, position })
    }

    /// Commits the next `n` numbers.
    pub(crate) fn write(&mut self, n: u64) -> Result<()> {
        self.commit_rows(n, false)
    }

    /// Commits the next `n` numbers, and closes what is open.
    pub(crate) fn finish(&mut self, n: u64) -> Result<()> {
        self.commit_rows(n, true)
    }

    fn commit_rows(&mut self, n: u64, last: bool) -> Result<()> {
        let end = self.position + n;
        let record = CommitRecord { positions: BTreeMap::from([(split(), Position(end))]), ..CommitRecord::default() };
        let rows = vec![("out".into(), self.kind.batch(self.position..end))];
        self.position = end;
        self.commit.commit(Transaction { rows, record, last, ..Transaction::default() })
    }
}
