//! `lookup`: a list on disk that streams are joined with. The engine parses it; this module only reads the file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use davy_engine::connector::{Share, Table, TableRequest};
use davy_engine::log::{Sink, Source};
use davy_engine::lookup::LookupFile;
use davy_engine::options::Options;
use davy_engine::{Error, Result};

use super::read_error;

pub(super) fn table(_: &TableRequest<'_>, options: &mut Options) -> Result<Arc<dyn Table>> {
    let path = options.require("path")?.into();
    let reload_interval = reload_interval(options)?;
    Ok(Arc::new(LookupTable { file: ListFile { path, reload_interval } }))
}

/// A list is read and hashed each time, so a second is the least.
fn reload_interval(options: &mut Options) -> Result<Option<Duration>> {
    const NAME: &str = "reload_interval";
    const DEFAULT: Duration = Duration::from_secs(30);
    const LEAST: Duration = Duration::from_secs(1);
    let is_off = |(name, value): (&str, &str)| name == NAME && value.trim().eq_ignore_ascii_case("off");
    if options.values().any(is_off) {
        options.take(NAME);
        return Ok(None);
    }
    match options.parse_duration(NAME)? {
        None => Ok(Some(DEFAULT)),
        Some(interval) if LEAST <= interval => Ok(Some(interval)),
        Some(_) => Err(options.bad_value(NAME, "0", "a duration of at least '1 second', or 'off'")),
    }
}

#[derive(Debug)]
struct LookupTable {
    file: ListFile,
}

impl Table for LookupTable {
    fn lookup_file(&self) -> Option<Arc<dyn LookupFile>> {
        Some(Arc::new(self.file.clone()))
    }

    fn is_source(&self) -> bool {
        false
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

    fn source(&self, _schema: &SchemaRef, _share: Share) -> Result<Box<dyn Source>> {
        Err(Error::internal("a lookup table is not read as a stream"))
    }

    fn sink(&self, _schema: &SchemaRef) -> Result<Box<dyn Sink>> {
        Err(Error::internal("a lookup table is not written"))
    }
}

#[derive(Clone, Debug)]
struct ListFile {
    path: PathBuf,
    reload_interval: Option<Duration>,
}

impl LookupFile for ListFile {
    fn read(&self) -> Result<Vec<u8>> {
        std::fs::read(&self.path).map_err(|error| read_error(&self.path, &error))
    }

    fn reload_interval(&self) -> Option<Duration> {
        self.reload_interval
    }
}
