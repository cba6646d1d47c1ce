//! Output: tables for people, and one JSON object per line for programs, whose field names are stable.

mod cluster;
mod page;
mod pipeline;

use std::io::{ErrorKind, Write};
use std::ops::ControlFlow;

use davy_engine::{Error, Result};
use davy_proto::v1::TailRow;
use serde_json::{Value, json};

pub(super) use self::cluster::{scaling, tasks, workers};
pub(super) use self::page::page;
pub(super) use self::pipeline::{change, outcome, pipelines, would_run};
use super::args::Output;
use super::text::{bytes, json_bytes, json_time, time};
use crate::output::draw;

/// Prints a line of a stream; `Break` when its reader has gone away, so that `davy tail miners | head` ends.
pub(super) fn emit(line: &str) -> Result<ControlFlow<()>> {
    let mut out = std::io::stdout().lock();
    match out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(Error::Unavailable(format!("cannot write to standard output: {error}"))),
    }
}

/// A row of a topic.
pub(super) fn row(row: &TailRow, format: Output) -> String {
    match format {
        Output::Table => {
            let key = if row.key.is_empty() { String::new() } else { bytes(&row.key) + "  " };
            format!("{}  {key}{}\n", time(row.written_at_ms), bytes(&row.value))
        }
        Output::Json => line(json!({
            "topic": row.topic,
            "partition": row.partition,
            "offset": row.offset,
            "written_at": json_time(row.written_at_ms),
            "key": if row.key.is_empty() { Value::Null } else { json_bytes(&row.key) },
            "value": json_bytes(&row.value),
        })),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
fn line(value: Value) -> String {
    format!("{value}\n")
}

/// A table, or a sentence where there is nothing in it. `none` is without its full stop.
fn table(header: &[&str], rows: &[Vec<String>], none: &str) -> String {
    if rows.is_empty() {
        return format!("{none}\n");
    }
    let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
    draw(&header, rows)
}
