//! Decimals and times of day, as text and back; nothing is rounded on the way.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, DecimalType, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit,
};

use super::number::{self, Span};
use super::timestamp::{clock, fraction, two_digits, write_clock};

/// `DECIMAL(precision, scale)` of at most 38 digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct DecimalReader {
    precision: u8,
    scale: i32,
}

/// Exponents beyond this belong to no decimal.
const EXPONENT_MAX: i64 = 400;

impl DecimalReader {
    pub(super) fn new(precision: u8, scale: i8) -> Option<Self> {
        (0 <= scale).then_some(Self { precision, scale: i32::from(scale) })
    }

    /// Reads `-12.50` or `1.25e1`; `None` when it is no number, has more digits than the type, or more behind the point that are not zero.
    pub(super) fn read(self, text: &[u8]) -> Option<i128> {
        let (is_negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let (mantissa, exponent) = match memchr::memchr2(b'e', b'E', text) {
            None => (text, 0),
            Some(at) => (&text[..at], number::signed(Span::of(&text[at + 1..]))?),
        };
        if EXPONENT_MAX < exponent.abs() {
            return None;
        }
        let (whole, behind) = match memchr::memchr(b'.', mantissa) {
            None => (mantissa, &[] as &[u8]),
            Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        };
        if whole.is_empty() && behind.is_empty() {
            return None;
        }
        let zeros = behind.iter().rev().take_while(|byte| **byte == b'0').count();
        let behind = &behind[..behind.len() - zeros];
        let mut value: i128 = 0;
        for byte in whole.iter().chain(behind) {
            let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
            value = value.checked_mul(10)?.checked_add(digit)?;
        }
        let shift = self.scale + i32::try_from(exponent).ok()? - i32::try_from(behind.len()).ok()?;
        let value = shifted(value, shift)?;
        let is_held = value < 10_i128.checked_pow(u32::from(self.precision))?;
        is_held.then_some(if is_negative { -value } else { value })
    }
}

/// `value` times a power of ten; `None` where digits would be lost.
fn shifted(value: i128, power: i32) -> Option<i128> {
    if value == 0 {
        return Some(0);
    }
    let factor = 10_i128.checked_pow(power.unsigned_abs())?;
    if 0 <= power {
        return value.checked_mul(factor);
    }
    (value % factor == 0).then_some(value / factor)
}

/// Reads `HH:MM[:SS[.fraction]]` as nanoseconds since midnight.
pub(super) fn read_time(text: &[u8]) -> Option<i64> {
    let [h1, h2, b':', m1, m2, rest @ ..] = text else { return None };
    let (second, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (two_digits(*s1, *s2)?, rest),
        _ => (0, rest),
    };
    let nanos = match rest {
        [] => 0,
        [b'.', digits @ ..] => match fraction(digits)? {
            (nanos, []) => nanos,
            _ => return None,
        },
        _ => return None,
    };
    Some(clock(two_digits(*h1, *h2)?, two_digits(*m1, *m2)?, second)? * 1_000_000_000 + i64::from(nanos))
}

/// Writes `HH:MM:SS`, and the fraction in threes as far as it is not zero.
pub(super) fn write_time(nanos: i64, out: &mut Vec<u8>) {
    write_clock(nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000) as u32, out);
}

/// Decimals or times of day of a column, by row.
#[derive(Clone)]
pub(super) struct ExactCells(ArrayRef);

/// One of them.
pub(super) enum Exact {
    Decimal(String),
    /// Nanoseconds since midnight.
    Time(i64),
}

impl ExactCells {
    pub(super) fn holds(data_type: &DataType) -> bool {
        matches!(
            data_type,
            DataType::Decimal128(_, _) | DataType::Decimal256(_, _) | DataType::Time32(_) | DataType::Time64(_)
        )
    }

    /// The cells of an array that it [`Self::holds`].
    pub(super) fn new(array: &ArrayRef) -> Self {
        Self(Arc::clone(array))
    }

