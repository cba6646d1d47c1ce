//! Numbers that identify plans, stable across builds, machines and versions of DataFusion.
//!
//! There are two. The plan fingerprint covers every part: all tasks of a dataflow must run the same plan on the same data. The state
//! fingerprint covers what stored state depends on: the query below the windows, the aggregates, event time and watermark, and how
//! partials are spread. The query above closed windows has no state, and neither has a query without windows, so these may change
//! between two runs; so may names, and columns that are not used.

mod hasher;
mod query;
mod value;

use std::hash::Hasher;

use datafusion::logical_expr::{Expr, LogicalPlan};

use self::hasher::Parts;
use self::query::of_expression;
pub(super) use self::query::of_query;
use self::value::{of_field, of_type};
use crate::error::Result;
use crate::operator::partial::WindowedAggregate;
use crate::operator::partition;
use crate::operator::window::session::SessionLimits;
use crate::operator::window::spec::WindowSpec;
use crate::options::Options;
use crate::plan::{ColumnSource, Output, Stage, StageInput, TableDef};

/// How descriptions are made. Another number refuses all stored state.
const VERSION: u64 = 2;

/// Of everything: the query, the tables it reads, and by what partials are spread.
pub(super) fn of_plan(query: u64, stages: &[Stage]) -> Result<u64> {
    let mut parts = Parts::of("plan").number(VERSION).number(query);
    for stage in stages {
        if let StageInput::Table(source) = &stage.input {
            parts = parts.number(of_table(&source.table)?).number(source.table.data);
        }
        for branch in &stage.branches {
            parts = match &branch.output {
                Output::Sink(_) => parts.text("sink"),
                Output::Local(_) => parts.text("local"),
                Output::Exchange(aggregate) => partition_columns(parts.text("exchange"), aggregate),
            };
        }
    }
    Ok(parts.number(partition::identity()?).finish())
}

/// Of what decides what positions and stored partials mean.
pub(super) fn of_state(stages: &[Stage]) -> Result<u64> {
    let mut parts = Parts::of("state").number(VERSION);
    for stage in stages {
        parts = parts.text("stage");
        let has_windows = stage.branches.iter().any(|branch| !matches!(branch.output, Output::Sink(_)));
        if let (StageInput::Table(source), true) = (&stage.input, has_windows) {
            parts = parts.number(of_event_time(&source.table)?);
        }
        for branch in &stage.branches {
            parts = match &branch.output {
                // Its only state is the position.
                Output::Sink(_) => parts.text("sink"),
                Output::Local(windows) => parts.text("local").number(of_aggregate(&windows.aggregate)?),
                Output::Exchange(aggregate) => parts.text("exchange").number(of_aggregate(aggregate)?),
            };
        }
    }
    Ok(parts.number(partition::identity()?).finish())
}

/// Of a windowed aggregate's query below the window, whose columns are keys and arguments, and its calls over them.
pub(super) fn of_partials(below: &LogicalPlan, calls: &[Expr]) -> Result<u64> {
    let calls = calls.iter().map(of_expression).collect::<Result<Vec<_>>>()?;
    Ok(Parts::of("partials").number(of_query(below)?).all(&calls).finish())
}

/// Of the options that decide which data a table reads: all but addresses, how the client behaves, and secrets.
pub(super) fn of_data(options: &Options) -> u64 {
    const NOT_DATA: [&str; 9] =
        ["bootstrap_servers", "kafka.", "auth.", "tls.", "sasl", "ssl", "password", "idle_timeout", "emit_early"];
    let is_data = |name: &str| NOT_DATA.iter().all(|prefix| !name.starts_with(prefix)) && !name.contains("password");
    let data = options.values().filter(|(name, _)| is_data(name));
    data.fold(Parts::of("data"), |parts, (name, value)| parts.text(name).text(value)).finish()
}

fn of_table(table: &TableDef) -> Result<u64> {
    let mut parts = Parts::of("table").number(of_event_time(table)?);
    for column in &table.columns {
        parts = parts.number(of_field(&column.field));
        parts = match &column.from {
            ColumnSource::Record(index) => parts.text("record").number(*index as u64),
            ColumnSource::Value => parts.text("value"),
            ColumnSource::Split => parts.text("split"),
            ColumnSource::Metadata(metadata) => parts.text("metadata").text(metadata.name()),
            ColumnSource::Generated(expression) => parts.text("generated").number(of_expression(expression)?),
        };
    }
    Ok(parts.finish())
}

/// Event time and watermark; lateness only moves the watermark, as time does.
fn of_event_time(table: &TableDef) -> Result<u64> {
    let parts = Parts::of("event time");
    let Some((time, watermark)) = &table.event_time else { return Ok(parts.finish()) };
    Ok(parts.number(of_expression(time)?).number(of_expression(watermark)?).finish())
}

fn of_aggregate(aggregate: &WindowedAggregate) -> Result<u64> {
    let parts = Parts::of("windowed aggregate").text(&aggregate.exchange.0).number(aggregate.described);
    let parts = match aggregate.spec {
        WindowSpec::Hop { slide, width } => parts.text("hop").number(slide.unsigned_abs()).number(width.unsigned_abs()),
        WindowSpec::Session(SessionLimits { gap, max }) => {
            parts.text("session").number(gap.unsigned_abs()).number(max.unsigned_abs())
        }
    };
    // Partials are read by position: DataFusion decides how many columns of which types a function's state has.
    let types: Vec<u64> = aggregate.partial_schema()?.fields().iter().map(|field| of_type(field.data_type())).collect();
    Ok(partition_columns(parts.all(&types), aggregate).finish())
}

fn partition_columns(parts: Parts, aggregate: &WindowedAggregate) -> Parts {
    let columns: Vec<u64> = aggregate.partition_columns().iter().map(|column| *column as u64).collect();
    parts.all(&columns)
}
