//! Types and constants by names of our own: what arrow prints of them changes with its versions.

use std::hash::Hasher;

use arrow::array::Array;
use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use datafusion::common::ScalarValue;

use super::hasher::Parts;

pub(super) fn of_type(data_type: &DataType) -> u64 {
    type_parts(data_type).finish()
}

fn type_parts(data_type: &DataType) -> Parts {
    let nested = |kind: &str, field: &Field| Parts::of(kind).number(of_field(field));
    match data_type {
        DataType::Null => Parts::of("null"),
        DataType::Boolean => Parts::of("boolean"),
        DataType::Int8 => Parts::of("int8"),
        DataType::Int16 => Parts::of("int16"),
        DataType::Int32 => Parts::of("int32"),
        DataType::Int64 => Parts::of("int64"),
        DataType::UInt8 => Parts::of("uint8"),
        DataType::UInt16 => Parts::of("uint16"),
        DataType::UInt32 => Parts::of("uint32"),
        DataType::UInt64 => Parts::of("uint64"),
        DataType::Float16 => Parts::of("float16"),
        DataType::Float32 => Parts::of("float32"),
        DataType::Float64 => Parts::of("float64"),
        DataType::Utf8 => Parts::of("utf8"),
        DataType::LargeUtf8 => Parts::of("large utf8"),
        DataType::Utf8View => Parts::of("utf8 view"),
        DataType::Binary => Parts::of("binary"),
        DataType::LargeBinary => Parts::of("large binary"),
        DataType::BinaryView => Parts::of("binary view"),
        DataType::FixedSizeBinary(width) => Parts::of("fixed binary").number(width.unsigned_abs().into()),
        DataType::Date32 => Parts::of("date32"),
        DataType::Date64 => Parts::of("date64"),
        DataType::Time32(unit) => Parts::of("time32").text(unit_name(*unit)),
        DataType::Time64(unit) => Parts::of("time64").text(unit_name(*unit)),
        DataType::Duration(unit) => Parts::of("duration").text(unit_name(*unit)),
        DataType::Timestamp(unit, zone) => {
            Parts::of("timestamp").text(unit_name(*unit)).text(zone.as_deref().unwrap_or_default())
        }
        DataType::Interval(unit) => Parts::of("interval").text(match unit {
            IntervalUnit::YearMonth => "months",
            IntervalUnit::DayTime => "days and milliseconds",
            IntervalUnit::MonthDayNano => "months, days and nanoseconds",
        }),
        DataType::Decimal32(precision, scale) => decimal("decimal32", *precision, *scale),
        DataType::Decimal64(precision, scale) => decimal("decimal64", *precision, *scale),
        DataType::Decimal128(precision, scale) => decimal("decimal128", *precision, *scale),
        DataType::Decimal256(precision, scale) => decimal("decimal256", *precision, *scale),
        DataType::List(field) => nested("list", field),
        DataType::LargeList(field) => nested("large list", field),
        DataType::Struct(fields) => {
            Parts::of("struct").all(&fields.iter().map(|field| of_field(field)).collect::<Vec<_>>())
        }
        DataType::Map(field, is_sorted) => nested("map", field).flag(*is_sorted),
        // No column of a script has any other type.
        other => Parts::of("other").text(&format!("{other:?}")),
    }
}

/// A field by name, type and whether it may be null.
pub(super) fn of_field(field: &Field) -> u64 {
    Parts::of("field").text(field.name()).number(of_type(field.data_type())).flag(field.is_nullable()).finish()
}

fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

fn decimal(kind: &str, precision: u8, scale: i8) -> Parts {
    Parts::of(kind).number(precision.into()).number(u64::from(scale.unsigned_abs())).flag(scale < 0)
}

/// A constant by its type and its bytes.
pub(super) fn of_value(value: &ScalarValue) -> u64 {
    let parts = Parts::of("constant").number(of_type(&value.data_type())).flag(value.is_null());
    match value {
        _ if value.is_null() => parts.finish(),
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            parts.text(text).finish()
        }
        ScalarValue::Boolean(Some(flag)) => parts.flag(*flag).finish(),
        other => {
            let Ok(array) = other.to_array() else { return parts.text(&format!("{other:?}")).finish() };
            if !array.data_type().is_primitive() {
                return parts.text(&format!("{other:?}")).finish();
            }
            let mut parts = parts;
            for buffer in array.to_data().buffers() {
                parts.write(buffer.as_slice());
            }
            parts.finish()
        }
    }
}
