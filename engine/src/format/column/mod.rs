//! Columns under construction: fields in, Arrow arrays out.
//!
//! A row goes in field by field and may turn out bad half way; then every column is cut back to the rows before it. Nulls are
//! kept as a list of row numbers: nothing at all is written for the usual value, which is not null.

mod finish;

use std::sync::Arc;

use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields, TimeUnit};

use super::BadReason;
use super::exact::{self, DecimalReader};
use super::number::{self, Span};
use super::timestamp::{self, TimestampReader};
use crate::error::Result;

/// One column under construction.
#[derive(Clone, Debug)]
pub(in crate::format) struct Column {
    pub(in crate::format) nullable: bool,
    pub(in crate::format) values: Values,
    /// The rows that are null, ascending.
    nulls: Vec<usize>,
}

/// The values by type; a null row holds any value.
#[derive(Clone, Debug)]
pub(in crate::format) enum Values {
    Boolean(Vec<bool>),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    UInt8(Vec<u8>),
    UInt16(Vec<u16>),
    UInt32(Vec<u32>),
    UInt64(Vec<u64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Date32(Vec<i32>),
    Timestamp(TimeUnit, TimestampReader, Vec<i64>),
    /// Nanoseconds since midnight.
    Time(Vec<i64>),
    /// Of the type that comes first.
    Decimal(DataType, DecimalReader, Vec<i128>),
    Utf8(Bytes),
    Binary(Bytes),
    List(FieldRef, Offsets, Box<Column>),
    Struct(Fields, Vec<Column>, usize),
}

/// Values of varying length, one after the other.
#[derive(Clone, Debug)]
pub(in crate::format) struct Bytes {
    offsets: Offsets,
    data: Vec<u8>,
}

/// Where each value ends; begins with 0.
#[derive(Clone, Debug)]
pub(in crate::format) struct Offsets(Vec<i32>);

impl Offsets {
    fn new() -> Self {
        Self(vec![0])
    }

    fn last(&self) -> usize {
        *self.0.last().expect("offsets begin with 0") as usize
    }

    /// Ends a value at `end`; `None` when Arrow's 31 bits are used up.
    pub(in crate::format) fn push(&mut self, end: usize) -> Option<()> {
        self.0.push(i32::try_from(end).ok()?);
        Some(())
    }

    fn take(&mut self) -> OffsetBuffer<i32> {
        OffsetBuffer::new(std::mem::replace(self, Self::new()).0.into())
    }
}

impl Bytes {
    fn new() -> Self {
        Self { offsets: Offsets::new(), data: Vec::new() }
    }

    /// Appends a value; the row is too long when it would take the batch past Arrow's 2 GiB.
    #[inline]
    pub(in crate::format) fn push(&mut self, value: &[u8]) -> Result<(), BadReason> {
        self.offsets.push(self.data.len() + value.len()).ok_or(BadReason::TooLong)?;
        self.data.extend_from_slice(value);
        Ok(())
    }

    fn truncate(&mut self, rows: usize) {
        self.offsets.0.truncate(rows + 1);
        self.data.truncate(self.offsets.last());
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let spare = Vec::with_capacity(self.data.len());
        (self.offsets.take(), std::mem::replace(&mut self.data, spare).into())
    }
}

impl Values {
    /// Empty values; `None` for a type that no text format can hold.
    fn new(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Boolean(Vec::new()),
            DataType::Int8 => Self::Int8(Vec::new()),
            DataType::Int16 => Self::Int16(Vec::new()),
            DataType::Int32 => Self::Int32(Vec::new()),
            DataType::Int64 => Self::Int64(Vec::new()),
            DataType::UInt8 => Self::UInt8(Vec::new()),
            DataType::UInt16 => Self::UInt16(Vec::new()),
            DataType::UInt32 => Self::UInt32(Vec::new()),
            DataType::UInt64 => Self::UInt64(Vec::new()),
            DataType::Float32 => Self::Float32(Vec::new()),
            DataType::Float64 => Self::Float64(Vec::new()),
            DataType::Date32 => Self::Date32(Vec::new()),
            DataType::Timestamp(unit, None) => Self::Timestamp(*unit, TimestampReader::default(), Vec::new()),
            DataType::Time64(TimeUnit::Nanosecond) => Self::Time(Vec::new()),
            DataType::Decimal128(precision, scale) => {
                Self::Decimal(data_type.clone(), DecimalReader::new(*precision, *scale)?, Vec::new())
            }
            DataType::Utf8 => Self::Utf8(Bytes::new()),
            DataType::Binary => Self::Binary(Bytes::new()),
            DataType::List(item) => {
                let items = Column::new(item.data_type(), item.is_nullable())?;
                Self::List(Arc::clone(item), Offsets::new(), Box::new(items))
            }
            DataType::Struct(fields) => {
                let columns = fields.iter().map(|field| Column::new(field.data_type(), field.is_nullable()));
                Self::Struct(fields.clone(), columns.collect::<Option<_>>()?, 0)
            }
            _ => return None,
        })
    }
}

