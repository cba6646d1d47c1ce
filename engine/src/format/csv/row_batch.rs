//! A batch of rows with one layout, found but not decoded yet.
//!
//! Decoding a row batch column by column is what makes the decoder fast; the rare row that is bad is found by going over its
//! row batch again, row by row.

use std::ops::Range;

use crate::format::number::Span;

/// Rows of a row batch: so few that their spans and their text stay in the first cache.
const ROWS_MAX: usize = 64;

/// Rows of one layout, one after the other, in one piece of data.
#[derive(Clone, Debug, Default)]
pub(super) struct RowBatch {
    /// Columns of each row, used or not.
    pub(super) columns: usize,
    /// Where each row begins and ends.
    pub(super) rows: Vec<(u32, u32)>,
    /// Where the used fields begin and end, column by column: `ROWS_MAX` for each.
    spans: Vec<(u32, u32)>,
}

impl RowBatch {
    /// Whether a row with this many columns has to wait for the next row batch.
    pub(super) fn is_over(&self, columns: usize) -> bool {
        let is_other = self.columns != columns && !self.rows.is_empty();
        is_other || self.rows.len() == ROWS_MAX
    }

    /// Adds a row by its bounds; `taken` are the used columns, the same for the whole row batch.
    #[inline]
    pub(super) fn push(&mut self, columns: usize, row: Range<usize>, bounds: &[usize], taken: &[(usize, usize)]) {
        self.columns = columns;
        self.spans.resize(self.spans.len().max(taken.len() * ROWS_MAX), (0, 0));
        let index = self.rows.len();
        assert!(index < ROWS_MAX, "the caller checks first that the row batch has room");
        self.rows.push((row.start as u32, row.end as u32));
        let span = |&(field, _): &(usize, usize)| {
            // A row in the quotes of a JSON string begins after its first bound and ends before its last.
            (bounds[field].max(row.start) as u32, (bounds[field + 1] - 1).min(row.end) as u32)
        };
        for (spans, field) in self.spans.as_chunks_mut::<ROWS_MAX>().0.iter_mut().zip(taken) {
            spans[index] = span(field);
        }
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }

    /// The fields of the used column with this number, one per row.
    pub(super) fn fields<'a>(&self, number: usize, data: &'a [u8]) -> impl ExactSizeIterator<Item = Span<'a>> {
        let spans = &self.spans[number * ROWS_MAX..][..self.rows.len()];
        spans.iter().map(move |&(start, end)| Span { data, start: start as usize, end: end as usize })
    }
}
