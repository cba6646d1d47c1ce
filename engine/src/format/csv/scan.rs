//! Walks from row to row, noting where the fields that matter begin.
//!
//! Only the bounds up to the last used column are noted, and whole blocks of 64 bytes without a bound that matters are
//! skipped by counting their delimiters. A newline always ends a row here; the decoder skips the lines of a record that has
//! several.

use super::mask::{Block, Marker};

/// Bytes scanned at a time: small enough that the result stays in the first cache.
const WINDOW_BYTES: usize = 16 * 1024;

/// One row as the scan sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawRow {
    pub(super) start: usize,
    /// Where the line ends, before `\n` and `\r\n`.
    pub(super) end: usize,
    pub(super) columns: usize,
    /// Whether a quote, a NUL byte or a byte that is not ASCII is somewhere in it.
    pub(super) is_special: bool,
}

/// Which bounds matter. Bound 0 is the row's start, bound `i` lies after delimiter `i`: field `i` is `bounds[i]..bounds[i + 1] - 1`.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// By bound: the first one at or after it that matters.
    next: Vec<usize>,
}

impl Wanted {
    /// Wants what these columns need.
    pub(super) fn new(columns: impl IntoIterator<Item = usize>) -> Self {
        let mut columns: Vec<usize> = columns.into_iter().collect();
        columns.sort_unstable();
        let mut next = Vec::new();
        for bound in columns.into_iter().flat_map(|column| [column, column + 1]) {
            next.resize(next.len().max(bound + 1), bound);
        }
        Self { next }
    }

    fn next(&self, bound: usize) -> usize {
        self.next.get(bound).copied().unwrap_or(usize::MAX)
    }

    /// Room for all bounds that matter, and for a block of those that are noted along with them.
    fn bounds(&self) -> usize {
        self.next.len() + 64
    }
}

/// The walk through one piece of data.
#[derive(Clone, Debug)]
pub(super) struct Scanner {
    marker: Marker,
    blocks: Vec<Block>,
    /// The number of `blocks[0]`; block `n` is the data's bytes `64 * n ..`.
    first_block: usize,
    at: usize,
    wanted: Wanted,
    /// The last row's bounds, those that matter.
    pub(super) bounds: Vec<usize>,
}

impl Scanner {
    pub(super) fn new(delimiter: u8, wanted: Wanted) -> Self {
        let bounds = vec![0; wanted.bounds()];
        Self { marker: Marker::new(delimiter), blocks: Vec::new(), first_block: 0, at: 0, wanted, bounds }
    }

    /// Changes what matters, from the next row on.
    pub(super) fn want(&mut self, wanted: Wanted) {
        self.bounds.resize(wanted.bounds(), 0);
        self.wanted = wanted;
    }

    /// Begins a new piece of data at `at`.
    pub(super) fn start(&mut self, at: usize) {
        self.at = at;
        self.blocks.clear();
    }

    /// Where the next row begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Leaves out what is before `at`.
    pub(super) fn skip_to(&mut self, at: usize) {
        self.at = at;
    }

    /// The next row, with its bounds in `bounds`.
    pub(super) fn next_row(&mut self, data: &[u8]) -> Option<RawRow> {
        let start = self.at;
        if data.len() <= start {
            return None;
        }
        self.bounds[0] = start;
        let mut delimiters_before = 0;
        let mut special = 0;
        let mut number = start / 64;
        let mut valid = u64::MAX << (start % 64);
        let end = loop {
            if data.len() <= number * 64 {
                break data.len();
            }
            let block = self.block(number, data);
            let newlines = block.newlines & valid;
            let before_newline = newlines.wrapping_sub(1) & !newlines;
            let delimiters = block.delimiters & valid & before_newline;
            special |= block.special & valid & before_newline;
            note(&mut self.bounds, &self.wanted, delimiters, delimiters_before, number * 64);
            delimiters_before += delimiters.count_ones() as usize;
            if newlines != 0 {
                break number * 64 + newlines.trailing_zeros() as usize;
            }
            valid = u64::MAX;
            number += 1;
        };
        self.at = end + 1;
        let columns = delimiters_before + 1;
        let end = if start < end && data[end - 1] == b'\r' { end - 1 } else { end };
        if let Some(bound) = self.bounds.get_mut(columns) {
            *bound = end + 1;
        }
        Some(RawRow { start, end, columns, is_special: special != 0 })
    }

    /// Block `number`, marking the next window when it is not there. The walk only goes forward.
    #[inline]
    fn block(&mut self, number: usize, data: &[u8]) -> Block {
        if self.blocks.is_empty() || self.first_block + self.blocks.len() <= number {
            let from = number * 64;
            let to = data.len().min(from + WINDOW_BYTES);
            self.marker.scan(&data[from..to], &mut self.blocks);
            self.first_block = number;
        }
        self.blocks[number - self.first_block]
    }
}

/// Notes the bounds that follow these delimiters, unless none of them matters.
#[inline(always)]
fn note(bounds: &mut [usize], wanted: &Wanted, delimiters: u64, delimiters_before: usize, offset: usize) {
    let count = delimiters.count_ones() as usize;
    if delimiters_before + count < wanted.next(delimiters_before + 1) {
        return;
    }
    // Eight at a time, whatever is behind the last: a loop of exactly `count` steps mispredicts its end.
    let mut rest = delimiters;
    let slots = &mut bounds[delimiters_before + 1..][..count.next_multiple_of(8)];
    for eight in slots.as_chunks_mut::<8>().0 {
        for bound in eight {
            *bound = offset + rest.trailing_zeros() as usize + 1;
            rest &= rest.wrapping_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_and_bounds_are_those_of_a_plain_split(
            data in "([a-z]{0,9},){0,80}[a-z\"]{0,70}(\r?\n([a-z]{0,9},){0,80}[a-z]{0,9}){0,20}\n?",
            columns in prop::collection::vec(0usize..60, 0..5),
        ) {
            let data = data.into_bytes();
            let mut scanner = Scanner::new(b',', Wanted::new(columns.clone()));
            scanner.start(0);
            for line in data.split_inclusive(|&byte| byte == b'\n') {
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                let fields: Vec<&[u8]> = line.split(|&byte| byte == b',').collect();
                let row = scanner.next_row(&data).expect("as many rows");
                prop_assert_eq!(&data[row.start..row.end], line);
                prop_assert_eq!(row.columns, fields.len());
                prop_assert_eq!(row.is_special, line.contains(&b'"'));
                for column in columns.iter().copied().filter(|&column| column < fields.len()) {
                    let field = scanner.bounds[column]..scanner.bounds[column + 1] - 1;
                    prop_assert_eq!(&data[field], fields[column]);
                }
            }
            prop_assert_eq!(scanner.next_row(&data), None);
        }
    }
}
