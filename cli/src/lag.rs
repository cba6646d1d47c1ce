//! `davy lag` and `davy topics`: a pipeline's partitions, as the broker knows them.

use std::process::ExitCode;

use davy_engine::plan::Pipeline;
use davy_engine::time::Watermark;
use davy_engine::{Error, Result};
use davy_worker::host::{self, HostOptions, LagRow};

use crate::args::{LagArgs, OutputFormat};
use crate::output::{self, draw};
use crate::script::load;
use crate::settings::{pipeline_name, read_file};

pub(crate) fn lag(args: &LagArgs) -> Result<ExitCode> {
    let (pipeline, options) = plan(args)?;
    let rows = host::lag(&pipeline, &options)?;
    if rows.is_empty() {
        return Err(no_topics(args));
    }
    let header = [
        "insert",
        "stage",
        "topic",
        "partition",
        "position",
        "end",
        "open_messages",
        "lag_messages",
        "watermark",
        "task",
    ];
    let printed = print(args.output, &header, &rows);
    rows.iter().filter(|row| 0 < row.open_messages).for_each(say_open);
    printed
}

pub(crate) fn topics(args: &LagArgs) -> Result<ExitCode> {
    let (pipeline, options) = plan(args)?;
    let mut rows = host::lag(&pipeline, &options)?;
    rows.extend(host::topics(&pipeline)?);
    if rows.is_empty() {
        return Err(no_topics(args));
    }
    rows.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
    rows.dedup_by(|a, b| (&a.topic, a.partition) == (&b.topic, b.partition));
    print(args.output, &["topic", "partition", "first", "end"], &rows)
}

/// What holds a partition back although its lag may be 0.
fn say_open(row: &LagRow) {
    let LagRow { topic, partition, end, open_messages, .. } = row;
    output::say(&format!(
        "note: `{topic}/{partition}`: {open_messages} messages from offset {end} on are behind an open transaction, and windows wait for them; \
         if it stays open, kafka-transactions.sh find-hanging --topic {topic} --partition {partition} names its producer"
    ));
}

fn plan(args: &LagArgs) -> Result<(Pipeline, HostOptions)> {
    let file = read_file(args.script.input.config.as_deref())?;
    let pipeline = load(&args.script, &file)?;
    let name = pipeline_name(args.name.as_deref(), &args.script.script)?;
    Ok((pipeline, HostOptions { name, ..HostOptions::default() }))
}

fn no_topics(args: &LagArgs) -> Error {
    Error::invalid(format!("script `{}` reads and writes no topic", args.script.script.display()))
        .hint("its tables need connector = 'kafka'")
}

/// A cell by its column's name; `None` is shown as nothing.
fn cell(row: &LagRow, column: &str) -> Option<String> {
    match column {
        "insert" => Some(row.dataflow.to_string()),
        "stage" => Some(row.stage.to_string()),
        "topic" => Some(row.topic.clone()),
        "partition" => Some(row.partition.to_string()),
        "first" => Some(row.first.to_string()),
        "end" => Some(row.end.to_string()),
        "position" => row.position.map(|position| position.to_string()),
        "open_messages" => Some(row.open_messages.to_string()),
        "lag_messages" => Some(row.lag.to_string()),
        "watermark" => row.watermark.map(|ns| Watermark(ns).to_string()),
        _ => row.task.map(|(task, n_tasks)| format!("{} of {n_tasks}", task + 1)),
    }
}

fn print(format: OutputFormat, header: &[&str], rows: &[LagRow]) -> Result<ExitCode> {
    let text = match format {
        OutputFormat::Table => {
            let shown = |row: &LagRow| header.iter().map(|column| cell(row, column).unwrap_or_default()).collect();
            let cells: Vec<Vec<String>> = rows.iter().map(shown).collect();
            let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
            draw(&header, &cells)
        }
        OutputFormat::Json => rows.iter().map(|row| json(header, row)).collect(),
        OutputFormat::Csv => {
            let line = |row: &LagRow| -> String {
                let cells: Vec<String> = header.iter().map(|column| cell(row, column).unwrap_or_default()).collect();
                cells.join(",") + "\n"
            };
            header.join(",") + "\n" + &rows.iter().map(line).collect::<String>()
        }
    };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Numbers as numbers, the rest as text.
fn json(header: &[&str], row: &LagRow) -> String {
    let value = |column: &str| match cell(row, column) {
        None => serde_json::Value::Null,
        Some(text) => text.parse::<u64>().map_or_else(|_| text.clone().into(), Into::into),
    };
    let object: serde_json::Map<String, serde_json::Value> =
        header.iter().map(|&column| (column.to_owned(), value(column))).collect();
    serde_json::Value::Object(object).to_string() + "\n"
}
