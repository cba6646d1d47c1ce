//! What a record that this layout cannot read looks like, and the option that reads it.

use super::{Columns, CsvOptions};

/// Delimiters that data often has instead, by how they are written as an option.
const DELIMITERS: [(u8, &str); 4] = [(b';', ";"), (b'\t', "\\t"), (b'|', "|"), (b',', ",")];
/// nfdump writes so many columns, at least.
const NFDUMP_COLUMNS_MIN: usize = 48;

impl CsvOptions {
    /// The likely cause of a first record that is bad, as a remedy; `None` where nothing is striking.
    pub(in crate::format) fn likely_cause(&self, declared: &[String], record: &[u8]) -> Option<String> {
        if record.trim_ascii_start().starts_with(b"{") {
            return Some("the records look like JSON: say format = 'json'".to_owned());
        }
        let text = String::from_utf8_lossy(record);
        let n_columns = self.count(&text);
        if let Some((other, n)) = self.other_delimiter(&text).filter(|(_, n)| n_columns < *n) {
            return Some(format!("with another delimiter it has {n} columns: say csv.delimiter = '{other}'"));
        }
        let names: Vec<String> = self.cells(&text).map(str::to_lowercase).collect();
        let names_columns = declared.iter().any(|column| names.contains(&column.to_lowercase()));
        match self.columns {
            Columns::Position | Columns::Names(_) if names_columns => {
                Some("the first line is a header: say csv.columns = 'header'".to_owned())
            }
            Columns::Nfdump if n_columns < NFDUMP_COLUMNS_MIN => Some(format!(
                "it has {n_columns} columns, and nfdump writes {NFDUMP_COLUMNS_MIN} or more: leave csv.columns = 'nfdump' out, \
                 or say 'header' or a list of names"
            )),
            Columns::Header if !names_columns => {
                Some("the first line is no header: leave csv.columns = 'header' out, or say a list of names".to_owned())
            }
            Columns::Position if NFDUMP_COLUMNS_MIN <= n_columns && declared.len() < NFDUMP_COLUMNS_MIN => {
                Some(format!("it has {n_columns} columns, as nfdump writes them: say csv.columns = 'nfdump'"))
            }
            Columns::Position | Columns::Header | Columns::Nfdump | Columns::Names(_) => None,
        }
    }

    fn cells<'a>(&self, text: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(char::from(self.delimiter)).map(|cell| cell.trim().trim_matches('"'))
    }

    fn count(&self, text: &str) -> usize {
        self.cells(text).count()
    }

    /// The other delimiter that cuts the record into most columns.
    fn other_delimiter(&self, text: &str) -> Option<(&'static str, usize)> {
        let others = DELIMITERS.iter().filter(|(byte, _)| *byte != self.delimiter);
        let counted = others.map(|(byte, name)| (*name, 1 + text.bytes().filter(|found| found == byte).count()));
        counted.filter(|(_, n)| 1 < *n).max_by_key(|(_, n)| *n)
    }
}
