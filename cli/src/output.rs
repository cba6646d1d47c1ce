//! What goes to the terminal: rows on standard output, everything else on standard error.

use std::io::{ErrorKind, Write};

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{ContentArrangement, Table, presets};
use davy_engine::format::{Encoder, Format};
use davy_engine::log::Sink;
use davy_engine::options::Options;
use davy_engine::plan::SinkPlan;
use davy_engine::{Error, Result};

use crate::args::OutputFormat;

/// Rows that a table shows; further ones are counted.
const TABLE_ROWS: usize = 1_000;

/// Prints a line on standard error.
#[expect(clippy::print_stderr, reason = "the one place that does")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// Prints text on standard output. A reader that has gone away is no error.
pub(crate) fn print(text: &str) -> Result<()> {
    write_out(text.as_bytes())
}

fn write_out(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Unavailable(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// The sink of a SELECT on its own.
pub(crate) fn results(plan: &SinkPlan, format: OutputFormat) -> Result<Box<dyn Sink>> {
    match format {
        OutputFormat::Table => {
            let header = plan.schema.fields().iter().map(|field| field.name().clone()).collect();
            Ok(Box::new(TableSink { header, staged: Vec::new(), rows: Vec::new(), n_rows: 0 }))
        }
        OutputFormat::Json => stream(plan, "json", &[]),
        OutputFormat::Csv => stream(plan, "csv", &[("csv.header", "true")]),
    }
}

fn stream(plan: &SinkPlan, format: &str, options: &[(&str, &str)]) -> Result<Box<dyn Sink>> {
    let mut given = Options::new(&*plan.name);
    for (name, value) in options {
        given.set(*name, *value, None);
    }
    let encoder = Format::from_options(format, &mut given)?.encoder(&plan.schema)?;
    Ok(Box::new(StreamSink { encoder, staged: Vec::new() }))
}

/// Encodes each batch when it arrives, and prints at the commit.
struct StreamSink {
    encoder: Box<dyn Encoder>,
    staged: Vec<u8>,
}

impl Sink for StreamSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.encoder.encode(batch, &mut self.staged)
    }

    fn commit(&mut self) -> Result<()> {
        write_out(&std::mem::take(&mut self.staged))
    }

    fn abort(&mut self) -> Result<()> {
        self.staged.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A table, drawn when all rows are there.
struct TableSink {
    header: Vec<String>,
    staged: Vec<RecordBatch>,
    rows: Vec<Vec<String>>,
    n_rows: usize,
}

impl Sink for TableSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.staged.push(batch.clone());
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        for batch in std::mem::take(&mut self.staged) {
            self.n_rows += batch.num_rows();
            let free = TABLE_ROWS.saturating_sub(self.rows.len()).min(batch.num_rows());
            self.rows.extend(cells(&batch.slice(0, free))?);
        }
        Ok(())
    }

    fn abort(&mut self) -> Result<()> {
        self.staged.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        if self.n_rows == 0 {
            return print("no rows\n");
        }
        print(&draw(&self.header, &self.rows))?;
        if self.rows.len() < self.n_rows {
            let more = self.n_rows - self.rows.len();
            say(&format!("… and {more} more rows; -o json or -o csv prints them all"));
        }
        Ok(())
    }
}

/// Draws a table as wide as the terminal.
pub(crate) fn draw(header: &[String], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    table.add_rows(rows);
    format!("{table}\n")
}

fn cells(batch: &RecordBatch) -> Result<Vec<Vec<String>>> {
    let options = FormatOptions::default().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"));
    let formatters = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((0..batch.num_rows())
        .map(|row| formatters.iter().map(|formatter| formatter.value(row).to_string()).collect())
        .collect())
}
