//! The columns that the compiled trees compare: keys instead of floats, and where NaN goes.
//!
//! A key is an unsigned number in the order of the floats, so a comparison is one of integers. NaN is not in that order, and
//! each node says where it goes: a feature whose nodes disagree becomes two columns, one with NaN above everything (it goes
//! right) and one with NaN below everything (it goes left). So no walk has a case for NaN.

use std::collections::BTreeSet;

use crate::forest::{Forest, Node};

/// The columns that a forest compares; at least one.
#[derive(Debug)]
pub(super) struct Columns {
    /// In the order of their numbers, sorted.
    sources: Vec<Source>,
}

/// A column of keys: a feature, and what NaN becomes in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    /// Which of the caller's columns.
    pub(super) feature: u32,
    /// NaN is below every threshold instead of above.
    pub(super) nan_left: bool,
}

impl Columns {
    /// The columns that some node of the forest compares.
    pub(super) fn of(forest: &Forest) -> Self {
        let nodes = forest.trees().iter().flat_map(|tree| &tree.nodes);
        let mut sources: BTreeSet<Source> = nodes.filter_map(Source::of).collect();
        if sources.is_empty() {
            sources.insert(Source { feature: 0, nan_left: false });
        }
        Self { sources: sources.into_iter().collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.sources.len()
    }

    /// In the order of their numbers.
    pub(super) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The number of a split's column.
    pub(super) fn number(&self, source: Source) -> usize {
        self.sources.binary_search(&source).expect("every split's column was collected")
    }
}

impl Source {
    /// The column that a node compares; `None` for a leaf.
    pub(super) fn of(node: &Node) -> Option<Self> {
        match *node {
            Node::Split { feature, nan_left, .. } => Some(Self { feature, nan_left }),
            Node::Leaf { .. } => None,
        }
    }

    /// The key of a value in this column.
    #[inline(always)]
    pub(super) fn key(self, value: f32) -> u32 {
        let nan_key = if self.nan_left { 0 } else { u32::MAX };
        if value.is_nan() { nan_key } else { key(value) }
    }
}

/// The key of a threshold: that of `+0.0` for both zeros, so that both are `<=` it, as in floats.
pub(super) fn threshold_key(threshold: f32) -> u32 {
    key(if threshold == 0.0 { 0.0 } else { threshold })
}

/// Numbers in the order of the floats; `-0.0` just below `0.0`. Neither 0 nor `u32::MAX`, which would be NaNs.
#[inline(always)]
fn key(value: f32) -> u32 {
    let bits = value.to_bits();
    let negative = ((bits as i32) >> 31) as u32;
    bits ^ (negative | 0x8000_0000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_the_floats_and_nan_is_outside() {
        let values = [f32::NEG_INFINITY, f32::MIN, -1.0, -1e-45, 0.0, 1e-45, 1.0, f32::MAX, f32::INFINITY];
        let right = Source { feature: 0, nan_left: false };
        let left = Source { feature: 0, nan_left: true };
        for pair in values.windows(2) {
            assert!(right.key(pair[0]) < right.key(pair[1]), "{pair:?}");
        }
        for (value, threshold) in values.iter().flat_map(|value| values.map(|threshold| (*value, threshold))) {
            assert_eq!(right.key(value) <= threshold_key(threshold), value <= threshold, "{value} <= {threshold}");
            assert_eq!(right.key(-value) <= threshold_key(threshold), -value <= threshold, "-{value} <= {threshold}");
        }
        for nan in [f32::NAN, -f32::NAN] {
            assert!(threshold_key(f32::INFINITY) < right.key(nan) && left.key(nan) < threshold_key(f32::NEG_INFINITY));
        }
        assert!(right.key(0.0) <= threshold_key(-0.0) && right.key(-0.0) <= threshold_key(-0.0));
        assert!(threshold_key(-1e-45) < right.key(-0.0));
    }
}
