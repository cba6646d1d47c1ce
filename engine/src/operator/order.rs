//! The order in which the keys of a window are given out.
//!
//! A row's rank has two halves. The upper one is its place: a hash of the keys by which the query above the windows combines rows, so rows
//! that it combines have the same place, and a commit may lie between two places. The lower half is a hash of all keys, and divides what
//! has the same place. What is spilled lies in this order, so a window of any size is read back in steps of any size.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;

use super::partial::WindowedAggregate;
use super::partition::KeyHashes;
use crate::error::Result;

/// One more than the last place.
pub(super) const PLACES: u64 = 1 << 32;

/// The place of a key whose keys that are combined have this hash. Commits contain places, so this stays as it is. A task has only some
/// partitions of an exchange, which go by the lower bits of the hash, so places go by the upper ones.
fn place_of_hash(hash: u64) -> u64 {
    let upper = hash >> 32;
    ((upper & 63) << 26) | (upper >> 6)
}

/// The last rank before a place.
pub(super) fn last_before(place: u64) -> u64 {
    (place << 32).wrapping_sub(1)
}

/// The place of a rank.
pub(super) fn place_of(rank: u64) -> u64 {
    rank >> 32
}

/// Computes the ranks of an aggregate's rows.
pub(super) struct KeyOrder {
    combined: KeyHashes,
    all: KeyHashes,
}

/// A batch and the order of its rows.
pub(super) struct Sorted {
    batch: RecordBatch,
    rows: Vec<u32>,
    ranks: Vec<u64>,
}

impl KeyOrder {
    /// Of merged partials without their pane, `keys…, states…`.
    pub(super) fn of_states(aggregate: &WindowedAggregate) -> Self {
        Self::new(aggregate.spread.clone(), (0..aggregate.layout.keys.len()).collect())
    }

    /// Of the rows of closed windows.
    pub(super) fn of_closed(aggregate: &WindowedAggregate) -> Self {
        let column = |key: usize| key + usize::from(aggregate.window_index <= key);
        let combined = aggregate.spread.iter().map(|key| column(*key)).collect();
        Self::new(combined, (0..aggregate.layout.keys.len()).map(column).collect())
    }

    /// Of partial sessions.
    pub(super) fn of_sessions(aggregate: &WindowedAggregate) -> Self {
        const KEYS_FROM: usize = 2;
        let combined = aggregate.spread.iter().map(|key| KEYS_FROM + key).collect();
        Self::new(combined, (KEYS_FROM..KEYS_FROM + aggregate.layout.keys.len()).collect())
    }

    /// Of rows that the query above combines by some of their keys.
    pub(super) fn new(combined: Vec<usize>, keys: Vec<usize>) -> Self {
        Self { combined: KeyHashes::new(combined), all: KeyHashes::new(keys) }
    }

    pub(super) fn ranks(&mut self, batch: &RecordBatch) -> Result<Vec<u64>> {
        if self.all.n_columns() == 0 {
            return Ok(vec![0; batch.num_rows()]);
        }
        let all = self.all.of(batch)?;
        let places = match self.combined.n_columns() {
            0 => vec![0; all.len()],
            n if n == self.all.n_columns() => all.iter().map(|hash| place_of_hash(*hash)).collect(),
            _ => self.combined.of(batch)?.into_iter().map(place_of_hash).collect(),
        };
        Ok(places.iter().zip(all).map(|(place, hash)| (place << 32) | (hash & u64::from(u32::MAX))).collect())
    }

    pub(super) fn sort(&mut self, batch: RecordBatch) -> Result<Sorted> {
        let ranks = self.ranks(&batch)?;
        let mut rows: Vec<u32> = (0..batch.num_rows() as u32).collect();
        rows.sort_unstable_by_key(|row| (ranks[*row as usize], *row));
        Ok(Sorted { batch, rows, ranks })
    }
}

impl Sorted {
    /// In batches of so many rows, each with the ranks of its rows.
    pub(super) fn chunks(&self, n_rows: usize) -> impl Iterator<Item = Result<Chunk>> {
        self.rows.chunks(n_rows).map(|rows| {
            let ranks: Arc<[u64]> = rows.iter().map(|row| self.ranks[*row as usize]).collect();
            Ok(Chunk { batch: take_record_batch(&self.batch, &UInt32Array::from(rows.to_vec()))?, ranks })
        })
    }
}

/// Rows in their order.
#[derive(Clone)]
pub(super) struct Chunk {
    pub(super) batch: RecordBatch,
    pub(super) ranks: Arc<[u64]>,
}

impl Chunk {
    /// The rows with a rank in `from..=last`.
    pub(super) fn between(&self, from: u64, last: u64) -> Option<RecordBatch> {
        let begin = self.ranks.partition_point(|rank| *rank < from);
        let end = self.ranks.partition_point(|rank| *rank <= last);
        (begin < end).then(|| self.batch.slice(begin, end - begin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stay_where_they_are_and_begin_with_the_part_that_earlier_commits_counted() {
        let cases = [
            (0, 0),
            (0x0000_0001_ffff_ffff, 1 << 26),
            (0x0000_0040_0000_0000, 1),
            (0xdead_beef_0000_0000, 0xbf7a_b6fb),
            (u64::MAX, PLACES - 1),
        ];
        for (hash, expected) in cases {
            assert_eq!(place_of_hash(hash), expected, "{hash:x}");
            assert_eq!(place_of_hash(hash) >> 26, hash.rotate_right(32) % 64, "{hash:x}: one of 64 parts");
        }
        assert_eq!(last_before(PLACES), u64::MAX);
        assert_eq!(place_of(last_before(7)), 6);
    }
}
