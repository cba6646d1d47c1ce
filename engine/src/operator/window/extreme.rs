//! Least and greatest floating-point numbers. As in PostgreSQL, NaN is greater than every number, and infinities count like any other.
//!
//! DataFusion begins a group at the greatest finite number, which an infinity or a NaN does not replace or replaces always, depending on
//! the order of the rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use crate::error::{Error, Result};
use crate::operator::float::canonical;

/// The extremes of all groups; their numbers stay valid until they are given up.
pub(super) enum Extreme {
    Float32(Extremes<Float32Type>),
    Float64(Extremes<Float64Type>),
}

/// Which of two values is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeps {
    Least,
    Greatest,
}

pub(super) struct Extremes<T: ArrowPrimitiveType> {
    keeps: Keeps,
    /// The extreme of none is null.
    values: Vec<Option<T::Native>>,
}

impl Extreme {
    /// `None` where DataFusion's own is right.
    pub(super) fn of(function: &AggregateFunctionExpr) -> Option<Self> {
        let keeps = match function.fun().name() {
            "min" => Keeps::Least,
            "max" => Keeps::Greatest,
            _ => return None,
        };
        match function.field().data_type() {
            DataType::Float32 => Some(Self::Float32(Extremes { keeps, values: Vec::new() })),
            DataType::Float64 => Some(Self::Float64(Extremes { keeps, values: Vec::new() })),
            _ => None,
        }
    }

    pub(super) fn size(&self) -> usize {
        match self {
            Self::Float32(extremes) => extremes.values.capacity() * size_of::<Option<f32>>(),
            Self::Float64(extremes) => extremes.values.capacity() * size_of::<Option<f64>>(),
        }
    }

    /// Takes in values, or the states of other groups: these are alike.
    pub(super) fn update(
        &mut self,
        values: &ArrayRef,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        let values = canonical(values);
        match (self, values.data_type()) {
            (Self::Float32(extremes), DataType::Float32) => {
                extremes.update(values.as_primitive(), groups, filter, n_groups);
            }
            (Self::Float64(extremes), DataType::Float64) => {
                extremes.update(values.as_primitive(), groups, filter, n_groups);
            }
            (_, other) => {
                return Err(Error::internal(format!("an extreme of {other} where it was planned for another")));
            }
        }
        Ok(())
    }

    /// Gives the extremes up: as states, and as values.
    pub(super) fn emit(&mut self) -> ArrayRef {
        match self {
            Self::Float32(extremes) => extremes.emit(),
            Self::Float64(extremes) => extremes.emit(),
        }
    }
}

/// The state of each row by itself.
pub(super) fn of_rows(values: &ArrayRef, filter: Option<&BooleanArray>) -> Result<ArrayRef> {
    let Some(filter) = filter else { return Ok(Arc::clone(values)) };
    let is_left_out: BooleanArray = filter.iter().map(|is_counted| Some(is_counted != Some(true))).collect();
    Ok(arrow::compute::nullif(values, &is_left_out)?)
}

impl<T: ArrowPrimitiveType> Extremes<T>
where
    T::Native: PartialOrd,
{
    fn update(&mut self, values: &PrimitiveArray<T>, groups: &[usize], filter: Option<&BooleanArray>, n_groups: usize) {
        self.values.resize(n_groups, None);
        for (row, &group) in groups.iter().enumerate() {
            let is_counted = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if is_counted && values.is_valid(row) {
                let (kept, value) = (&mut self.values[group], values.value(row));
                if kept.is_none_or(|kept| replaces(self.keeps, kept, value)) {
                    *kept = Some(value);
                }
            }
        }
    }

    fn emit(&mut self) -> ArrayRef {
        Arc::new(PrimitiveArray::<T>::from_iter(std::mem::take(&mut self.values)))
    }
}

/// A value that is not equal to itself is NaN.
#[expect(clippy::eq_op, reason = "only NaN is not equal to itself")]
fn replaces<N: PartialOrd + Copy>(keeps: Keeps, kept: N, value: N) -> bool {
    let (kept_is_nan, value_is_nan) = (kept != kept, value != value);
    match keeps {
        Keeps::Least => kept_is_nan && !value_is_nan || value < kept,
        Keeps::Greatest => value_is_nan && !kept_is_nan || kept < value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_is_the_greatest_and_infinities_are_numbers() {
        let (nan, infinity) = (f64::NAN, f64::INFINITY);
        let cases: [(&[f64], f64, f64); 6] = [
            (&[infinity], infinity, infinity),
            (&[-infinity], -infinity, -infinity),
            (&[nan], nan, nan),
            (&[0.0, nan, infinity], 0.0, nan),
            (&[nan, 1.0, -nan, 2.0], 1.0, nan),
            (&[nan, -infinity], -infinity, nan),
        ];
        for (values, least, greatest) in cases {
            let column: ArrayRef = Arc::new(PrimitiveArray::<Float64Type>::from_iter_values(values.iter().copied()));
            for (keeps, expected) in [(Keeps::Least, least), (Keeps::Greatest, greatest)] {
                let mut extreme = Extreme::Float64(Extremes { keeps, values: Vec::new() });
                extreme.update(&column, &vec![0; values.len()], None, 1).expect("floats");
                let found = extreme.emit().as_primitive::<Float64Type>().value(0);
                assert!(found == expected || found.is_nan() && expected.is_nan(), "{keeps:?} of {values:?} is {found}");
            }
        }
    }

    #[test]
    fn what_is_null_or_filtered_does_not_count() {
        let column: ArrayRef = Arc::new(PrimitiveArray::<Float32Type>::from(vec![None, Some(2.0), Some(1.0)]));
        let filter = BooleanArray::from(vec![Some(true), Some(true), None]);
        let mut extreme = Extreme::Float32(Extremes { keeps: Keeps::Least, values: Vec::new() });
        extreme.update(&column, &[0, 1, 1], Some(&filter), 3).expect("floats");
        let found: Vec<Option<f32>> = extreme.emit().as_primitive::<Float32Type>().iter().collect();
        assert_eq!(found, [None, Some(2.0), None]);
        let alone = of_rows(&column, Some(&filter)).expect("floats");
        assert_eq!(alone.as_primitive::<Float32Type>().iter().collect::<Vec<_>>(), [None, Some(2.0), None]);
    }
}
