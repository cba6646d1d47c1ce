//! What a source gave, decoded: rows, bad records, and which message each came from.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::BinaryArray;
use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::compute::cast;
use arrow::datatypes::FieldRef;

use super::bad_records::RejectedRecord;
use super::timed::{Fault, Limits, limit};
use crate::error::{Error, Result};
use crate::format::{BadReason, BadRecord, Decoder};
use crate::log::{EmptyMessage, Fetched, Messages, Payload, Position, SplitId};
use crate::operator::window::session::batch_of;
use crate::plan::{ColumnSource, Metadata, SourcePlan};

pub(super) struct Decoded {
    pub(super) batch: RecordBatch,
    /// What could not be decoded.
    pub(super) rejected: Vec<RejectedRecord>,
    /// Per row the index of its message, where the plan needs it.
    origins: Option<(Arc<Messages>, Vec<u32>)>,
    start: Position,
}

impl Decoded {
    /// The position that a row came from: its message's, or where the piece began.
    pub(super) fn position(&self, row: usize) -> u64 {
        match &self.origins {
            Some((messages, rows)) => messages.positions[rows[row] as usize],
            None => self.start.0,
        }
    }

    /// The latest timestamps that the rows may have: `max_future` after their message's own, or after the start of the run where there
    /// are no messages. Messages without a timestamp have no limit.
    pub(super) fn limits(&self, fetched: &Fetched, max_future: Duration, run_start: i64) -> Limits {
        let of_message = |ms: i64| if ms < 0 { i64::MAX } else { limit(ms.saturating_mul(1_000_000), max_future) };
        match (&self.origins, &fetched.messages) {
            (Some((messages, rows)), _) => {
                Limits::PerRow(rows.iter().map(|&row| of_message(messages.timestamps[row as usize])).collect())
            }
            (None, Some(messages)) => {
                Limits::Same(messages.timestamps.iter().map(|&ms| of_message(ms)).min().unwrap_or(i64::MAX))
            }
            (None, None) => Limits::Same(limit(run_start, max_future)),
        }
    }

    /// Whether more is known of the rows' messages once they are decoded one by one.
    pub(super) fn lacks_origins(&self, fetched: &Fetched) -> bool {
        self.origins.is_none() && fetched.messages.is_some()
    }

    /// The message of a row, where it is known.
    pub(super) fn message<'a>(&self, row: usize, fetched: &'a Fetched) -> Option<&'a [u8]> {
        let (Some((messages, rows)), Payload::Bytes(data)) = (&self.origins, &fetched.payload) else { return None };
        let message = rows[row] as usize;
        let from = message.checked_sub(1).map_or(0, |before| messages.ends[before]) as usize;
        Some(data[from..messages.ends[message] as usize].trim_ascii_end())
    }

    /// Whether nothing else came from a row's message.
    pub(super) fn is_alone(&self, row: usize) -> bool {
        let Some((_, rows)) = &self.origins else { return false };
        let is_same = |neighbour: Option<usize>| neighbour.is_some_and(|index| rows.get(index) == rows.get(row));
        !is_same(row.checked_sub(1)) && !is_same(Some(row + 1))
    }

    /// A row that cannot be used, as a bad record with the bytes of its message.
    pub(super) fn reject(&self, fault: &Fault, fetched: &Fetched) -> RejectedRecord {
        let bytes = self.message(fault.row, fetched).unwrap_or_default();
        let bytes = bytes[..bytes.len().min(BadRecord::MAX_BYTES)].to_vec();
        let record = BadRecord { reason: fault.reason, detail: fault.detail.clone(), offset: 0, bytes };
        RejectedRecord::new(record, Position(self.position(fault.row)))
    }
}

/// Whether each row's own message has to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origins {
    /// Where the plan needs it.
    AsPlanned,
    Known,
}

