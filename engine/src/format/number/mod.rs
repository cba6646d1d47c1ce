//! Numbers from text.
//!
//! The usual number has at most 16 characters: it is read as one or two machine words without a branch per digit, since a
//! loop over the digits mispredicts once per value. Everything else is parsed by the slow, exact code.

mod decimal;

use self::decimal::Decimal;

/// A field: `data[start..end]`. Bytes before `start` may be loaded (never used), which is what makes whole words possible.
#[derive(Clone, Copy, Debug)]
pub(in crate::format) struct Span<'a> {
    pub(in crate::format) data: &'a [u8],
    pub(in crate::format) start: usize,
    pub(in crate::format) end: usize,
}

impl<'a> Span<'a> {
    /// A field that is the whole of `text`.
    pub(in crate::format) fn of(text: &'a [u8]) -> Self {
        Self { data: text, start: 0, end: text.len() }
    }

    #[inline]
    pub(in crate::format) fn len(self) -> usize {
        self.end - self.start
    }

    #[inline]
    pub(in crate::format) fn bytes(self) -> &'a [u8] {
        &self.data[self.start..self.end]
    }

    /// Without the blanks around it.
    #[inline]
    pub(in crate::format) fn trim(mut self) -> Self {
        let is_blank = |byte: u8| byte == b' ' || byte == b'\t';
        while self.start < self.end && is_blank(self.data[self.start]) {
            self.start += 1;
        }
        while self.start < self.end && is_blank(self.data[self.end - 1]) {
            self.end -= 1;
        }
        self
    }

    /// The last 16 bytes up to the end as a little-endian word; the last character is the highest byte. `None` at the
    /// very start of the data.
    #[inline]
    fn last_16(self) -> Option<u128> {
        let from = self.end.checked_sub(16)?;
        let bytes: [u8; 16] = self.data[from..self.end].try_into().ok()?;
        Some(u128::from_le_bytes(bytes))
    }

    /// The last 8 bytes up to the end, likewise.
    #[inline]
    fn last_8(self) -> Option<u64> {
        let from = self.end.checked_sub(8)?;
        let bytes: [u8; 8] = self.data[from..self.end].try_into().ok()?;
        Some(u64::from_le_bytes(bytes))
    }
}

const ZEROS: u64 = 0x3030_3030_3030_3030;
/// Reads an integer; `None` when the text is none or passes 64 bits. A leading `+` is allowed.
#[inline]
pub(in crate::format) fn signed(span: Span<'_>) -> Option<i64> {
    if span.start < span.end && span.data[span.start] == b'-' {
        let magnitude = unsigned_digits(Span { start: span.start + 1, ..span })?;
        return 0i64.checked_sub_unsigned(magnitude);
    }
    i64::try_from(unsigned(span)?).ok()
}

/// Reads an unsigned integer; `None` when the text is none or passes 64 bits. A leading `+` is allowed.
#[inline(always)]
pub(in crate::format) fn unsigned(span: Span<'_>) -> Option<u64> {
    let has_plus = span.start < span.end && span.data[span.start] == b'+';
    unsigned_digits(Span { start: span.start + usize::from(has_plus), ..span })
}

#[inline(always)]
fn unsigned_digits(span: Span<'_>) -> Option<u64> {
    let length = span.len();
    if length == 0 {
        return None;
    }
    if length <= 8
        && let Some(word) = span.last_8()
    {
        return digits_8((word ^ ZEROS) & (u64::MAX << (64 - 8 * length)));
    }
    many_digits(span.bytes())
}

