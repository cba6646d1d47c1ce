//! How long a topic's messages may be, and which rows are longer.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use davy_engine::{Error, Result};
use davy_kafka::KafkaConnection;
use davy_kafka::admin::Admin;
use davy_kafka::producer::Sizes;

use super::of_kafka;

/// The broker's default of `max.message.bytes`, for users who may not look at a topic's settings.
const MESSAGE_BYTES_MAX: usize = 1_048_588;
/// What a batch of one record needs around key, value and headers, and what a header needs.
const OVERHEAD: usize = 128;
pub(super) const HEADER_OVERHEAD: usize = 16;

/// The longest message that a topic takes, as bytes of key, value and headers: by its own limit, and by the client's.
pub(crate) fn message_bytes_max(connection: &KafkaConnection, topic: &str) -> Result<usize> {
    let found = Admin::connect(connection).and_then(|admin| admin.topic_config(topic, "max.message.bytes"));
    let of_topic = match found.map_err(of_kafka) {
        Ok(found) => found.and_then(|text| text.parse().ok()).unwrap_or(MESSAGE_BYTES_MAX),
        Err(Error::Invalid(_)) => MESSAGE_BYTES_MAX,
        Err(error) => return Err(error),
    };
    let of_client = connection.property("message.max.bytes").and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    Ok(of_topic.min(of_client).saturating_sub(OVERHEAD))
}

/// What a producer may write that also writes to a topic with this limit.
pub(crate) fn with_topic(sizes: Sizes, message_bytes_max: usize) -> Sizes {
    let batch_bytes_max = message_bytes_max + OVERHEAD;
    Sizes { record_max: sizes.record_max.max(batch_bytes_max), batch_max: sizes.batch_max.min(batch_bytes_max) }
}

/// The bytes of a message.
pub(super) fn n_bytes<'a>(key: Option<&[u8]>, value: &[u8], headers: impl Iterator<Item = (&'a str, usize)>) -> usize {
    let headers: usize = headers.map(|(name, length)| name.len() + length + HEADER_OVERHEAD).sum();
    key.map_or(0, <[u8]>::len) + value.len() + headers
}

/// No row of the batch is longer than this as text, whatever its format: a cheap bound for the usual case.
pub(super) fn longest_row(batch: &RecordBatch) -> usize {
    let of = |(field, column): (&Arc<arrow::datatypes::Field>, &ArrayRef)| field.name().len() + longest_value(column);
    batch.schema().fields().iter().zip(batch.columns()).map(of).sum()
}

/// No value of the column is longer than this as text.
pub(super) fn longest_value(column: &ArrayRef) -> usize {
    /// A byte as JSON's `\u0000`.
    const ESCAPED: usize = 6;
    /// Any number, timestamp or decimal, with what parts it from others.
    const SHORT: usize = 96;
    let longest = |lengths: &mut dyn Iterator<Item = i32>| lengths.max().unwrap_or_default().unsigned_abs() as usize;
    let of_offsets = |offsets: &[i32]| SHORT + ESCAPED * longest(&mut offsets.windows(2).map(|pair| pair[1] - pair[0]));
    match column.data_type() {
        DataType::Utf8 => of_offsets(column.as_string::<i32>().value_offsets()),
        DataType::Binary => of_offsets(column.as_binary::<i32>().value_offsets()),
        other if other.is_primitive() || matches!(other, DataType::Boolean | DataType::Null) => SHORT,
        _ => SHORT * (column.get_array_memory_size() + 1),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn one_producer_writes_what_every_topic_takes() {
        let sizes = with_topic(with_topic(Sizes::default(), 10_000), 5_000_000);
        assert_eq!(sizes, Sizes { record_max: 5_000_128, batch_max: 10_128 });
    }

    #[test]
    fn the_bound_is_above_every_row() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("\u{1}".repeat(50)), None, Some("é".into())]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN, 0, 1]));
        let batch = RecordBatch::try_from_iter([("text", texts), ("n", numbers)]).expect("two columns");
        let bound = longest_row(&batch);
        assert!((300..600).contains(&bound), "{bound}");
        assert!(longest_row(&batch.slice(1, 2)) < 300, "of these rows alone");
    }
}
