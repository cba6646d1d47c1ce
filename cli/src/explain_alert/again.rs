//! The pipeline once more, over the messages of an alert.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use davy_engine::format::Format;
use davy_engine::format::json::JsonOptions;
use davy_engine::plan::{Dataflow, Pipeline, StageInput, TableDef};
use davy_engine::sql::offset_ranges::OffsetRange;
use davy_engine::{Error, Result};
use davy_worker::host;

use super::alert::{Alert, Difference};
use super::args::ExplainAlertArgs;
use crate::args::ScriptArgs;
use crate::collect::all_rows;
use crate::script::{plan_text, read_script};
use crate::settings::FileSettings;

/// What came of it.
pub(super) struct Found {
    pub(super) ranges: Vec<OffsetRange>,
    /// What is different in the alert that came out; `None`: none came out.
    pub(super) differences: Option<Vec<Difference>>,
    /// How many alerts came out with another id.
    pub(super) n_others: usize,
    /// `None`: the source has no columns to choose flows by.
    pub(super) flows: Option<Vec<RecordBatch>>,
}

impl Found {
    pub(super) fn is_same(&self) -> bool {
        self.differences.as_ref().is_some_and(Vec::is_empty)
    }
}

/// The script with its settings.
pub(super) struct Script<'a> {
    text: String,
    args: ScriptArgs,
    file: &'a FileSettings,
}

impl<'a> Script<'a> {
    pub(super) fn read(args: &ExplainAlertArgs, file: &'a FileSettings) -> Result<Self> {
        let named = ScriptArgs { script: args.pipeline.clone(), input: args.input.clone() };
        Ok(Self { text: read_script(&args.pipeline)?, args: named, file })
    }

    pub(super) fn plan(&self) -> Result<Pipeline> {
        plan_text(&self.text, &self.args, self.file)
    }

    /// With another query at its end.
    fn plan_with(&self, query: &str) -> Result<Pipeline> {
        plan_text(&format!("{}\n;\n{query};\n", self.text), &self.args, self.file)
    }
}

pub(super) fn run(args: &ExplainAlertArgs, mut script: Script<'_>, alert: &Alert) -> Result<Found> {
    let ranges = alert.sources()?;
    if !ranges.is_empty() {
        let planned = script.plan()?;
        let tables = sources(&planned);
        let own: Vec<Vec<String>> = tables.iter().map(|table| ranges_of(table, &ranges)).collect();
        if own.iter().all(Vec::is_empty) {
            return Err(reads_others(&ranges));
        }
        // Of a topic that the alert does not name, nothing is read.
        for (table, own) in tables.into_iter().zip(own).filter(|(table, _)| host::topic_of(table).is_some()) {
            script.args.input.set.push((format!("{}.source.ranges", table.name), own.join(",")));
        }
    }
    let mut pipeline = script.plan()?;
    retain(&mut pipeline, |dataflow| Ok(!host::never_ends(dataflow)?))?;
    if pipeline.dataflows.is_empty() {
        return Err(Error::invalid("the alert does not say which messages it is from, and the pipeline reads topics")
            .hint("give it a column `sources` with offset_ranges(split, offset)"));
    }
    let condition = condition(args, alert, &pipeline);
    let results: Vec<Arc<str>> = pipeline.dataflows.iter().map(|dataflow| Arc::clone(&dataflow.sink)).collect();
    let rows = all_rows(pipeline)?;
    let mut made = Vec::new();
    // Late rows and dead letters are no alerts.
    for batch in
        rows.iter().filter(|(table, _)| results.iter().any(|name| **name == ***table)).flat_map(|(_, rows)| rows)
    {
        made.extend(alerts_of(batch)?);
    }
    let n_made = made.len();
    let matching = best(alert, made);
    let flows = match condition {
        Some((table, condition)) => Some(flows(&script, &table, &condition)?),
        None => None,
    };
    Ok(Found {
        ranges,
        n_others: n_made - usize::from(matching.is_some()),
        differences: matching.map(|again| alert.differences(&again)),
        flows,
    })
}

/// The tables that a pipeline reads.
fn sources(pipeline: &Pipeline) -> Vec<&TableDef> {
    let mut tables: Vec<&TableDef> = Vec::new();
    for stage in pipeline.dataflows.iter().flat_map(|dataflow| &dataflow.stages) {
        if let StageInput::Table(plan) = &stage.input
            && tables.iter().all(|table| table.name != plan.table.name)
        {
            tables.push(&plan.table);
        }
    }
    tables
}

