//! Numbers from text.
//!
//! The usual number has at most 16 characters: it is read as one or two machine words without a branch per digit, since a
//! loop over the digits mispredicts once per value. Everything else goes the slow, exact way.

/// A field: `data[start..end]`. Bytes before `start` may be loaded (never used), which is what makes whole words possible.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    pub(super) data: &'a [u8],
    pub(super) start: usize,
    pub(super) end: usize,
}

impl<'a> Span<'a> {
    /// A field that is the whole of `text`.
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self { data: text, start: 0, end: text.len() }
    }

    #[inline]
    pub(super) fn len(self) -> usize {
        self.end - self.start
    }

    #[inline]
    pub(super) fn bytes(self) -> &'a [u8] {
        &self.data[self.start..self.end]
    }

    /// Without the blanks around it.
    #[inline]
    pub(super) fn trim(mut self) -> Self {
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
const ZEROS_16: u128 = u128::from_le_bytes([b'0'; 16]);
/// `.` once `0` is taken off every byte by exclusive or.
const DOTS_16: u128 = u128::from_le_bytes([b'.' ^ b'0'; 16]);
const HIGH_BITS_16: u128 = u128::from_le_bytes([0x80; 16]);
const ONES_16: u128 = u128::from_le_bytes([1; 16]);

/// Reads an integer; `None` when the text is none or passes 64 bits. A leading `+` is allowed.
#[inline]
pub(super) fn signed(span: Span<'_>) -> Option<i64> {
    if span.start < span.end && span.data[span.start] == b'-' {
        let magnitude = unsigned_digits(Span { start: span.start + 1, ..span })?;
        return 0i64.checked_sub_unsigned(magnitude);
    }
    i64::try_from(unsigned(span)?).ok()
}

/// Reads an unsigned integer; `None` when the text is none or passes 64 bits. A leading `+` is allowed.
#[inline]
pub(super) fn unsigned(span: Span<'_>) -> Option<u64> {
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

/// By count: so many of the highest bytes. A table, since a shift of 128 bits by a variable costs more.
const LAST_BYTES: [u128; 17] = {
    let mut masks = [0; 17];
    let mut count = 1;
    while count <= 16 {
        masks[count] = u128::MAX << (128 - 8 * count);
        count += 1;
    }
    masks
};

/// Powers of ten that a double holds exactly and that 16 characters can ask for.
const POWERS_OF_TEN: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Reads a double, correctly rounded.
#[inline(always)]
pub(super) fn float64(span: Span<'_>) -> Option<f64> {
    match short_decimal(span) {
        // At most 15 digits when there is a fraction: both numbers are exact, so one division rounds once.
        Some((mantissa, decimals)) => Some(mantissa as f64 / POWERS_OF_TEN[decimals]),
        None => long_float(span.bytes(), f64::is_infinite),
    }
}

/// Reads a float, correctly rounded (a double rounded again would not be).
#[inline]
pub(super) fn float32(span: Span<'_>) -> Option<f32> {
    match short_decimal(span) {
        Some((mantissa, decimals)) if mantissa < 1 << 24 && decimals <= 10 => {
            Some(mantissa as f32 / POWERS_OF_TEN[decimals] as f32)
        }
        _ => long_float(span.bytes(), f32::is_infinite),
    }
}

/// `ddd.ddd` of at most 16 characters as (all digits as one number, digits after the point).
#[inline(always)]
fn short_decimal(span: Span<'_>) -> Option<(u64, usize)> {
    let length = span.len();
    if length == 0 || 16 < length {
        return None;
    }
    let word = (span.last_16()? ^ ZEROS_16) & LAST_BYTES[length];
    let differs = word ^ DOTS_16;
    let dots = differs.wrapping_sub(ONES_16) & !differs & HIGH_BITS_16;
    let (digits, decimals) = if dots == 0 {
        (word, 0)
    } else {
        let dot = dots.trailing_zeros() as usize / 8;
        let before = word & !LAST_BYTES[16 - dot];
        let after = word & LAST_BYTES[15 - dot];
        (before << 8 | after, 15 - dot)
    };
    let is_only_a_dot = dots != 0 && length == 1;
    if is_only_a_dot {
        return None;
    }
    let (high, low) = (digits as u64, (digits >> 64) as u64);
    let has_other = has_other_than_digits(high) | has_other_than_digits(low);
    (has_other == 0).then(|| (combine_8(high) * 100_000_000 + combine_8(low), decimals))
}

#[inline(never)]
fn long_float<F: lexical_core::FromLexical + Copy>(text: &[u8], is_infinite: fn(F) -> bool) -> Option<F> {
    let value: F = lexical_core::parse(text).ok()?;
    // A number that is too large must not turn into infinity in silence; a written infinity may be one.
    let is_written = text.iter().any(|byte| matches!(byte, b'n' | b'N'));
    (!is_infinite(value) || is_written).then_some(value)
}

/// Reads `true`, `false`, `t`, `f`, `1` or `0`, ignoring case.
pub(super) fn boolean(text: &[u8]) -> Option<bool> {
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

    /// Reads `text` at the start of its data and behind other bytes: both ways of loading.
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
