//! Columns of a batch as text, cell by cell: what the encoders share.

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, PrimitiveArray, StringArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};

use super::exact::{Exact, ExactCells};

/// One column, ready to be written cell by cell.
pub(super) struct Cells<'a> {
    array: &'a dyn Array,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Null,
    Boolean(&'a BooleanArray),
    Int8(&'a PrimitiveArray<Int8Type>),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    UInt8(&'a PrimitiveArray<UInt8Type>),
    UInt16(&'a PrimitiveArray<UInt16Type>),
    UInt32(&'a PrimitiveArray<UInt32Type>),
    UInt64(&'a PrimitiveArray<UInt64Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Date32(&'a PrimitiveArray<Date32Type>),
    Timestamp(TimeUnit, &'a [i64]),
    Exact(ExactCells),
    Utf8(&'a StringArray),
    Utf8View(&'a arrow::array::StringViewArray),
    LargeUtf8(&'a arrow::array::LargeStringArray),
    Binary(&'a BinaryArray),
    List(&'a [i32], Box<Cells<'a>>),
    Struct(Vec<(String, Cells<'a>)>),
}

/// Whether every cell of this type can be written.
pub(super) fn can_write(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => can_write(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| can_write(field.data_type())),
        // The zone only says how a timestamp may be shown; it is UTC in any case.
        DataType::Timestamp(_, _) => true,
        DataType::Null | DataType::Boolean | DataType::Date32 | DataType::Binary => true,
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => true,
        exact if ExactCells::holds(exact) => true,
        DataType::Float32 | DataType::Float64 => true,
        other => other.is_integer(),
    }
}

/// What a cell is to a format that has to quote or to name it.
pub(super) enum Cell<'a> {
    Null,
    Boolean(bool),
    /// Written out in full.
    Number,
    /// Days since 1970.
    Date(i32),
    Timestamp(i64, TimeUnit),
    Exact(Exact),
    /// A float without a number: neither was anything written.
    NotFinite(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    List(std::ops::Range<usize>, &'a Cells<'a>),
    Struct(&'a [(String, Cells<'a>)]),
}

impl<'a> Cells<'a> {
    /// The cells of an array that [`can_write`] allows; `None` for others.
    pub(super) fn new(array: &'a ArrayRef) -> Option<Self> {
        let kind = match array.data_type() {
            DataType::Null => Kind::Null,
            DataType::Boolean => Kind::Boolean(array.as_boolean()),
            DataType::Int8 => Kind::Int8(array.as_primitive()),
            DataType::Int16 => Kind::Int16(array.as_primitive()),
            DataType::Int32 => Kind::Int32(array.as_primitive()),
            DataType::Int64 => Kind::Int64(array.as_primitive()),
            DataType::UInt8 => Kind::UInt8(array.as_primitive()),
            DataType::UInt16 => Kind::UInt16(array.as_primitive()),
            DataType::UInt32 => Kind::UInt32(array.as_primitive()),
            DataType::UInt64 => Kind::UInt64(array.as_primitive()),
            DataType::Float32 => Kind::Float32(array.as_primitive()),
            DataType::Float64 => Kind::Float64(array.as_primitive()),
            DataType::Date32 => Kind::Date32(array.as_primitive()),
            DataType::Timestamp(unit, _) => Kind::Timestamp(*unit, timestamps(array, *unit)),
            exact if ExactCells::holds(exact) => Kind::Exact(ExactCells::new(array)),
            DataType::Utf8 => Kind::Utf8(array.as_string()),
            DataType::Utf8View => Kind::Utf8View(array.as_string_view()),
            DataType::LargeUtf8 => Kind::LargeUtf8(array.as_string()),
            DataType::Binary => Kind::Binary(array.as_binary()),
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Kind::List(list.value_offsets(), Box::new(Self::new(list.values())?))
            }
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns();
                let named =
                    fields.iter().zip(columns).map(|(field, column)| Some((field.name().clone(), Self::new(column)?)));
                Kind::Struct(named.collect::<Option<_>>()?)
            }
            _ => return None,
        };
        Some(Self { array: array.as_ref(), kind })
    }

    /// Writes the cell when it is a number, and says what it is.
    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>) -> Cell<'_> {
        if self.array.is_null(row) {
            return Cell::Null;
        }
        match &self.kind {
            Kind::Null => Cell::Null,
            Kind::Boolean(array) => Cell::Boolean(array.value(row)),
            Kind::Int8(array) => write_integer(array, row, out),
            Kind::Int16(array) => write_integer(array, row, out),
            Kind::Int32(array) => write_integer(array, row, out),
            Kind::Int64(array) => write_integer(array, row, out),
            Kind::UInt8(array) => write_integer(array, row, out),
            Kind::UInt16(array) => write_integer(array, row, out),
            Kind::UInt32(array) => write_integer(array, row, out),
            Kind::UInt64(array) => write_integer(array, row, out),
            Kind::Float32(array) => {
                let value = array.value(row);
                write_float(value, value.is_finite(), f64::from(value), out)
            }
            Kind::Float64(array) => {
                let value = array.value(row);
                write_float(value, value.is_finite(), value, out)
            }
            Kind::Date32(array) => Cell::Date(array.value(row)),
            Kind::Timestamp(unit, values) => Cell::Timestamp(values[row], *unit),
            Kind::Exact(cells) => cells.get(row).map_or(Cell::Null, Cell::Exact),
            Kind::Utf8(array) => Cell::Text(array.value(row)),
            Kind::Utf8View(array) => Cell::Text(array.value(row)),
            Kind::LargeUtf8(array) => Cell::Text(array.value(row)),
            Kind::Binary(array) => Cell::Bytes(array.value(row)),
            Kind::List(offsets, items) => Cell::List(offsets[row] as usize..offsets[row + 1] as usize, items),
            Kind::Struct(columns) => Cell::Struct(columns),
        }
    }
}

fn timestamps(array: &ArrayRef, unit: TimeUnit) -> &[i64] {
    match unit {
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().values(),
        TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().values(),
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().values(),
        TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().values(),
    }
}

fn write_integer<T>(array: &PrimitiveArray<T>, row: usize, out: &mut Vec<u8>) -> Cell<'static>
where
    T: ArrowPrimitiveType<Native: Into<i128>>,
{
    // Twenty digits and a sign are the longest number of 64 bits.
    let value: i128 = array.value(row).into();
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs() as u64;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
    Cell::Number
}

/// Shortest text that reads back as the same float, with a point or an exponent, as Python prints it.
fn write_float<F: std::fmt::Debug>(value: F, is_finite: bool, wide: f64, out: &mut Vec<u8>) -> Cell<'static> {
    use std::io::Write;
    if !is_finite {
        return Cell::NotFinite(wide);
    }
    write!(out, "{value:?}").expect("a vector takes all");
    Cell::Number
}
