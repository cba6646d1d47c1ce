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

/// Prints a line on standard error. Where that is closed, no other place could report it, and the exit code says how the command ended.
pub(crate) fn say(line: &str) {
    let _closed = writeln!(std::io::stderr().lock(), "{line}");
}

/// Prints text on standard output. A reader that has gone away is no error: what the command had to do is done.
pub(crate) fn print(text: &str) -> Result<()> {
    match print_rows(text.as_bytes()) {
        Err(Error::OutputClosed(_)) => Ok(()),
        printed => printed,
    }
}

/// Prints rows of a run, which ends when their reader goes away.
fn print_rows(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Error::OutputClosed("the standard output was closed by its reader".to_owned()),
        _ => Error::Unavailable(format!("cannot write to standard output: {error}")),
    })
}

/// When a table of rows is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drawn {
    /// When all rows are there.
    AtTheEnd,
    /// At each commit: the input is a topic and does not end, and a committed row must not wait in memory.
    AtCommits,
}

/// The sink of a SELECT on its own.
pub(crate) fn results(plan: &SinkPlan, format: OutputFormat, drawn: Drawn) -> Result<Box<dyn Sink>> {
    match format {
        OutputFormat::Table => {
            let header = plan.schema.fields().iter().map(|field| field.name().clone()).collect();
            Ok(Box::new(TableSink { header, drawn, staged: Vec::new(), rows: Vec::new(), n_rows: 0 }))
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
        print_rows(&std::mem::take(&mut self.staged))
    }

    fn abort(&mut self) -> Result<()> {
        self.staged.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

struct TableSink {
    header: Vec<String>,
    drawn: Drawn,
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
        match self.drawn {
            Drawn::AtCommits if 0 < self.n_rows => self.draw_rows(),
            Drawn::AtCommits | Drawn::AtTheEnd => Ok(()),
        }
    }

    fn abort(&mut self) -> Result<()> {
        self.staged.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        match (self.drawn, self.n_rows) {
            (Drawn::AtCommits, _) => Ok(()),
            (Drawn::AtTheEnd, 0) => print_rows(b"no rows\n"),
            (Drawn::AtTheEnd, _) => self.draw_rows(),
        }
    }
}

impl TableSink {
    fn draw_rows(&mut self) -> Result<()> {
        print_rows(draw(&self.header, &self.rows).as_bytes())?;
        let more = self.n_rows - self.rows.len();
        if 0 < more {
            say(&format!("… and {more} more rows; -o json or -o csv prints them all"));
        }
        self.rows.clear();
        self.n_rows = 0;
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
