//! The models and rows that `benches/peers/forest_models.py` makes.

use std::path::Path;

use davy_forest::forest::{Combine, Forest, Node, Parts, Transform, Tree};

/// Reads words of a dump.
struct Words<'a>(std::slice::ChunksExact<'a, u8>);

impl Words<'_> {
    fn next(&mut self) -> u32 {
        let word = self.0.next().expect("the dump is whole");
        u32::from_le_bytes(word.try_into().expect("a word is four bytes"))
    }

    fn take(&mut self, n: usize) -> Vec<u32> {
        (0..n).map(|_| self.next()).collect()
    }
}

/// A dump's forest; its leaf values are those of class 1.
pub(crate) fn load(path: &Path) -> Forest {
    let bytes = std::fs::read(path).expect("the dump can be read");
    assert_eq!(&bytes[..8], b"FOREST1\0");
    let mut words = Words(bytes[8..].chunks_exact(4));
    let [n_features, n_trees] = [words.next(), words.next()];
    let trees = (0..n_trees).map(|_| load_tree(&mut words)).collect();
    let parts = Parts {
        n_features: n_features as usize,
        n_outputs: 2,
        trees,
        combine: Combine::Sum,
        base: vec![0.0; 2],
        transform: Transform::Complement,
    };
    Forest::new(parts).expect("the dump is a forest")
}

fn load_tree(words: &mut Words<'_>) -> Tree {
    let n = words.next() as usize;
    let [features, thresholds, lefts, rights, values] = [(); 5].map(|()| words.take(n));
    let mut leaf_values = vec![];
    let node = |index: usize| {
        if features[index] == u32::MAX {
            leaf_values.extend([0.0, f64::from(f32::from_bits(values[index]))]);
            return Node::Leaf { leaf: (leaf_values.len() / 2 - 1) as u32, cover: 0.0 };
        }
        Node::Split {
            feature: features[index],
            threshold: f32::from_bits(thresholds[index]),
            left: lefts[index],
            right: rights[index],
            nan_left: false,
            cover: 0.0,
        }
    };
    Tree { nodes: (0..n).map(node).collect(), leaf_values }
}

pub(crate) struct Rows {
    columns: Vec<Vec<f32>>,
}

/// Rows for a model of so many features.
pub(crate) fn load_rows(folder: &Path, n_features: usize) -> Rows {
    let bytes = std::fs::read(folder.join(format!("rows-f{n_features}.f32"))).expect("the rows can be read");
    let values: Vec<f32> = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let n_rows = values.len() / n_features;
    Rows { columns: values.chunks_exact(n_rows).map(<[f32]>::to_vec).collect() }
}

impl Rows {
    /// Batches of so many rows, round and round.
    pub(crate) fn batches(&self, n_rows: usize) -> Batches<'_> {
        Batches { rows: self, n_rows, begin: 0 }
    }
}

pub(crate) struct Batches<'a> {
    rows: &'a Rows,
    n_rows: usize,
    begin: usize,
}

impl<'a> Batches<'a> {
    /// The next batch, column by column.
    pub(crate) fn next_columns(&mut self) -> Vec<&'a [f32]> {
        let begin = self.begin;
        let next = begin + self.n_rows;
        let is_last = self.rows.columns[0].len() < next + self.n_rows;
        self.begin = if is_last { 0 } else { next };
        self.rows.columns.iter().map(|column| &column[begin..begin + self.n_rows]).collect()
    }

    /// The next batch, row by row, with its shape.
    pub(crate) fn next_row_major(&mut self) -> ([usize; 2], Vec<f32>) {
        let columns = self.next_columns();
        let values = (0..self.n_rows).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
        ([self.n_rows, columns.len()], values)
    }
}
