//! Which partition of an exchange a partial belongs to: all partials of a key come together in one.
//!
//! The hash is part of what is stored: partials of open windows lie in the exchange where an earlier build put them. It is our own,
//! over arrow's row format. If either changes, [`identity`] changes, and with it the plans' fingerprints, so that a build refuses
//! partials that another build has distributed differently.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::row::{RowConverter, SortField};

use super::float::canonical;
use super::partial::WindowedAggregate;
use crate::error::Result;

pub struct Partitioner {
    n_partitions: u32,
    /// Of the columns whose values decide; none: everything goes to the first partition.
    hashes: KeyHashes,
}

impl Partitioner {
    /// For the partials of `aggregate`.
    pub fn new(aggregate: &WindowedAggregate, n_partitions: u32) -> Self {
        Self { n_partitions, hashes: KeyHashes::new(aggregate.partition_columns()) }
    }

    /// One entry per partition; `None` where there is nothing for it.
    pub fn split(&mut self, batch: Option<RecordBatch>) -> Result<Vec<Option<RecordBatch>>> {
        let mut parts = vec![None; self.n_partitions as usize];
        let Some(batch) = batch else { return Ok(parts) };
        if self.n_partitions == 1 || self.hashes.n_columns() == 0 {
            parts[0] = Some(batch);
            return Ok(parts);
        }
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); parts.len()];
        for (row, hash) in self.hashes.of(&batch)?.into_iter().enumerate() {
            rows[(hash % u64::from(self.n_partitions)) as usize].push(row as u32);
        }
        for (part, rows) in parts.iter_mut().zip(rows) {
            if !rows.is_empty() {
                *part = Some(take_record_batch(&batch, &UInt32Array::from(rows))?);
            }
        }
        Ok(parts)
    }
}

/// Hashes of some columns.
pub(super) struct KeyHashes {
    columns: Vec<usize>,
    converter: Option<RowConverter>,
}

impl KeyHashes {
    pub(super) fn new(columns: Vec<usize>) -> Self {
        Self { columns, converter: None }
    }

    pub(super) fn n_columns(&self) -> usize {
        self.columns.len()
    }

    /// The hash of each row; there must be columns.
    pub(super) fn of(&mut self, batch: &RecordBatch) -> Result<Vec<u64>> {
        let keys: Vec<ArrayRef> = self.columns.iter().map(|&column| canonical(batch.column(column))).collect();
        let converter = match &mut self.converter {
            Some(converter) => converter,
            empty => {
                let fields = keys.iter().map(|key| SortField::new(key.data_type().clone())).collect();
                empty.insert(RowConverter::new(fields)?)
            }
        };
        let rows = converter.convert_columns(&keys)?;
        Ok(rows.iter().map(|row| hash(row.data())).collect())
    }
}

/// A number that a build has in common with all builds that distribute alike.
pub fn identity() -> Result<u64> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![Some("a text that is longer than one block of a row"), None, Some("")])),
        Arc::new(Int64Array::from(vec![Some(-1), Some(7), None])),
        canonical(&(Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(f64::NAN)])) as ArrayRef)),
    ];
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let rows = RowConverter::new(fields)?.convert_columns(&columns)?;
    Ok(rows.iter().fold(0, |known, row| known.rotate_left(1) ^ hash(row.data())))
}

/// FNV-1a over words, finished as in splitmix64.
fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut tail = [0; 8];
    tail[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain(std::iter::once(&tail)).map(|word| u64::from_le_bytes(*word));
    let hash = words.fold(0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64, |hash: u64, word| {
        (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn batch() -> RecordBatch {
        let n_rows = 10_000;
        let fields = vec![Field::new("pane", DataType::Int64, false), Field::new("key", DataType::Utf8, true)];
        let keys = (0..n_rows).map(|row| (row % 7 != 0).then(|| format!("10.0.{}.{}", row / 256, row % 256)));
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from_iter_values(0..n_rows)), Arc::new(StringArray::from_iter(keys))];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("rows")
    }

    #[test]
    fn every_row_goes_to_one_partition_and_each_gets_its_share() {
        let mut partitioner = Partitioner { n_partitions: 16, hashes: KeyHashes::new(vec![1]) };
        let parts = partitioner.split(Some(batch())).expect("split");
        let sizes: Vec<usize> = parts.iter().map(|part| part.as_ref().map_or(0, RecordBatch::num_rows)).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 10_000);
        let full = |size: &&usize| (400..800).contains(*size);
        assert!(15 <= sizes.iter().filter(full).count(), "all but the one with the nulls: {sizes:?}");
    }

    #[test]
    fn the_hash_stays_what_it_is() {
        assert_eq!(
            identity().expect("rows"),
            0x9fda_e98d_5696_b10c,
            "what earlier builds have stored could no longer be read"
        );
    }

    #[test]
    fn without_keys_everything_is_together() {
        let mut partitioner = Partitioner { n_partitions: 4, hashes: KeyHashes::new(Vec::new()) };
        let parts = partitioner.split(Some(batch())).expect("split");
        assert_eq!(parts.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false, false]);
    }
}
