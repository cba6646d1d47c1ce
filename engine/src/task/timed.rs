//! Event time and watermark of decoded rows.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch, TimestampNanosecondArray, UInt32Array};
use arrow::compute::{cast, filter_record_batch, is_not_null};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, TimestampNanosecondType};
use datafusion::physical_expr::PhysicalExpr;

use crate::error::Result;
use crate::operator::partial::{EVENT_TIME, ROW, WATERMARK};
use crate::operator::watermark::SplitWatermark;
use crate::operator::window::session::batch_of;
use crate::plan::{EventTime, WatermarkRule};
use crate::time::TIMESTAMP;

/// Rows with their event time.
pub(super) struct Timed {
    /// The rows that have one, with [`hidden_columns`] besides.
    pub(super) batch: RecordBatch,
    /// Those that have none, by their number before.
    pub(super) without: Vec<usize>,
}

/// Adds event time, the watermark before each row and the row's number; rows without an event time are left out.
pub(super) fn attach_event_time(
    event_time: &EventTime,
    batch: &RecordBatch,
    watermark: &mut SplitWatermark,
    lateness: Duration,
    now: Duration,
) -> Result<Timed> {
    let mut batch = batch.clone();
    let mut times = evaluate_time(&event_time.time, &batch)?;
    let mut without = Vec::new();
    if 0 < times.null_count() {
        without.extend((0..times.len()).filter(|&row| times.is_null(row)));
        let there: BooleanArray = is_not_null(&times)?;
        batch = filter_record_batch(&batch, &there)?;
        times = evaluate_time(&event_time.time, &batch)?;
    }
    let mut before = Vec::new();
    let lateness = i64::try_from(lateness.as_nanos()).unwrap_or(i64::MAX);
    match &event_time.watermark {
        WatermarkRule::Behind(ns) => watermark.advance(times.values(), lateness.saturating_add(*ns), now, &mut before),
        WatermarkRule::Expression(expression) => {
            let candidates = evaluate_time(expression, &batch)?;
            // A row without a watermark says nothing of the future.
            let known: Vec<i64> = candidates.iter().map(|candidate| candidate.unwrap_or(i64::MIN)).collect();
            watermark.advance(&known, lateness, now, &mut before);
        }
    }
    let n_rows = batch.num_rows();
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    fields.extend(hidden_columns());
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(times));
    columns.push(Arc::new(Int64Array::from(before)));
    columns.push(Arc::new(UInt32Array::from_iter_values(0..n_rows as u32)));
    let batch = batch_of(&Arc::new(Schema::new(fields)), columns, n_rows)?;
    Ok(Timed { batch, without })
}

/// The columns that stage 1 adds to a source's own.
pub(crate) fn hidden_columns() -> [FieldRef; 3] {
    [
        Arc::new(Field::new(EVENT_TIME, TIMESTAMP, false)),
        Arc::new(Field::new(WATERMARK, DataType::Int64, false)),
        Arc::new(Field::new(ROW, DataType::UInt32, false)),
    ]
}

fn evaluate_time(expression: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<TimestampNanosecondArray> {
    let array = expression.evaluate(batch)?.into_array(batch.num_rows())?;
    let array = cast(&array, &TIMESTAMP)?;
    Ok(array.as_primitive::<TimestampNanosecondType>().clone())
}
