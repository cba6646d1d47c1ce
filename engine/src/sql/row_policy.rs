//! `on_error`: what becomes of a row on which an expression fails.

use super::catalog::Catalog;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::plan::{BadRecordPolicy, RowPolicy, TableDef};

/// Takes option `on_error` of a table whose dead letter table or topic is known.
pub(super) fn take(def: &TableDef, options: &mut Options) -> Result<Option<RowPolicy>> {
    let Some(word) = options.take("on_error") else { return Ok(None) };
    match (word.trim().to_ascii_lowercase().as_str(), &def.bad_record) {
        ("fail", _) => Ok(Some(RowPolicy::Fail)),
        ("null", _) => Ok(Some(RowPolicy::Null)),
        ("dead_letter", BadRecordPolicy::DeadLetter(table)) => Ok(Some(RowPolicy::DeadLetter(table.clone()))),
        ("dead_letter", BadRecordPolicy::Drop | BadRecordPolicy::Fail) => {
            Err(Error::invalid(format!("table `{}`: on_error = 'dead_letter' needs to know where to", def.name))
                .hint("add dead_letter_table = 'name of a sink table', or for connector `kafka` dead_letter_topic")
                .at(options.location("on_error")))
        }
        _ => Err(options.bad_value("on_error", &word, "'fail', 'null' or 'dead_letter'")),
    }
}

/// Over Kafka a failing row would stop the pipeline at every start, so it goes to the dead letters where there are any.
fn default_of(def: &TableDef) -> Option<RowPolicy> {
    match &def.bad_record {
        BadRecordPolicy::DeadLetter(table) if def.table.has_metadata() => Some(RowPolicy::DeadLetter(table.clone())),
        BadRecordPolicy::DeadLetter(_) | BadRecordPolicy::Drop | BadRecordPolicy::Fail => None,
    }
}

/// For rows of `source` below a window.
pub(super) fn of_source(source: &TableDef) -> RowPolicy {
    source.on_error.clone().or_else(|| default_of(source)).unwrap_or(RowPolicy::Fail)
}

/// For result rows of the table `sink`; a SELECT on its own has none.
pub(super) fn of_sink(catalog: &Catalog, sink: &str) -> RowPolicy {
    let sink = catalog.table(sink);
    sink.and_then(|sink| sink.on_error.clone().or_else(|| default_of(sink))).unwrap_or(RowPolicy::Fail)
}

/// For rows that go from `source` to `sink` without a window between them: what is written outranks what is the default.
pub(super) fn of_row(catalog: &Catalog, source: &TableDef, sink: &str) -> RowPolicy {
    let written = source.on_error.clone().or_else(|| catalog.table(sink)?.on_error.clone());
    written.or_else(|| default_of(source)).unwrap_or_else(|| of_sink(catalog, sink))
}
