//! Whether a table's first records are all bad, and why: usually the table's options describe another kind of data.
//!
//! The tasks of a pipeline share the counts, because a table of many files is bad only if none of them has a good record. A run over
//! files fails when its input has ended without one; a task over Kafka reports it and continues.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::bad_records::RejectedRecord;
use crate::error::{Error, Result};
use crate::plan::TableDef;

/// So many bad records without a good one are reported.
const BAD_RECORDS_MIN: u64 = 1_000;
/// So many bytes of a record are shown.
const SHOWN_BYTES: usize = 80;

/// What the records of each table were like so far.
#[derive(Debug, Default)]
pub struct InputChecks(Mutex<BTreeMap<Arc<str>, InputCheck>>);

#[derive(Debug, Default)]
struct InputCheck {
    n_good: u64,
    n_bad: u64,
    is_reported: bool,
    /// What the first bad record says of the whole table.
    first: Option<FirstRecord>,
}

#[derive(Debug)]
struct FirstRecord {
    detail: String,
    hint: String,
}

/// What a task reports of its table's records.
#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    /// Every record was bad so far, and there were many.
    AllBad(String),
    /// After such a report there was a good record.
    Recovered,
}

impl InputChecks {
    /// Counts the records of a piece of `table`.
    pub(super) fn count(&self, table: &TableDef, n_good: usize, rejected: &[RejectedRecord]) -> Option<Finding> {
        let mut checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let check = match checks.get_mut(&table.name) {
            Some(check) => check,
            None => checks.entry(Arc::clone(&table.name)).or_default(),
        };
        check.n_good += n_good as u64;
        check.n_bad += rejected.len() as u64;
        if 0 < check.n_good {
            return std::mem::take(&mut check.is_reported).then_some(Finding::Recovered);
        }
        if let (None, Some(bad)) = (&check.first, rejected.first()) {
            check.first = Some(FirstRecord { detail: described(bad), hint: likely_cause(table, &bad.record.bytes) });
        }
        if check.n_bad < BAD_RECORDS_MIN || check.is_reported {
            return None;
        }
        check.is_reported = true;
        check.error(&table.name).map(|error| Finding::AllBad(error.to_string()))
    }

    /// Refuses an input that has ended without a good record, unless it was empty.
    pub fn check_ended(&self) -> Result<()> {
        let checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match checks.iter().find_map(|(table, check)| check.error(table)) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl InputCheck {
    fn error(&self, table: &str) -> Option<Error> {
        let first = self.first.as_ref().filter(|_| self.n_good == 0)?;
        let n_bad = self.n_bad;
        let message = format!("table `{table}`: none of {n_bad} records can be read; the first: {}", first.detail);
        Some(Error::invalid(message).hint(&first.hint))
    }
}

fn described(bad: &RejectedRecord) -> String {
    let record = &bad.record;
    let shown = &record.bytes[..record.bytes.len().min(SHOWN_BYTES)];
    let shown = String::from_utf8_lossy(shown).escape_debug().to_string();
    format!("`{shown}`: {} ({})", record.detail, record.reason.label())
}

/// What a record that could not be decoded looks like, and the option that fits.
fn likely_cause(table: &TableDef, record: &[u8]) -> String {
    let format = table.format.as_ref();
    let declared = table.record_columns();
    binary(record)
        .map(str::to_owned)
        .or_else(|| format.and_then(|format| format.likely_cause(&declared, record)))
        .unwrap_or_else(|| "compare the table's columns and its `format` with the data".to_owned())
}

/// Data that is no text, by the bytes that it begins with.
fn binary(record: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 6] = [
        (
            b"\x1f\x8b",
            "this is gzip: a file needs a name that ends in `.gz`; let a Kafka producer set compression.type instead",
        ),
        (
            b"\x28\xb5\x2f\xfd",
            "this is zstd: a file needs a name that ends in `.zst`; let a Kafka producer set compression.type instead",
        ),
        (b"PAR1", "this is Parquet: say format = 'parquet'"),
        (b"ARROW1", "this is an Arrow file: say format = 'arrow'"),
        (b"\xff\xfe", "this is UTF-16: convert it to UTF-8"),
        (b"\xfe\xff", "this is UTF-16: convert it to UTF-8"),
    ];
    KINDS.iter().find(|(magic, _)| record.starts_with(magic)).map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;
    use crate::options::Options;

    #[test]
    fn the_first_bad_record_says_what_the_data_is() {
        let nfdump = [("csv.columns", "nfdump")];
        let header = [("csv.columns", "header")];
        let tab = [("csv.delimiter", "tab")];
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], &'a str);
        let cases: &[Case<'_>] = &[
            ("csv", &[], br#"{"ts":"2024-05-01","k":"a"}"#, "say format = 'json'"),
            ("csv", &[], b"ts;k;v", "say csv.delimiter = ';'"),
            ("csv", &[], b"2024-05-01 10:00:00\ta\t1", "say csv.delimiter = '\\t'"),
            ("csv", &tab, b"2024-05-01 10:00:00,a,1", "say csv.delimiter = ','"),
            ("csv", &[], b"V,K,TS", "say csv.columns = 'header'"),
            ("csv", &nfdump, b"2024-05-01 10:00:00,a,1", "it has 3 columns"),
            ("csv", &header, b"2024-05-01 10:00:00,a,1", "no header"),
            ("csv", &[], b"\x1f\x8b\x08\x00", "gzip"),
            ("json", &[], b"2024-05-01 10:00:00,a,1", "say format = 'csv'"),
            ("json", &[], b"\"oops", "compare the table's columns"),
            ("csv", &[], b"x,y,z", "compare the table's columns"),
        ];
        for (name, given, record, expected) in cases {
            let mut options = Options::new("f");
            given.iter().for_each(|(name, value)| options.set(*name, *value, None));
            let format = Format::from_options(name, &mut options).expect("valid");
            let declared = ["ts", "k", "v"].map(str::to_owned);
            let found = binary(record).map(str::to_owned).or_else(|| format.likely_cause(&declared, record));
            let found = found.unwrap_or_else(|| "compare the table's columns".to_owned());
            assert!(found.contains(expected), "{name} {given:?}: {found}");
        }
    }
}