/// Does the same with the values of every type that is a plain vector, and the rest by hand.
macro_rules! each_vector {
    ($values:expr, $vector:ident => $same:expr, $($rest:tt)*) => {
        match $values {
            Values::Boolean($vector) => $same,
            Values::Int8($vector) => $same,
            Values::Int16($vector) => $same,
            Values::Int32($vector) => $same,
            Values::Int64($vector) => $same,
            Values::UInt8($vector) => $same,
            Values::UInt16($vector) => $same,
            Values::UInt32($vector) => $same,
            Values::UInt64($vector) => $same,
            Values::Float32($vector) => $same,
            Values::Float64($vector) => $same,
            Values::Date32($vector) => $same,
            Values::Timestamp(_, _, $vector) => $same,
            Values::Time($vector) => $same,
            Values::Decimal(_, _, $vector) => $same,
            $($rest)*
        }
    };
}

impl Column {
    /// An empty column; `None` for a type that no text format can hold.
    pub(in crate::format) fn new(data_type: &DataType, nullable: bool) -> Option<Self> {
        Some(Self { nullable, values: Values::new(data_type)?, nulls: Vec::new() })
    }

    /// How many rows it holds.
    pub(in crate::format) fn len(&self) -> usize {
        each_vector!(&self.values, vector => vector.len(),
            Values::Utf8(bytes) | Values::Binary(bytes) => bytes.offsets.0.len() - 1,
            Values::List(_, offsets, _) => offsets.0.len() - 1,
            Values::Struct(_, _, rows) => *rows,
        )
    }

    /// Cuts back to the first `rows` rows.
    pub(in crate::format) fn truncate(&mut self, rows: usize) {
        while self.nulls.last().is_some_and(|&row| rows <= row) {
            self.nulls.pop();
        }
        each_vector!(&mut self.values, vector => vector.truncate(rows),
            Values::Utf8(bytes) | Values::Binary(bytes) => bytes.truncate(rows),
            Values::List(_, offsets, items) => {
                offsets.0.truncate(rows + 1);
                items.truncate(offsets.last());
            }
            Values::Struct(_, columns, count) => {
                *count = rows.min(*count);
                columns.iter_mut().for_each(|column| column.truncate(rows));
            }
        );
    }

    /// Appends a null, or refuses when the column is NOT NULL.
    #[inline]
    pub(in crate::format) fn push_missing(&mut self) -> Result<(), BadReason> {
        if !self.nullable {
            return Err(BadReason::Missing);
        }
        self.push_null();
        Ok(())
    }

    /// Appends a null even where the column has none: below a null struct the values do not count.
    pub(in crate::format) fn push_null(&mut self) {
        self.nulls.push(self.len());
        each_vector!(&mut self.values, vector => vector.push(Default::default()),
            Values::Utf8(bytes) | Values::Binary(bytes) => bytes.offsets.0.push(bytes.offsets.last() as i32),
            Values::List(_, offsets, _) => offsets.0.push(offsets.last() as i32),
            Values::Struct(_, columns, rows) => {
                *rows += 1;
                columns.iter_mut().for_each(Column::push_null);
            }
        );
    }

    /// Appends the value that `span` is the text of; the text is not empty and its UTF-8 has been checked where it matters.
    #[inline]
    pub(in crate::format) fn push_text(&mut self, span: Span<'_>) -> Result<(), BadReason> {
        fn keep<T>(values: &mut Vec<T>, value: Option<T>) -> Result<(), BadReason> {
            values.push(value.ok_or(BadReason::WrongType)?);
            Ok(())
        }
        fn signed<T: TryFrom<i64>>(span: Span<'_>) -> Option<T> {
            T::try_from(number::signed(span)?).ok()
        }
        fn unsigned<T: TryFrom<u64>>(span: Span<'_>) -> Option<T> {
            T::try_from(number::unsigned(span)?).ok()
        }
        match &mut self.values {
            Values::Boolean(values) => keep(values, number::boolean(span.bytes())),
            Values::Int8(values) => keep(values, signed(span)),
            Values::Int16(values) => keep(values, signed(span)),
            Values::Int32(values) => keep(values, signed(span)),
            Values::Int64(values) => keep(values, number::signed(span)),
            Values::UInt8(values) => keep(values, unsigned(span)),
            Values::UInt16(values) => keep(values, unsigned(span)),
            Values::UInt32(values) => keep(values, unsigned(span)),
            Values::UInt64(values) => keep(values, number::unsigned(span)),
            Values::Float32(values) => keep(values, number::float32(span)),
            Values::Float64(values) => keep(values, number::float64(span)),
            Values::Date32(values) => keep(values, timestamp::date(span.bytes())),
            Values::Timestamp(unit, reader, values) => keep(values, reader.read(span, *unit)),
            Values::Time(values) => keep(values, exact::read_time(span.bytes())),
            Values::Decimal(_, reader, values) => keep(values, reader.read(span.bytes())),
            Values::Utf8(bytes) | Values::Binary(bytes) => bytes.push(span.bytes()),
            Values::List(..) | Values::Struct(..) => Err(BadReason::WrongType),
        }
    }