/// The ranges of a table's topic, as its option has them.
fn ranges_of(table: &TableDef, ranges: &[OffsetRange]) -> Vec<String> {
    let Some(topic) = host::topic_of(table) else { return Vec::new() };
    let is_own = |range: &&OffsetRange| range.split.rsplit_once('/').is_some_and(|(of, _)| of == topic);
    ranges.iter().filter(is_own).map(ToString::to_string).collect()
}

/// Keeps some of the dataflows, and the tables that these write to.
fn retain(pipeline: &mut Pipeline, keep: impl Fn(&Dataflow) -> Result<bool>) -> Result<()> {
    let mut kept = Vec::new();
    for dataflow in std::mem::take(&mut pipeline.dataflows) {
        if keep(&dataflow)? {
            kept.push(dataflow);
        }
    }
    pipeline.dataflows = kept;
    let is_written = |name: &Arc<str>| {
        pipeline.dataflows.iter().any(|dataflow| {
            dataflow.sink == *name || dataflow.stages.iter().any(|stage| stage.side_tables().contains(name))
        })
    };
    pipeline.sinks.retain(|sink| is_written(&sink.name));
    Ok(())
}

fn reads_others(ranges: &[OffsetRange]) -> Error {
    let shown: Vec<String> = ranges.iter().map(ToString::to_string).collect();
    Error::invalid(format!("the alert is from {}, which the pipeline does not read", shown.join(", ")))
        .hint("give the script of the pipeline that gave the alert")
}

/// The table whose flows are shown, and the condition for them.
fn condition(args: &ExplainAlertArgs, alert: &Alert, pipeline: &Pipeline) -> Option<(String, String)> {
    let tables = sources(pipeline);
    if let Some(given) = &args.condition {
        return tables.first().map(|table| (table.name.to_string(), given.clone()));
    }
    let has = |table: &TableDef, name: &str| table.columns.iter().any(|column| column.field.name() == name);
    let table = tables.into_iter().find(|table| ["sa", "da", "sp", "dp"].iter().all(|name| has(table, name)))?;
    let mut condition = alert.condition()?;
    if let (Some((time, _)), Some([from, to])) = (&table.event_time, alert.window())
        && has(table, &time.to_string())
    {
        condition = format!("{condition} AND \"{time}\" >= TIMESTAMP '{from}' AND \"{time}\" < TIMESTAMP '{to}'");
    }
    Some((table.name.to_string(), condition))
}

fn flows(script: &Script<'_>, table: &str, condition: &str) -> Result<Vec<RecordBatch>> {
    let mut pipeline = script.plan_with(&format!("SELECT * FROM \"{table}\" WHERE {condition}"))?;
    let Some(sink) = pipeline.dataflows.last().map(|dataflow| Arc::clone(&dataflow.sink)) else {
        return Err(Error::internal("a query became no dataflow"));
    };
    retain(&mut pipeline, |dataflow| Ok(dataflow.sink == sink))?;
    Ok(all_rows(pipeline)?.remove(&*sink).unwrap_or_default())
}

/// The rows of a batch as alerts: texts with an object each, or rows with fields.
fn alerts_of(batch: &RecordBatch) -> Result<Vec<Alert>> {
    let lines = match batch.columns() {
        [column] if *column.data_type() == DataType::Utf8 => column
            .as_string::<i32>()
            .iter()
            .flatten()
            .map(|text| text.to_owned() + "\n")
            .collect::<String>()
            .into_bytes(),
        _ => {
            let mut lines = Vec::new();
            Format::Json(JsonOptions::default()).encoder(&batch.schema())?.encode(batch, &mut lines)?;
            lines
        }
    };
    Ok(lines.split(|byte| *byte == b'\n').filter_map(Alert::of_line).collect())
}

/// The one with the alert's id; without ids, the one that differs least. Of early results the last, which is final.
fn best(alert: &Alert, made: Vec<Alert>) -> Option<Alert> {
    match alert.id() {
        Some(id) => made.into_iter().rfind(|again| again.id() == Some(id)),
        None => made.into_iter().rev().min_by_key(|again| alert.differences(again).len()),
    }
}
