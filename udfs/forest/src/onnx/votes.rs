//! Gives a scikit-learn forest its exact votes back.
//!
//! An exporter divides the share of a class in a leaf by the number of trees and rounds it to f32: of 50 fully grown trees 37
//! then vote 0.02 each, and the sum is 0.7399999… Here the division is undone, what was 0 or 1 becomes exactly that again, and
//! the mean is taken at the end, in f64, as scikit-learn does: 0.74. It moves no score by more than what the rounding cost.

use crate::forest::{Combine, Parts, Transform};

/// How far a share that was rounded to f32 (relative error 2^-24) after the division may be from 0 or 1.
const TOLERANCE_F32: f64 = 1e-6;
/// The same for f64: 4 units in the last place.
const TOLERANCE_F64: f64 = 4.0 * f64::EPSILON;

/// Turns a sum over leaves whose weights are shares divided by the number of trees into a mean over shares. Leaves anything
/// else as it is.
pub(super) fn restore(parts: &mut Parts, is_f64: bool) {
    let tolerance = if is_f64 { TOLERANCE_F64 } else { TOLERANCE_F32 };
    let n_trees = parts.trees.len() as f64;
    let has_base = parts.base.iter().any(|base| *base != 0.0);
    if has_base
        || parts.combine != Combine::Sum
        || !matches!(parts.transform, Transform::Identity | Transform::Complement)
    {
        return;
    }
    let is_one_column = parts.transform == Transform::Complement;
    let is_distribution = |leaf: &[f64]| {
        let shares = if is_one_column { &leaf[1..] } else { leaf };
        let total: f64 = shares.iter().sum::<f64>() * n_trees;
        let sums_to_one = (total - 1.0).abs() <= TOLERANCE_F32;
        shares.iter().all(|share| 0.0 <= *share) && (sums_to_one || (is_one_column && total <= 1.0 + TOLERANCE_F32))
    };
    if !parts.trees.iter().all(|tree| tree.leaf_values.chunks_exact(parts.n_outputs).all(is_distribution)) {
        return;
    }
    for value in parts.trees.iter_mut().flat_map(|tree| &mut tree.leaf_values) {
        *value = snap(*value * n_trees, tolerance);
    }
    parts.combine = Combine::Mean;
}

fn snap(share: f64, tolerance: f64) -> f64 {
    if share.abs() <= tolerance {
        0.0
    } else if (share.abs() - 1.0).abs() <= tolerance {
        share.signum()
    } else {
        share
    }
}
