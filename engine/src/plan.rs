//! What a script becomes: plain data, shared by all tasks that carry it out.
//!
//! A *pipeline* is a script; a *dataflow* is one INSERT of it; a *stage* is a chain between two logs; a *task* is a stage on a
//! share of its splits.

mod policy;
mod table;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;

use crate::connector::Table;
use crate::error::Result;
use crate::format::DecodeSpec;
use crate::log::ExchangeId;
use crate::lookup::Lookup;
use crate::metrics::FunctionMetrics;
use crate::operator::bounded::BoundedPlan;
pub use crate::operator::guard::place::SqlExpression;
use crate::operator::guard::{Failures, guarded};
use crate::operator::partial::WindowedAggregate;
pub use policy::{BadRecordPolicy, KeyLimit, Overflow, RowPolicy};
pub use table::{Column, ColumnSource, Metadata, TableDef};

#[derive(Debug)]
pub struct Pipeline {
    /// One per INSERT (or SELECT on its own), in the script's order.
    pub dataflows: Vec<Dataflow>,
    /// The tables that the dataflows may write to: sinks, late tables, dead letter tables; by name, each once.
    pub sinks: Vec<SinkPlan>,
    /// What the script's own functions count, in its order.
    pub functions: Vec<Arc<FunctionMetrics>>,
    /// Its lookup tables, by name.
    pub lookups: Vec<Arc<Lookup>>,
    /// Bytes that all operators together may hold.
    pub memory_bytes: usize,
    /// Its name, where the script or a setting gives one: what it is known by to the broker.
    pub name: Option<String>,
    /// How many partitions the topics of its exchanges have.
    pub exchange_partitions: u32,
}

/// The name of the table that a SELECT on its own writes to.
pub const RESULTS: &str = "results";

/// A table that is written to.
#[derive(Clone, Debug)]
pub struct SinkPlan {
    /// Its name; [`RESULTS`] for a SELECT on its own.
    pub name: Arc<str>,
    pub schema: SchemaRef,
    /// Its connector; `None` for a SELECT on its own, whose rows go to the caller.
    pub table: Option<Arc<dyn Table>>,
}

#[derive(Debug)]
pub struct Dataflow {
    /// Upstream first.
    pub stages: Vec<Stage>,
    /// Which sink its rows go to.
    pub sink: Arc<str>,
    /// The script's expressions, for errors of running tasks.
    pub expressions: Arc<[SqlExpression]>,
    /// The lookup tables that it joins with, by name.
    pub lookups: Vec<Arc<Lookup>>,
    /// A hash of the whole plan. A worker runs the tasks only if it plans the same.
    pub fingerprint: u64,
    /// A hash of what stored state depends on: only a plan with the same hash restores that state.
    pub state_fingerprint: u64,
}

/// A chain between two logs.
#[derive(Debug)]
pub struct Stage {
    pub input: StageInput,
    /// What it makes of it. A stage over exchanges has one branch.
    pub branches: Vec<Branch>,
}

/// What a stage reads.
#[derive(Debug)]
pub enum StageInput {
    Table(Arc<SourcePlan>),
    /// The partials of windowed aggregates, merged and closed.
    Exchanges(Vec<ExchangeInput>),
}

/// Partials to be merged for one leaf of the query above.
#[derive(Clone, Debug)]
pub struct ExchangeInput {
    /// The leaf that reads the closed windows' rows.
    pub placeholder: Arc<str>,
    pub aggregate: Arc<WindowedAggregate>,
}

/// A query over what the stage reads, and where its rows go.
#[derive(Debug)]
pub struct Branch {
    pub plan: BoundedPlan,
    /// Whether it must see one window at a time (it sorts or limits).
    pub window_by_window: bool,
    /// What becomes of rows on which an expression fails.
    pub on_error: RowPolicy,
    /// Of a query over windows, where its sink takes results of open ones.
    pub early: Option<Arc<EarlyResults>>,
    /// Where its rows go.
    pub output: Output,
}

/// Results of windows that are still open.
#[derive(Debug)]
pub struct EarlyResults {
    /// They are given out when the watermark passes a multiple of this, in nanoseconds.
    pub interval_ns: i64,
    /// The query above the windows, with `is_final` false.
    pub plan: BoundedPlan,
}

/// Where a branch's rows go.
#[derive(Clone, Debug)]
pub enum Output {
    Sink(Arc<str>),
    /// To a partial aggregate and on to its exchange.
    Exchange(Arc<WindowedAggregate>),
    /// To windows in the same task, since every partition of the source holds its keys alone.
    Local(Arc<LocalWindows>),
}

/// A windowed aggregate and the query above it, in the task that reads the rows.
#[derive(Debug)]
pub struct LocalWindows {
    pub aggregate: Arc<WindowedAggregate>,
    /// The leaf that reads its rows.
    pub placeholder: Arc<str>,
    /// The query above it.
    pub plan: BoundedPlan,
    /// Whether it must see one window at a time.
    pub window_by_window: bool,
    /// What becomes of result rows on which an expression fails.
    pub on_error: RowPolicy,
    /// Where the sink takes results of open windows.
    pub early: Option<Arc<EarlyResults>>,
    /// Where its rows go.
    pub sink: Arc<str>,
}

/// How a source table is read for a dataflow.
#[derive(Debug)]
pub struct SourcePlan {
    pub table: Arc<TableDef>,
    /// The columns to decode.
    pub decode: DecodeSpec,
    pub schema: SchemaRef,
    /// Event time and watermark over `schema`; `None` where no window needs them.
    pub event_time: Option<EventTime>,
    /// What becomes of rows on which the event time or the watermark fails.
    pub on_error: RowPolicy,
}

