//! Sums that never wrap: wider than their result, which the query above casts back. A sum that does not fit fails there, like any other
//! expression, and follows the row policy.
//!
//! BIGINT is summed in 128 bits and DECIMAL of 28 digits or more in 256, so no number of rows overflows the state. DECIMAL of fewer
//! digits has ten digits to spare in its own type, and floating-point numbers do not wrap: DataFusion sums these.
//! The sums are as fast as DataFusion's: a widening addition instead of a wrapping one.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, DecimalType,
    Int64Type, UInt64Type, i256,
};

use crate::error::{Error, Result};

/// The type in which a sum whose result is `result` is kept; `None` where DataFusion's is wide enough.
pub(super) fn wide_type(result: &DataType) -> Option<DataType> {
    match result {
        DataType::Int64 | DataType::UInt64 => Some(DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0)),
        DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale) => {
            Some(DataType::Decimal256(DECIMAL256_MAX_PRECISION, *scale))
        }
        _ => None,
    }
}

/// The sums of all groups; their numbers stay valid until the sums are given up.
pub(super) enum WideSum {
    Narrow(Sums<Decimal128Type>),
    Wide(Sums<Decimal256Type>),
}

pub(super) struct Sums<T: DecimalType> {
    sums: Vec<T::Native>,
    /// Whether a group has a value: the sum of none is null.
    has_value: Vec<bool>,
    data_type: DataType,
}

impl WideSum {
    /// `wide` is of [`wide_type`].
    pub(super) fn new(wide: DataType) -> Self {
        match wide {
            DataType::Decimal256(..) => Self::Wide(Sums::new(wide)),
            _ => Self::Narrow(Sums::new(wide)),
        }
    }

    pub(super) fn size(&self) -> usize {
        match self {
            Self::Narrow(sums) => sums.size(),
            Self::Wide(sums) => sums.size(),
        }
    }

    pub(super) fn update(
        &mut self,
        values: &ArrayRef,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        match self {
            Self::Narrow(sums) => {
                sums.resize(n_groups);
                match values.data_type() {
                    DataType::Int64 => sums.add(values.as_primitive::<Int64Type>(), groups, filter, i128::from),
                    DataType::UInt64 => sums.add(values.as_primitive::<UInt64Type>(), groups, filter, i128::from),
                    DataType::Decimal128(..) => {
                        sums.add(values.as_primitive::<Decimal128Type>(), groups, filter, |value| value);
                    }
                    other => return Err(unexpected(other)),
                }
            }
            Self::Wide(sums) => {
                sums.resize(n_groups);
                match values.data_type() {
                    DataType::Decimal128(..) => {
                        sums.add(values.as_primitive::<Decimal128Type>(), groups, filter, i256::from_i128);
                    }
                    DataType::Decimal256(..) => {
                        sums.add(values.as_primitive::<Decimal256Type>(), groups, filter, |value| value);
                    }
                    other => return Err(unexpected(other)),
                }
            }
        }
        Ok(())
    }

    /// Gives the sums up, in their wide type: as states, and as values.
    pub(super) fn emit(&mut self) -> ArrayRef {
        match self {
            Self::Narrow(sums) => sums.emit(),
            Self::Wide(sums) => sums.emit(),
        }
    }

    /// The state of each row by itself.
    pub(super) fn of_rows(&self, values: &ArrayRef, filter: Option<&BooleanArray>) -> Result<ArrayRef> {
        let mut alone = match self {
            Self::Narrow(sums) => Self::Narrow(Sums::new(sums.data_type.clone())),
            Self::Wide(sums) => Self::Wide(Sums::new(sums.data_type.clone())),
        };
        let groups: Vec<usize> = (0..values.len()).collect();
        alone.update(values, &groups, filter, values.len())?;
        Ok(alone.emit())
    }
}

impl<T: DecimalType> Sums<T> {
    fn new(data_type: DataType) -> Self {
        Self { sums: Vec::new(), has_value: Vec::new(), data_type }
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<T::Native>() + self.has_value.capacity()
    }

    fn resize(&mut self, n_groups: usize) {
        self.sums.resize(n_groups, T::Native::ZERO);
        self.has_value.resize(n_groups, false);
    }

    fn add<V: ArrowPrimitiveType>(
        &mut self,
        values: &PrimitiveArray<V>,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        widen: impl Fn(V::Native) -> T::Native,
    ) {
        let mut add = |group: usize, value: V::Native| {
            // The type has room for more rows than there are.
            self.sums[group] = self.sums[group].add_wrapping(widen(value));
            self.has_value[group] = true;
        };
        if values.null_count() == 0 && filter.is_none() {
            groups.iter().zip(values.values()).for_each(|(&group, &value)| add(group, value));
            return;
        }
        for (row, &group) in groups.iter().enumerate() {
            let is_counted = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if is_counted && values.is_valid(row) {
                add(group, values.value(row));
            }
        }
    }

    fn emit(&mut self) -> ArrayRef {
        let nulls = NullBuffer::from(std::mem::take(&mut self.has_value));
        let nulls = Some(nulls).filter(|nulls| 0 < nulls.null_count());
        let sums = PrimitiveArray::<T>::new(std::mem::take(&mut self.sums).into(), nulls);
        Arc::new(sums.with_data_type(self.data_type.clone()))
    }
}

fn unexpected(found: &DataType) -> Error {
    Error::internal(format!("a sum of {found} where it was planned for another type"))
}