    /// A row that is not null.
    pub(super) fn get(&self, row: usize) -> Option<Exact> {
        let array = &self.0;
        Some(match array.data_type() {
            DataType::Decimal128(precision, scale) => {
                let value = array.as_primitive::<Decimal128Type>().value(row);
                Exact::Decimal(Decimal128Type::format_decimal(value, *precision, *scale))
            }
            DataType::Decimal256(precision, scale) => {
                let value = array.as_primitive::<Decimal256Type>().value(row);
                Exact::Decimal(Decimal256Type::format_decimal(value, *precision, *scale))
            }
            DataType::Time32(TimeUnit::Second) => {
                Exact::Time(i64::from(array.as_primitive::<Time32SecondType>().value(row)) * 1_000_000_000)
            }
            DataType::Time32(_) => {
                Exact::Time(i64::from(array.as_primitive::<Time32MillisecondType>().value(row)) * 1_000_000)
            }
            DataType::Time64(TimeUnit::Microsecond) => {
                Exact::Time(array.as_primitive::<Time64MicrosecondType>().value(row) * 1_000)
            }
            DataType::Time64(_) => Exact::Time(array.as_primitive::<Time64NanosecondType>().value(row)),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
        DecimalReader::new(precision, scale).and_then(|reader| reader.read(text.as_bytes()))
    }

    #[test]
    fn a_decimal_keeps_every_digit_or_is_none() {
        let cases: &[(&str, u8, i8, Option<i128>)] = &[
            ("12.50", 4, 2, Some(1250)),
            ("-0.01", 4, 2, Some(-1)),
            (".5", 4, 2, Some(50)),
            ("5.", 4, 2, Some(500)),
            ("+7", 4, 2, Some(700)),
            ("12.500000000000000000000000000000000000000000", 4, 2, Some(1250)),
            ("1.25e1", 4, 2, Some(1250)),
            ("125E-1", 4, 2, Some(1250)),
            ("99.99", 4, 2, Some(9999)),
            ("100", 4, 2, None),
            ("0.005", 4, 2, None),
            ("1e400", 4, 2, None),
            ("0e400", 4, 2, Some(0)),
            ("99999999999999999999999999999999999999", 38, 0, Some(10_i128.pow(38) - 1)),
            ("100000000000000000000000000000000000000", 38, 0, None),
            ("170141183460469231731687303715884105728", 38, 0, None),
            ("", 4, 2, None),
            (".", 4, 2, None),
            ("-", 4, 2, None),
            ("1,5", 4, 2, None),
            ("1.2.3", 4, 2, None),
            ("e5", 4, 2, None),
            ("NaN", 4, 2, None),
        ];
        for (text, precision, scale, wanted) in cases {
            assert_eq!(decimal(text, *precision, *scale), *wanted, "{text}");
        }
    }

    #[test]
    fn a_time_is_within_a_day() {
        let second = 1_000_000_000;
        let cases: &[(&str, Option<i64>)] = &[
            ("00:00:00", Some(0)),
            ("12:34", Some((12 * 3_600 + 34 * 60) * second)),
            ("23:59:59.999999999", Some(86_400 * second - 1)),
            ("01:02:03.5", Some(3_723 * second + second / 2)),
            ("24:00:00", None),
            ("12:60:00", None),
            ("12:34:56Z", None),
            ("12:34:56.", None),
            ("12:34:56.1234567890", None),
            ("1:02:03", None),
            ("", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(read_time(text.as_bytes()), *wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn decimals_read_as_they_were_written(value in -(10_i128.pow(38) - 1)..10_i128.pow(38), scale in 0i8..=38) {
            let text = Decimal128Type::format_decimal(value, 38, scale);
            prop_assert_eq!(decimal(&text, 38, scale), Some(value), "{}", text);
        }

        #[test]
        fn times_read_as_they_were_written(nanos in 0i64..86_400_000_000_000) {
            let mut text = Vec::new();
            write_time(nanos, &mut text);
            prop_assert_eq!(read_time(&text), Some(nanos));
        }
    }
}