/// When rows happened, over the decoded columns.
#[derive(Clone, Debug)]
pub struct EventTime {
    /// `Timestamp(Nanosecond)`.
    pub time: Arc<dyn PhysicalExpr>,
    /// No earlier row is expected after this row.
    pub watermark: WatermarkRule,
    /// How far before and after a row its windows may reach, in nanoseconds.
    pub reach_ns: i64,
}

impl EventTime {
    /// What is evaluated for each row.
    pub(crate) fn expressions(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        match &self.watermark {
            WatermarkRule::Behind(_) => vec![Arc::clone(&self.time)],
            WatermarkRule::Expression(watermark) => vec![Arc::clone(&self.time), Arc::clone(watermark)],
        }
    }

    /// The same with null where a part fails, which is noted in `failures`.
    pub(crate) fn nulling(&self, failures: &Failures) -> Result<Self> {
        let watermark = match &self.watermark {
            WatermarkRule::Behind(ns) => WatermarkRule::Behind(*ns),
            WatermarkRule::Expression(watermark) => WatermarkRule::Expression(guarded(watermark, failures)?),
        };
        Ok(Self { time: guarded(&self.time, failures)?, watermark, reach_ns: self.reach_ns })
    }
}

/// How a row's watermark is made.
#[derive(Clone, Debug)]
pub enum WatermarkRule {
    /// The event time less so many nanoseconds: what nearly every table says, and an integer subtraction.
    Behind(i64),
    /// Any other expression, `Timestamp(Nanosecond)`.
    Expression(Arc<dyn PhysicalExpr>),
}

impl SourcePlan {
    /// Whether each row's own message has to be known: for columns of it, or to say where late rows are from.
    pub fn needs_origins(&self) -> bool {
        // A row without an event time is a bad record, whose message is known by its row only.
        let has_bad_records = self.event_time.is_some() && self.table.bad_record != BadRecordPolicy::Drop;
        has_bad_records || self.table.late_table.is_some() || self.metadata().any(Metadata::is_of_message)
    }

    /// The metadata that the query uses.
    pub fn metadata(&self) -> impl Iterator<Item = Metadata> {
        let used = |name: &str| self.schema.column_with_name(name).is_some();
        self.table.columns.iter().filter(move |column| used(column.field.name())).filter_map(|column| {
            match column.from {
                ColumnSource::Metadata(metadata) => Some(metadata),
                _ => None,
            }
        })
    }
}

/// Columns added to late rows and bad records, for sinks whose records have headers: the split, the position, the reason.
pub const ORIGIN: [(&str, DataType); 3] =
    [("__origin_split", DataType::Utf8), ("__origin_position", DataType::Int64), ("__origin_reason", DataType::Utf8)];

/// A column of dead letters beside [`ORIGIN`]: the key of a message without a byte, which is all that it has.
pub const ORIGIN_KEY: &str = "__origin_key";

/// The columns that the dead letter table may have, by name.
pub fn dead_letter_columns() -> [(&'static str, DataType); 5] {
    [
        ("reason", DataType::Utf8),
        ("detail", DataType::Utf8),
        ("split", DataType::Utf8),
        ("position", DataType::Int64),
        ("value", DataType::Binary),
    ]
}

impl Dataflow {
    /// How results of open windows are given out, where they are.
    pub fn early_results(&self) -> Option<&EarlyResults> {
        let branches = self.stages.iter().flat_map(|stage| &stage.branches);
        let mut early = branches.filter_map(|branch| match &branch.output {
            Output::Local(windows) => windows.early.as_deref(),
            Output::Sink(_) | Output::Exchange(_) => branch.early.as_deref(),
        });
        early.next()
    }

    /// How many tasks write to `exchange`, and the number of the first one of `stage`, when stage i has `n_tasks(i)` tasks.
    pub fn senders(&self, exchange: &ExchangeId, stage: usize, n_tasks: impl Fn(usize) -> u32) -> (u32, u32) {
        let writes = |stage: &Stage| stage.branches.iter().any(|branch| branch.output.exchange() == Some(exchange));
        let mut first = 0;
        let mut total = 0;
        for (index, candidate) in self.stages.iter().enumerate() {
            if index == stage {
                first = total;
            }
            if writes(candidate) {
                total += n_tasks(index);
            }
        }
        (first, total)
    }
}

impl Stage {
    /// The tables that rows may go to beside the results: late rows and dead letters.
    pub fn side_tables(&self) -> BTreeSet<&Arc<str>> {
        let mut tables = BTreeSet::new();
        if let StageInput::Table(source) = &self.input {
            tables.extend(&source.table.late_table);
            tables.extend(source.on_error.table());
            if let BadRecordPolicy::DeadLetter(table) = &source.table.bad_record {
                tables.insert(table);
            }
        }
        for branch in &self.branches {
            tables.extend(branch.on_error.table());
            if let Output::Local(windows) = &branch.output {
                tables.extend(windows.on_error.table());
            }
        }
        tables
    }
}

impl Output {
    /// The exchange it writes to, if it does.
    pub fn exchange(&self) -> Option<&ExchangeId> {
        match self {
            Self::Sink(_) | Self::Local(_) => None,
            Self::Exchange(aggregate) => Some(&aggregate.exchange),
        }
    }
}
