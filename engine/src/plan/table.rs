//! A CREATE TABLE as the rest of the engine sees it.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::FieldRef;
use datafusion::logical_expr::Expr;

use super::{BadRecordPolicy, KeyLimit, RowPolicy};
use crate::connector::Table;
use crate::format::Format;
use crate::lookup::Lookup;

/// A CREATE TABLE, checked.
#[derive(Debug)]
pub struct TableDef {
    pub name: Arc<str>,
    /// Its columns in order.
    pub columns: Vec<Column>,
    pub table: Arc<dyn Table>,
    /// A hash of the options that decide which data it reads.
    pub data: u64,
    /// Its format; `None` where the connector gives rows.
    pub format: Option<Format>,
    /// Event time and watermark as expressions over the columns.
    pub event_time: Option<(Expr, Expr)>,
    /// After how long without data a split is set aside; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// How long windows stay open after the watermark has passed them.
    pub allowed_lateness: Duration,
    /// How far in the future, by its message's timestamp or the start of the run, a row's event time may be; `None`: as far as it likes.
    pub max_future: Option<Duration>,
    /// What becomes of records that cannot be decoded.
    pub bad_record: BadRecordPolicy,
    /// What becomes of rows on which an expression fails, where the table says so.
    pub on_error: Option<RowPolicy>,
    /// How far, in event time, splits may run ahead of the slowest one before they are held back; `None`: as far as they like.
    pub max_drift: Option<Duration>,
    /// Columns whose values decide the partition of the topic: rows that agree in them are in one partition.
    pub partitioned_by: Vec<String>,
    /// Where late rows go, besides being counted.
    pub late_table: Option<Arc<str>>,
    /// How many keys the windows of its queries may have; `None`: as many as there are.
    pub key_limit: Option<KeyLimit>,
    /// From one early result of open windows to the next, of a table that is written to.
    pub emit_early: Option<Duration>,
    /// Its list, where it is a lookup table.
    pub lookup: Option<Arc<Lookup>>,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub struct Column {
    pub field: FieldRef,
    /// Where its values come from.
    pub from: ColumnSource,
}

/// Where a column's values come from.
#[derive(Clone, Debug)]
pub enum ColumnSource {
    /// The record's physical column with this index.
    Record(usize),
    /// The record's own bytes.
    Value,
    /// The name of the split (a file's path).
    Split,
    /// The message that the record came in.
    Metadata(Metadata),
    /// Another column, by this expression.
    Generated(Expr),
}

/// What is known of a message besides its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    Topic,
    Partition,
    Offset,
    /// When it was made or appended, TIMESTAMP.
    Timestamp,
    /// Its key, BYTEA; as TEXT where it is UTF-8.
    Key,
    /// Its headers as a JSON object of texts, TEXT.
    Headers,
}

impl Metadata {
    /// By the name that METADATA FROM gives it.
    pub const NAMES: [(&str, Self); 6] = [
        ("topic", Self::Topic),
        ("partition", Self::Partition),
        ("offset", Self::Offset),
        ("timestamp", Self::Timestamp),
        ("key", Self::Key),
        ("headers", Self::Headers),
    ];

    /// The name that METADATA FROM gives it.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, metadata)| *metadata == self).map_or("", |(name, _)| name)
    }

    /// Whether it differs from message to message.
    pub fn is_of_message(self) -> bool {
        !matches!(self, Self::Topic | Self::Partition)
    }
}

impl TableDef {
    /// A table without columns, of which nothing else is known.
    pub(crate) fn bare(name: &str, table: Arc<dyn Table>) -> Self {
        Self {
            name: name.into(),
            columns: Vec::new(),
            table,
            data: 0,
            format: None,
            event_time: None,
            idle_timeout: None,
            allowed_lateness: Duration::ZERO,
            max_future: None,
            bad_record: BadRecordPolicy::Drop,
            on_error: None,
            max_drift: None,
            partitioned_by: Vec::new(),
            late_table: None,
            key_limit: None,
            emit_early: None,
            lookup: None,
        }
    }

    /// The names of the columns that a record has, in order.
    pub fn record_columns(&self) -> Vec<String> {
        let is_of_record = |column: &&Column| matches!(column.from, ColumnSource::Record(_));
        self.columns.iter().filter(is_of_record).map(|column| column.field.name().clone()).collect()
    }
}
