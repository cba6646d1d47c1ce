//! One bit pattern for each floating-point value: SQL compares zeros and NaNs by value, hash tables and row formats by their bits.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type};

use crate::error::Result;

/// The column with one zero and one NaN.
pub(crate) fn canonical(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float64 => Arc::new(
            column
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(|value| if value.is_nan() { f64::NAN } else { value + 0.0 }),
        ),
        DataType::Float32 => Arc::new(
            column
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(|value| if value.is_nan() { f32::NAN } else { value + 0.0 }),
        ),
        _ => Arc::clone(column),
    }
}

/// The batch with its first `n_columns` columns in canonical form; `None` where none of them is a float.
pub(super) fn with_canonical_columns(batch: &RecordBatch, n_columns: usize) -> Result<Option<RecordBatch>> {
    let is_float = |column: &ArrayRef| matches!(column.data_type(), DataType::Float32 | DataType::Float64);
    if !batch.columns()[..n_columns].iter().any(is_float) {
        return Ok(None);
    }
    let mut columns = batch.columns().to_vec();
    columns[..n_columns].iter_mut().for_each(|column| *column = canonical(column));
    Ok(Some(RecordBatch::try_new(batch.schema(), columns)?))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float32Array, Float64Array};

    use super::*;

    #[test]
    fn zeros_are_one_and_so_are_nans() {
        let values = [0.0, -0.0, f64::NAN, -f64::NAN, f64::from_bits(0x7ff0_0000_0000_0001), f64::NEG_INFINITY, -1.5];
        let expected = [0.0, 0.0, f64::NAN, f64::NAN, f64::NAN, f64::NEG_INFINITY, -1.5].map(f64::to_bits);
        let column: ArrayRef = Arc::new(Float64Array::from_iter_values(values));
        let found = canonical(&column);
        let found: Vec<u64> =
            found.as_primitive::<Float64Type>().values().iter().map(|value| value.to_bits()).collect();
        assert_eq!(found, expected);
        let column: ArrayRef = Arc::new(Float32Array::from(vec![Some(-0.0), None, Some(-f32::NAN)]));
        let found = canonical(&column);
        let found: Vec<Option<u32>> =
            found.as_primitive::<Float32Type>().iter().map(|value| value.map(f32::to_bits)).collect();
        assert_eq!(found, [Some(0), None, Some(f32::NAN.to_bits())]);
    }
}
