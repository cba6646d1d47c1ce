//! Columns to Arrow arrays.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, ListArray, PrimitiveArray, StringArray, StructArray, new_empty_array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::{Column, Values};
use crate::error::Result;

impl Column {
    /// Gives the rows away as an array; the column is empty after it.
    pub(in crate::format) fn finish(&mut self) -> Result<ArrayRef> {
        let rows = self.len();
        let nulls = take_nulls(&mut self.nulls, rows);
        Ok(match &mut self.values {
            Values::Boolean(values) => Arc::new(BooleanArray::new(std::mem::take(values).into(), nulls)),
            Values::Int8(values) => primitive::<Int8Type>(values, nulls),
            Values::Int16(values) => primitive::<Int16Type>(values, nulls),
            Values::Int32(values) => primitive::<Int32Type>(values, nulls),
            Values::Int64(values) => primitive::<Int64Type>(values, nulls),
            Values::UInt8(values) => primitive::<UInt8Type>(values, nulls),
            Values::UInt16(values) => primitive::<UInt16Type>(values, nulls),
            Values::UInt32(values) => primitive::<UInt32Type>(values, nulls),
            Values::UInt64(values) => primitive::<UInt64Type>(values, nulls),
            Values::Float32(values) => primitive::<Float32Type>(values, nulls),
            Values::Float64(values) => primitive::<Float64Type>(values, nulls),
            Values::Date32(values) => primitive::<Date32Type>(values, nulls),
            Values::Timestamp(TimeUnit::Second, _, values) => primitive::<TimestampSecondType>(values, nulls),
            Values::Timestamp(TimeUnit::Millisecond, _, values) => primitive::<TimestampMillisecondType>(values, nulls),
            Values::Timestamp(TimeUnit::Microsecond, _, values) => primitive::<TimestampMicrosecondType>(values, nulls),
            Values::Timestamp(TimeUnit::Nanosecond, _, values) => primitive::<TimestampNanosecondType>(values, nulls),
            Values::Time(values) => primitive::<Time64NanosecondType>(values, nulls),
            Values::Decimal(data_type, _, values) => {
                let spare = Vec::with_capacity(values.len());
                let array = PrimitiveArray::<Decimal128Type>::new(std::mem::replace(values, spare).into(), nulls);
                Arc::new(array.with_data_type(data_type.clone()))
            }
            Values::Utf8(bytes) => {
                let (offsets, data) = bytes.take();
                Arc::new(StringArray::try_new(offsets, data, nulls)?)
            }
            Values::Binary(bytes) => {
                let (offsets, data) = bytes.take();
                Arc::new(BinaryArray::try_new(offsets, data, nulls)?)
            }
            Values::List(item, offsets, items) => {
                let items = items.finish()?;
                Arc::new(ListArray::try_new(Arc::clone(item), offsets.take(), items, nulls)?)
            }
            Values::Struct(fields, columns, count) => {
                *count = 0;
                let arrays = columns.iter_mut().map(Self::finish).collect::<Result<Vec<_>>>()?;
                if arrays.is_empty() {
                    return Ok(match nulls {
                        None if rows == 0 => new_empty_array(&DataType::Struct(fields.clone())),
                        nulls => Arc::new(StructArray::new_empty_fields(rows, nulls)),
                    });
                }
                Arc::new(StructArray::try_new(fields.clone(), arrays, nulls)?)
            }
        })
    }
}

/// The vector's array; a new vector of the same size replaces it, since the next batch will be like this one.
fn primitive<T: ArrowPrimitiveType>(values: &mut Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    let spare = Vec::with_capacity(values.len());
    Arc::new(PrimitiveArray::<T>::new(std::mem::replace(values, spare).into(), nulls))
}

fn take_nulls(null_rows: &mut Vec<usize>, rows: usize) -> Option<NullBuffer> {
    if null_rows.is_empty() {
        return None;
    }
    let mut is_valid = vec![true; rows];
    for row in null_rows.drain(..) {
        is_valid[row] = false;
    }
    Some(NullBuffer::from(is_valid))
}