#[cold]
fn many_digits(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if 9 < digit {
            return None;
        }
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Eight digits (0 to 9 each, first digit in the lowest byte) to their number; `None` when a byte is no digit.
#[inline]
fn digits_8(word: u64) -> Option<u64> {
    (has_other_than_digits(word) == 0).then(|| combine_8(word))
}

/// Not zero when a byte is above 9.
#[inline]
fn has_other_than_digits(word: u64) -> u64 {
    (word.wrapping_add(0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080
}

/// From `fast_float`: three multiplications instead of eight.
#[inline]
fn combine_8(word: u64) -> u64 {
    const MASK: u64 = 0x0000_00FF_0000_00FF;
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8);
    let high = (pairs & MASK).wrapping_mul(100 + (1_000_000 << 32));
    let low = ((pairs >> 16) & MASK).wrapping_mul(1 + (10_000 << 32));
    high.wrapping_add(low) >> 32
}

/// Reads a double, correctly rounded.
#[inline(always)]
pub(in crate::format) fn float64(span: Span<'_>) -> Option<f64> {
    match Decimal::read(span) {
        Some(decimal) => Some(decimal.to_f64()),
        None => long_float(span.bytes(), f64::is_infinite),
    }
}

/// Reads a float, correctly rounded (a double rounded again would not be).
#[inline]
pub(in crate::format) fn float32(span: Span<'_>) -> Option<f32> {
    match Decimal::read(span).and_then(Decimal::to_f32) {
        Some(value) => Some(value),
        None => long_float(span.bytes(), f32::is_infinite),
    }
}

#[inline(never)]
fn long_float<F: lexical_core::FromLexical + Copy>(text: &[u8], is_infinite: fn(F) -> bool) -> Option<F> {
    let value: F = lexical_core::parse(text).ok()?;
    // A number that is too large must not turn into infinity in silence; a written infinity may be one.
    let is_written = text.iter().any(|byte| matches!(byte, b'n' | b'N'));
    (!is_infinite(value) || is_written).then_some(value)
}

/// Reads `true`, `false`, `t`, `f`, `1` or `0`, ignoring case.
pub(in crate::format) fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"1" => Some(true),
        b"0" => Some(false),
        _ if text.eq_ignore_ascii_case(b"true") || text.eq_ignore_ascii_case(b"t") => Some(true),
        _ if text.eq_ignore_ascii_case(b"false") || text.eq_ignore_ascii_case(b"f") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads `text` at the start of its data and behind other bytes: both kinds of loading.
    fn both<T: PartialEq + std::fmt::Debug>(text: &str, parse: fn(Span<'_>) -> Option<T>) -> Option<T> {
        let behind = format!("9.9,-7777777777777,{text}");
        let alone = parse(Span::of(text.as_bytes()));
        let span = Span { data: behind.as_bytes(), start: behind.len() - text.len(), end: behind.len() };
        assert_eq!(parse(span), alone, "{text}");
        alone
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "-", "+", ".", "1.2.3", "1,2", "0x10", "1 2", "12a", "--1", "1e", "e5", "1_000", "6/3/23"] {
            assert_eq!(both(text, signed), None, "{text}");
            assert_eq!(both(text, unsigned), None, "{text}");
            assert_eq!(both(text, float64), None, "{text}");
        }
    }

    #[test]
    fn integers_end_where_their_type_ends() {
        assert_eq!(both("9223372036854775807", signed), Some(i64::MAX));
        assert_eq!(both("9223372036854775808", signed), None);
        assert_eq!(both("-9223372036854775808", signed), Some(i64::MIN));
        assert_eq!(both("-9223372036854775809", signed), None);
        assert_eq!(both("18446744073709551615", unsigned), Some(u64::MAX));
        assert_eq!(both("18446744073709551616", unsigned), None);
        assert_eq!(both("+00000000000000000000000007", unsigned), Some(7));
    }

    #[test]
    fn a_float_that_overflows_is_none_but_a_written_infinity_is_one() {
        assert_eq!(both("1e400", float64), None);
        assert_eq!(both("inf", float64), Some(f64::INFINITY));
        assert_eq!(both("18446744073709540.000", float64), Some(18446744073709540.0));
    }

    proptest! {
        #[test]
        fn integers_read_as_they_were_written(number: i64, other: u64) {
            prop_assert_eq!(both(&number.to_string(), signed), Some(number));
            prop_assert_eq!(both(&other.to_string(), unsigned), Some(other));
        }

        #[test]
        fn decimals_round_like_std(text in "-?[0-9]{0,18}\\.?[0-9]{0,18}") {
            let expected = text.parse::<f64>().ok();
            prop_assert_eq!(both(&text, float64), expected, "{}", text);
            prop_assert_eq!(both(&text, float32), text.parse::<f32>().ok(), "{}", text);
        }
    }
}
