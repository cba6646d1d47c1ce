//! Gives the groups of an aggregate up step by step, where an aggregate is an object per group.

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use datafusion::logical_expr::EmitTo;

use crate::error::Result;

/// In how many steps objects of groups give their values out: the arrays of one value each take several times the column.
const STEPS: usize = 32;
/// Fewer groups than this are given out at once.
const GROUPS_PER_STEP: usize = 1 << 10;

/// Gives all `n_groups` up, step by step.
pub(super) fn emit_in_steps(
    n_groups: usize,
    mut emit: impl FnMut(EmitTo) -> Result<Vec<ArrayRef>>,
) -> Result<Vec<ArrayRef>> {
    let n_per_step = GROUPS_PER_STEP.max(n_groups / STEPS);
    let mut steps = Vec::new();
    for _ in 1..n_groups.div_ceil(n_per_step) {
        steps.push(emit(EmitTo::First(n_per_step))?);
    }
    let last = emit(EmitTo::All)?;
    if steps.is_empty() {
        return Ok(last);
    }
    steps.push(last);
    let column = |index: usize| -> Vec<&dyn Array> { steps.iter().map(|columns| columns[index].as_ref()).collect() };
    Ok((0..steps[0].len()).map(|index| concat(&column(index))).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn steps_give_out_every_group_once_and_in_order() {
        for n_groups in [0, 1, 1 << 10, 1025, 5000, 100_001] {
            let mut groups: Vec<i64> = (0..n_groups).collect();
            let emit = |to: EmitTo| Ok(vec![Arc::new(Int64Array::from(to.take_needed(&mut groups))) as ArrayRef]);
            let columns = emit_in_steps(n_groups as usize, emit).expect("columns");
            assert_eq!(columns[0].as_primitive::<Int64Type>().values(), &(0..n_groups).collect::<Vec<_>>());
        }
    }
}
