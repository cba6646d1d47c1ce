//! Rows that do not follow the query: dead letters, late rows, and rows for tables with other columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::Context;
use crate::error::{Error, Result};
use crate::format::BadRecord;
use crate::log::{EmptyMessage, Position, SplitId};
use crate::operator::window::session::batch_of;
use crate::plan::{BadRecordPolicy, ORIGIN, ORIGIN_KEY, SinkPlan, TableDef, dead_letter_columns};

/// The reason of late rows, beside those of bad records.
const LATE: &str = "late";

/// A bad record and the position of the message (or the byte) where it begins.
pub(super) struct RejectedRecord {
    pub(super) record: BadRecord,
    pub(super) position: Position,
    /// The message, where it had no byte.
    pub(super) empty: Option<EmptyMessage>,
}

impl RejectedRecord {
    pub(super) fn new(record: BadRecord, position: Position) -> Self {
        Self { record, position, empty: None }
    }

    /// What is kept of the record; none of a message without a value.
    fn value(&self) -> Option<&[u8]> {
        let is_tombstone = self.empty.as_ref().is_some_and(|message| message.is_tombstone);
        (!is_tombstone).then_some(self.record.bytes.as_slice())
    }
}

/// Counts bad records and applies the table's policy to them.
pub(super) fn bad_records(
    context: &mut Context,
    table: &TableDef,
    split: &SplitId,
    rejected: &[RejectedRecord],
) -> Result<()> {
    for bad in rejected {
        context.metrics.count_bad(bad.record.reason);
    }
    let Some(RejectedRecord { record, position, .. }) = rejected.first() else { return Ok(()) };
    match &table.bad_record {
        BadRecordPolicy::Drop => Ok(()),
        BadRecordPolicy::Fail => Err(Error::invalid(format!(
            "table `{}`: bad record in split `{split}` at position {}: {} ({})",
            table.name,
            position.0,
            record.detail,
            record.reason.label()
        ))
        .hint("the table says bad_record = 'fail'; with 'drop' such records are counted and left out")),
        BadRecordPolicy::DeadLetter(name) => {
            context.rows.push((Arc::clone(name), dead_letter_rows(split, rejected)?));
            Ok(())
        }
    }
}

pub(super) fn dead_letter_rows(split: &SplitId, rejected: &[RejectedRecord]) -> Result<RecordBatch> {
    let fields: Vec<Field> =
        dead_letter_columns().into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rejected.iter().map(|bad| bad.record.reason.label()))),
        Arc::new(StringArray::from_iter_values(rejected.iter().map(|bad| &bad.record.detail))),
        Arc::new(StringArray::from_iter_values(rejected.iter().map(|_| &*split.0))),
        Arc::new(Int64Array::from_iter_values(rejected.iter().map(|bad| bad.position.0 as i64))),
        Arc::new(BinaryArray::from_iter(rejected.iter().map(RejectedRecord::value))),
    ];
    let reasons: Vec<&str> = rejected.iter().map(|bad| bad.record.reason.label()).collect();
    let positions: Vec<u64> = rejected.iter().map(|bad| bad.position.0).collect();
    let keys = rejected.iter().map(|bad| bad.empty.as_ref().and_then(|message| message.key.as_deref()));
    let (mut fields, mut columns) = (fields, columns);
    fields.push(Field::new(ORIGIN_KEY, DataType::Binary, true));
    columns.push(Arc::new(BinaryArray::from_iter(keys)));
    with_origin(&batch_of(&Arc::new(Schema::new(fields)), columns, rejected.len())?, split, &reasons, &positions)
}

/// Late rows with where they are from.
pub(super) fn late_rows(rows: &RecordBatch, split: &SplitId, positions: &[u64]) -> Result<RecordBatch> {
    with_origin(rows, split, &vec![LATE; rows.num_rows()], positions)
}

/// Adds the columns that say where rows are from and why they are here; sinks that have headers make headers of them.
fn with_origin(batch: &RecordBatch, split: &SplitId, reasons: &[&str], positions: &[u64]) -> Result<RecordBatch> {
    let n_rows = batch.num_rows();
    let mut fields: Vec<FieldRef> = batch.schema().fields().iter().cloned().collect();
    fields.extend(ORIGIN.map(|(name, data_type)| Arc::new(Field::new(name, data_type, false))));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(StringArray::from(vec![&*split.0; n_rows])));
    columns.push(Arc::new(Int64Array::from_iter_values(positions.iter().map(|position| *position as i64))));
    columns.push(Arc::new(StringArray::from(reasons.to_vec())));
    batch_of(&Arc::new(Schema::new(fields)), columns, n_rows)
}

/// Brings rows that a task made (late rows, dead letters) to a sink's own columns, by name.
pub fn fit_to_sink(sink: &SinkPlan, batch: &RecordBatch) -> Result<RecordBatch> {
    if batch.schema().fields() == sink.schema.fields() {
        return Ok(batch.clone());
    }
    let column = |field: &FieldRef| -> Result<ArrayRef> {
        let column = batch
            .column_by_name(field.name())
            .ok_or_else(|| Error::internal(format!("table `{}`: nothing for column `{}`", sink.name, field.name())))?;
        if let (DataType::Binary, DataType::Utf8) = (column.data_type(), field.data_type()) {
            let lossy = column.as_binary::<i32>().iter().map(|bytes| bytes.map(String::from_utf8_lossy));
            return Ok(Arc::new(StringArray::from_iter(lossy)));
        }
        Ok(cast(column, field.data_type())?)
    };
    let columns = sink.schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    batch_of(&nullable(&sink.schema), columns, batch.num_rows())
}

/// Sinks do not enforce NOT NULL: a query's own nullability may be weaker than it is.
fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    Arc::new(Schema::new(fields))
}
