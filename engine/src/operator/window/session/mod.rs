//! Session windows: rows of a key that are less than the gap apart.
//!
//! Stage 1 cuts the rows of one flush into partial sessions `(first, last)` per key; stage 2 joins partial sessions that touch
//! and closes a session when the watermark has passed its last row by the gap. A session's window is `[first, last + gap)`. A session
//! that does not end is cut (see [`runs`]), so that state and replay are bounded.

mod merge;
mod partial;
mod runs;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

pub use merge::{ClosedSessions, SessionMerge};
pub(in crate::operator) use merge::{Sessions, SpilledSessions};
pub use partial::SessionPartial;
pub use runs::SessionLimits;

use super::pane::{GroupLayout, GroupStates};
use crate::error::{Error, Result};

/// First row's time of a partial session.
pub const FIRST: &str = "__first";
/// Last row's time of a partial session.
pub const LAST: &str = "__last";

/// Numbers each row's key; all zero where there are no keys.
fn number_keys(keys: &Fields, columns: &[ArrayRef], n_rows: usize) -> Result<Vec<usize>> {
    if keys.is_empty() {
        return Ok(vec![0; n_rows]);
    }
    let layout = GroupLayout::new(keys.clone(), Arc::new([]))?;
    GroupStates::new(Arc::new(layout))?.number(columns)
}

/// The schema of session partials: `__first, __last, keys…, states…, __rows`.
pub fn partial_schema(layout: &GroupLayout) -> SchemaRef {
    let mut fields =
        vec![Arc::new(Field::new(FIRST, DataType::Int64, false)), Arc::new(Field::new(LAST, DataType::Int64, false))];
    fields.extend(layout.partial_schema.fields().iter().cloned());
    Arc::new(Schema::new(fields))
}

/// The same layout without its keys: sessions number their groups themselves.
fn keyless(layout: &GroupLayout) -> Result<Arc<GroupLayout>> {
    Ok(Arc::new(GroupLayout::new(Fields::empty(), Arc::clone(&layout.calls))?))
}

/// The event times of a batch, in nanoseconds.
pub fn event_times(batch: &RecordBatch, column: &str) -> Result<Vec<i64>> {
    let array = batch.column_by_name(column).ok_or_else(|| Error::internal(format!("no column `{column}`")))?;
    let times = array
        .as_primitive_opt::<arrow::datatypes::TimestampNanosecondType>()
        .ok_or_else(|| Error::internal(format!("`{column}` is {}", array.data_type())))?;
    Ok(times.values().to_vec())
}

/// A batch without columns still has rows.
pub fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>, n_rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}
