//! Columns of floats to rows of keys: a block at a time, into a buffer that is used again.

use super::columns::Columns;

/// Keys of a block of rows, row after row; those beyond the columns and in padding rows are 0.
#[derive(Debug, Default)]
pub(super) struct Tile {
    keys: Vec<u32>,
    stride: usize,
}

impl Tile {
    /// A tile for at most `n_rows` rows of `stride` keys.
    pub(super) fn new(n_rows: usize, stride: usize) -> Self {
        Self { keys: vec![0; n_rows * stride], stride }
    }

    #[inline(always)]
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// The rows taken over last.
    #[inline(always)]
    pub(super) fn keys(&self) -> &[u32] {
        &self.keys
    }

    /// Takes over `n_rows` rows of the caller's columns from `begin` on, and returns them as a multiple of `n_lanes` rows.
    pub(super) fn fill(&mut self, columns: &Columns, inputs: &[&[f32]], block: Block) -> &[u32] {
        let Block { begin, n_rows, stride, n_lanes } = block;
        for (column, source) in columns.sources().iter().enumerate() {
            let input = &inputs[source.feature as usize][begin..begin + n_rows];
            for (row, value) in self.keys.chunks_exact_mut(stride).zip(input) {
                row[column] = source.key(*value);
            }
        }
        let n_padded = n_rows.next_multiple_of(n_lanes);
        // After a longer block, the lanes of the padding hold keys of its rows: valid ones, and their sums are not read.
        &self.keys[..n_padded * stride]
    }
}

/// Which rows a tile takes over, and its shape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) begin: usize,
    pub(super) n_rows: usize,
    pub(super) stride: usize,
    /// Rows are padded to a multiple of this.
    pub(super) n_lanes: usize,
}