/// Decodes what was read.
pub(super) fn decode(
    plan: &SourcePlan,
    decoder: &mut Option<Box<dyn Decoder>>,
    fetched: &Fetched,
    wanted: Origins,
) -> Result<Decoded> {
    let Fetched { split, start, preamble, payload, messages, .. } = fetched;
    let start = *start;
    let data: &[u8] = match payload {
        Payload::Batch(batch) => {
            let batch = batch.clone();
            return of_rows(plan, split, Decoded { batch, rejected: Vec::new(), origins: None, start });
        }
        Payload::Partials(_) | Payload::Piece { .. } | Payload::Remnant => {
            return Err(Error::internal("a table gave partials"));
        }
        Payload::Nothing => &[],
        Payload::Bytes(data) => data,
    };
    let decoder = match decoder {
        Some(decoder) => decoder,
        empty => empty.insert(new_decoder(plan)?),
    };
    if let Some(line) = preamble {
        decoder.preamble(line);
    }
    let mut bad = Vec::new();
    let Some(messages) = messages else {
        decoder
            .push(data, &mut bad)
            .map_err(|error| error.context(&format!("table `{}`, `{}`", plan.table.name, split.0)))?;
        let at = |record: BadRecord| {
            let position = Position(start.0 + record.offset);
            RejectedRecord::new(record, position)
        };
        let rejected = bad.into_iter().map(at).collect();
        return of_rows(plan, split, Decoded { batch: decoder.finish()?, rejected, origins: None, start });
    };
    let origins = if wanted == Origins::Known || plan.needs_origins() {
        let mut rows: Vec<u32> = Vec::new();
        let mut from = 0;
        // Message by message, so that each row's message is known; each costs the decoder a start of its own.
        for (index, &end) in messages.ends.iter().enumerate() {
            let before = bad.len();
            decoder.push_messages(&data[from as usize..end as usize], &[end - from], &mut bad)?;
            bad[before..].iter_mut().for_each(|record| record.offset += u64::from(from));
            rows.resize(decoder.rows(), index as u32);
            from = end;
        }
        Some((Arc::clone(messages), rows))
    } else {
        decoder.push_messages(data, &messages.ends, &mut bad)?;
        None
    };
    let mut rejected: Vec<RejectedRecord> = bad.into_iter().map(|record| at_message(messages, record)).collect();
    rejected.extend(messages.empty.iter().map(empty_message));
    of_rows(plan, split, Decoded { batch: decoder.finish()?, rejected, origins, start })
}

fn new_decoder(plan: &SourcePlan) -> Result<Box<dyn Decoder>> {
    let table = &plan.table;
    let format =
        table.format.as_ref().ok_or_else(|| Error::internal(format!("table `{}` has no format", table.name)))?;
    format.decoder(plan.decode.clone())
}

fn at_message(messages: &Messages, record: BadRecord) -> RejectedRecord {
    let index = messages.ends.partition_point(|&end| u64::from(end) <= record.offset);
    RejectedRecord::new(record, Position(messages.positions.get(index).copied().unwrap_or_default()))
}

fn empty_message(message: &EmptyMessage) -> RejectedRecord {
    let detail = if message.is_tombstone { "a message without a value" } else { "an empty message" };
    let record = BadRecord { reason: BadReason::Empty, detail: detail.to_owned(), offset: 0, bytes: Vec::new() };
    RejectedRecord { empty: Some(message.clone()), ..RejectedRecord::new(record, Position(message.position)) }
}

/// Brings a decoded batch to the plan's schema, which may have columns of the split and of the message besides.
fn of_rows(plan: &SourcePlan, split: &SplitId, mut decoded: Decoded) -> Result<Decoded> {
    if plan.schema.fields() == decoded.batch.schema().fields() {
        return Ok(decoded);
    }
    let n_rows = decoded.batch.num_rows();
    let column = |field: &FieldRef| -> Result<ArrayRef> {
        if let Some(column) = decoded.batch.column_by_name(field.name()) {
            return Ok(Arc::clone(column));
        }
        let declared = plan.table.columns.iter().find(|column| column.field.name() == field.name());
        let made: ArrayRef = match declared.map(|column| &column.from) {
            Some(ColumnSource::Metadata(metadata)) => metadata_column(*metadata, split, &decoded, n_rows),
            _ => Arc::new(StringArray::from(vec![&*split.0; n_rows])),
        };
        Ok(cast(&made, field.data_type())?)
    };
    let columns = plan.schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    decoded.batch = batch_of(&plan.schema, columns, n_rows)?;
    Ok(decoded)
}

fn metadata_column(metadata: Metadata, split: &SplitId, decoded: &Decoded, n_rows: usize) -> ArrayRef {
    let (topic, partition) = split.0.rsplit_once('/').unwrap_or((&split.0, ""));
    let none = (Arc::default(), Vec::new());
    let (messages, rows) = decoded.origins.as_ref().unwrap_or(&none);
    let rows = rows.iter().map(|&row| row as usize);
    match metadata {
        Metadata::Topic => Arc::new(StringArray::from(vec![topic; n_rows])),
        Metadata::Partition => Arc::new(Int32Array::from(vec![partition.parse::<i32>().ok(); n_rows])),
        Metadata::Offset => Arc::new(Int64Array::from_iter_values(rows.map(|row| messages.positions[row] as i64))),
        Metadata::Timestamp => {
            let at = |row: usize| Some(messages.timestamps[row]).filter(|&ms| 0 <= ms);
            Arc::new(TimestampMillisecondArray::from_iter(rows.map(at)))
        }
        Metadata::Key => Arc::new(BinaryArray::from_iter(rows.map(|row| messages.keys[row].as_ref()))),
        Metadata::Headers => Arc::new(StringArray::from_iter(rows.map(|row| messages.headers[row].as_ref()))),
    }
}
