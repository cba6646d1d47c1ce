//! `nfcapd`: nfdump's binary files, read through the program `nfdump`.
//!
//! `nfdump -o csv` is the format: its header line comes first, the summary at its end is cut off. A split is a file, a
//! position a byte of the text. A file that nfdump cannot read to its end does not stop the others: it is logged, and its
//! text ends with one record that no decoder accepts and that holds nfdump's message; so it is counted and handled as the
//! table's `bad_record` demands (which may be: fail).

mod process;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use davy_engine::connector::{Share, Table, TableRequest};
use davy_engine::format::Format;
use davy_engine::log::{Sink, Source, SplitId};
use davy_engine::options::Options;
use davy_engine::{Error, Result};

use self::process::{DumpReader, Program};
use super::Role;
use super::file::take_piece_bytes;
use super::filesystem::paths;
use super::splits::{Sequential, SplitReader, shared};

/// The file that nfcapd is still writing is called `nfcapd.current.<pid>`.
const UNFINISHED: &str = "nfcapd.current";

pub(super) fn table(request: &TableRequest<'_>, options: &mut Options) -> Result<Arc<dyn Table>> {
    table_read_by(request, options, Path::new("nfdump"))
}

/// A table that another program reads, which is not the script's to choose.
pub(super) fn table_read_by(
    request: &TableRequest<'_>,
    options: &mut Options,
    program: &Path,
) -> Result<Arc<dyn Table>> {
    Role::Source.take_only(request, options)?;
    let pattern = options.require("path")?;
    let program = Program {
        name: program.to_string_lossy().into_owned(),
        filter: options.take("filter").filter(|filter| !filter.trim().is_empty()),
        piece_bytes: take_piece_bytes(options)?,
    };
    if !matches!(request.format, None | Some(Format::Csv(_))) {
        return Err(Error::invalid(format!("table `{}`: connector `nfcapd` reads `format = 'csv'`", request.name))
            .hint("leave `format` out"));
    }
    program.check(request.name)?;
    list(request.name, &pattern)?;
    Ok(Arc::new(Nfcapd { name: request.name.to_owned(), pattern, program }))
}

fn list(table: &str, pattern: &str) -> Result<Vec<SplitId>> {
    let is_unfinished = |split: &SplitId| split.0.rsplit('/').next().is_some_and(|name| name.starts_with(UNFINISHED));
    let mut splits = paths::list(table, pattern)?;
    splits.retain(|split| !is_unfinished(split));
    if splits.is_empty() {
        return Err(Error::invalid(format!("table `{table}`: `{pattern}` has no finished file yet"))
            .hint("nfcapd finishes a file every five minutes (its option -t)"));
    }
    Ok(splits)
}

impl Program {
    /// Runs the program once, so that a missing one or a wrong filter shows while planning.
    fn check(&self, table: &str) -> Result<()> {
        let mut command = Command::new(&self.name);
        match &self.filter {
            Some(filter) => command.args(["-Z", "--", filter]),
            None => command.arg("-V"),
        };
        let output = command.stdin(Stdio::null()).output().map_err(|error| self.cannot_run(&error))?;
        let Some(filter) = self.filter.as_ref().filter(|_| !output.status.success()) else { return Ok(()) };
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Error::invalid(format!("table `{table}`: nfdump does not understand the filter `{filter}`: {said}"))
            .hint("the syntax is in `man nfdump`, section FILTER"))
    }
}

/// A table over nfdump files.
#[derive(Debug)]
struct Nfcapd {
    name: String,
    /// A file, a folder or a glob.
    pattern: String,
    program: Program,
}

impl Table for Nfcapd {
    fn is_source(&self) -> bool {
        true
    }

    fn is_sink(&self) -> bool {
        false
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn reads_bytes(&self) -> bool {
        true
    }

    fn default_format(&self) -> Option<Format> {
        // nfdump prints its own layout, whatever the table would call it.
        let mut options = Options::new(&self.name);
        options.set("csv.columns", "nfdump", None);
        Format::from_options("csv", &mut options).ok()
    }

    fn source(&self, _schema: &SchemaRef, share: Share) -> Result<Box<dyn Source>> {
        let splits = shared(list(&self.name, &self.pattern)?, share);
        let program = self.program.clone();
        let open = move |split: &SplitId, from| -> Result<Box<dyn SplitReader>> {
            Ok(Box::new(DumpReader::start(&program, split.0.as_ref().as_ref(), from)?))
        };
        Ok(Box::new(Sequential::new(splits, Box::new(open))))
    }

    fn sink(&self, _schema: &SchemaRef) -> Result<Box<dyn Sink>> {
        Err(Error::internal("connector `nfcapd` cannot be written"))
    }
}