    /// Appends a value per span, column by column being twice as fast as row by row: one match for all, and the processor
    /// works on several values at once. The text is ASCII. `None` when one of them is bad: the caller cuts back to where it
    /// began and finds out which.
    pub(in crate::format) fn push_texts<'a>(
        &mut self,
        null: Option<&[u8]>,
        spans: impl ExactSizeIterator<Item = Span<'a>>,
    ) -> Option<()> {
        let Self { nullable, values, nulls } = self;
        let sparse = Sparse { nullable: *nullable, nulls, null };
        match values {
            Values::Int32(values) => sparse.extend(values, spans, |span| i32::try_from(number::signed(span)?).ok()),
            Values::Int64(values) => sparse.extend(values, spans, number::signed),
            Values::UInt16(values) => sparse.extend(values, spans, |span| u16::try_from(number::unsigned(span)?).ok()),
            Values::UInt32(values) => sparse.extend(values, spans, |span| u32::try_from(number::unsigned(span)?).ok()),
            Values::UInt64(values) => sparse.extend(values, spans, number::unsigned),
            Values::Float32(values) => sparse.extend(values, spans, number::float32),
            Values::Float64(values) => sparse.extend(values, spans, number::float64),
            Values::Timestamp(unit, reader, values) => sparse.extend(values, spans, |span| reader.read(span, *unit)),
            _ => {
                for span in spans {
                    self.push_field(span, null).ok()?;
                }
                Some(())
            }
        }
    }

    /// Appends a field of ASCII: blanks around it do not count, and an empty one is a missing one.
    #[inline]
    pub(in crate::format) fn push_field(&mut self, field: Span<'_>, null: Option<&[u8]>) -> Result<(), BadReason> {
        let field = field.trim();
        if field.len() == 0 {
            return self.push_empty();
        }
        if null.is_some_and(|null| field.bytes() == null) {
            return self.push_missing();
        }
        self.push_text(field)
    }

    /// An empty text is null where the column can be null, else an empty text; an empty number is missing.
    pub(in crate::format) fn push_empty(&mut self) -> Result<(), BadReason> {
        match &mut self.values {
            Values::Utf8(bytes) | Values::Binary(bytes) if !self.nullable => bytes.push(b""),
            _ => self.push_missing(),
        }
    }

    /// Sets durations that underflowed to 0 and counts them. nfdump takes the end before the start as an unsigned number of
    /// milliseconds, so what it prints is just under 2⁶⁴ / 1000.
    pub(in crate::format) fn clamp_durations(&mut self) -> u64 {
        fn clamp<T: PartialOrd + Default>(values: &mut [T], limit: &T) -> u64 {
            let underflowed = values.iter_mut().filter(|value| *limit < **value);
            underflowed.map(|value| *value = T::default()).count() as u64
        }
        match &mut self.values {
            Values::Float64(values) => clamp(values, &1e16),
            Values::Float32(values) => clamp(values, &1e16),
            _ => 0,
        }
    }
}

/// What becomes of missing values.
struct Sparse<'n> {
    nullable: bool,
    nulls: &'n mut Vec<usize>,
    /// A text that means null.
    null: Option<&'n [u8]>,
}

impl Sparse<'_> {
    /// Appends the values of a column, or `None` when one of them is bad.
    #[inline(always)]
    fn extend<'a, T: Default>(
        mut self,
        values: &mut Vec<T>,
        spans: impl ExactSizeIterator<Item = Span<'a>>,
        mut parse: impl FnMut(Span<'a>) -> Option<T>,
    ) -> Option<()> {
        let before = values.len();
        values.resize_with(before + spans.len(), T::default);
        let has_null = self.null.is_some();
        for ((row, value), span) in (before..).zip(&mut values[before..]).zip(spans) {
            // The usual value has no blanks and is no null, so it is tried as it is; nothing that is empty parses.
            let usual = if has_null { None } else { parse(span) };
            match usual {
                Some(parsed) => *value = parsed,
                None => *value = self.unusual(span, row, &mut parse)?,
            }
        }
        Some(())
    }

    /// A value with blanks around it, or none.
    #[inline(never)]
    fn unusual<'a, T: Default>(
        &mut self,
        span: Span<'a>,
        row: usize,
        parse: &mut impl FnMut(Span<'a>) -> Option<T>,
    ) -> Option<T> {
        let span = span.trim();
        let is_missing = span.len() == 0 || self.null.is_some_and(|null| span.bytes() == null);
        if !is_missing {
            return parse(span);
        }
        self.nullable.then(|| {
            self.nulls.push(row);
            T::default()
        })
    }
}
