//! Every comparison as `x <= threshold` over f32, exactly.
//!
//! A threshold in f64 is rounded down to f32: `x <= t` holds for the same f32 values then. Rounded to the nearest, a value on
//! the boundary would change sides; scikit-learn's thresholds lie halfway between two f32 values, so that there are many.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Leaf,
    Leq,
    Lt,
    Gte,
    Gt,
    /// Known, but only to ONNX Runtime: equality and sets.
    Other,
}

impl Mode {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "LEAF" => Self::Leaf,
            "BRANCH_LEQ" => Self::Leq,
            "BRANCH_LT" => Self::Lt,
            "BRANCH_GTE" => Self::Gte,
            "BRANCH_GT" => Self::Gt,
            "BRANCH_EQ" | "BRANCH_NEQ" => Self::Other,
            _ => return None,
        })
    }
}

/// The comparison as `x <= threshold` for every x of type f32, and whether its sides are swapped. `None` for NaN.
pub(super) fn as_at_most(mode: Mode, value: f64) -> Option<(f32, bool)> {
    if value.is_nan() && mode != Mode::Other {
        return None;
    }
    let at_most = round_down(value);
    // x < value: at most the next f32 below it.
    let below = if f64::from(at_most) == value { at_most.next_down() } else { at_most };
    Some(match mode {
        Mode::Lt => (below, false),
        Mode::Gte => (below, true),
        Mode::Gt => (at_most, true),
        Mode::Leq | Mode::Leaf => (at_most, false),
        Mode::Other => (0.0, false),
    })
}

/// The largest f32 that is not above `value`.
fn round_down(value: f64) -> f32 {
    let nearest = value as f32;
    if value < f64::from(nearest) { nearest.next_down() } else { nearest }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Mode, as_at_most};

    fn holds(mode: Mode, x: f32, threshold: f64) -> bool {
        let x = f64::from(x);
        match mode {
            Mode::Leq => x <= threshold,
            Mode::Lt => x < threshold,
            Mode::Gte => threshold <= x,
            Mode::Gt => threshold < x,
            Mode::Leaf | Mode::Other => unreachable!("no comparison"),
        }
    }

    proptest! {
        #[test]
        fn a_rewritten_comparison_decides_every_f32_as_before(
            threshold in prop_oneof![any::<f64>(), any::<f32>().prop_map(f64::from), Just(0.0), Just(-0.0), Just(1e-320), Just(1e300)],
            x in any::<f32>(),
        ) {
            for mode in [Mode::Leq, Mode::Lt, Mode::Gte, Mode::Gt] {
                let (at_most, swaps) = as_at_most(mode, threshold).expect("it is a number");
                if threshold.is_infinite() && mode != Mode::Leq {
                    continue; // `Listing::is_comparable` leaves these to ONNX Runtime.
                }
                let near = threshold as f32;
                for x in [x, near, near.next_up(), near.next_down(), f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0] {
                    prop_assert_eq!((x <= at_most) != swaps, holds(mode, x, threshold), "{:?} {:?}", mode, x);
                }
            }
        }
    }
}
