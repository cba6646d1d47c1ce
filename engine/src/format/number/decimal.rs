//! Short decimals without a branch per digit.
//!
//! Sixteen characters are one vector: the point is found by comparing, taken out by moving what is before it, and the
//! digits are added up in pairs, fours and eights. About 40 instructions, and none of them depends on where the point is.

use super::Span;

/// `ddd.ddd`: at most 16 characters, at most one point, at least one digit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    /// All digits as one number: at most 15 when there is a point, else at most 16.
    digits: u64,
    /// The point's index among 16 characters that end with the number; 16 for none.
    point: usize,
}

/// By the point's index: what the digits are to be divided by. Doubles hold all of them exactly.
const DIVISORS: [f64; 17] = [1e15, 1e14, 1e13, 1e12, 1e11, 1e10, 1e9, 1e8, 1e7, 1e6, 1e5, 1e4, 1e3, 1e2, 1e1, 1e0, 1e0];

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

/// By the point's index: the characters before it, and those after it (all, when there is no point).
const AROUND_POINT: [(u128, u128); 17] = {
    let mut masks = [(0, u128::MAX); 17];
    let mut point = 0;
    while point < 16 {
        masks[point] = (!LAST_BYTES[16 - point], LAST_BYTES[15 - point]);
        point += 1;
    }
    masks
};

impl Decimal {
    #[inline(always)]
    pub(super) fn read(span: Span<'_>) -> Option<Self> {
        let length = span.len();
        let (digits, point) = parse(span.last_16()?, *LAST_BYTES.get(length)?)?;
        let has_digits = usize::from(point < 16) < length;
        has_digits.then_some(Self { digits, point })
    }

    /// Correctly rounded: digits and divisor are exact, so the one division rounds once.
    #[inline(always)]
    pub(super) fn to_f64(self) -> f64 {
        self.digits as f64 / DIVISORS[self.point]
    }

    /// Likewise, as far as a float holds digits and divisor exactly.
    #[inline(always)]
    pub(super) fn to_f32(self) -> Option<f32> {
        let is_exact = self.digits < 1 << 24 && 5 <= self.point;
        is_exact.then(|| self.digits as f32 / DIVISORS[self.point] as f32)
    }
}

/// The digits and the point's index in those characters that `mask` leaves; `None` when there is anything else.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(unsafe_code, reason = "vector instructions that every x86-64 has")]
fn parse(characters: u128, mask: u128) -> Option<(u64, usize)> {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { sse2(characters, mask) }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn sse2(characters: u128, mask: u128) -> Option<(u64, usize)> {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi16, _mm_and_si128, _mm_cmpeq_epi8, _mm_cvtsi128_si64, _mm_madd_epi16, _mm_movemask_epi8,
        _mm_mullo_epi16, _mm_or_si128, _mm_packs_epi32, _mm_set_epi64x, _mm_set1_epi8, _mm_set1_epi16, _mm_set1_epi32,
        _mm_setzero_si128, _mm_slli_si128, _mm_srli_epi16, _mm_subs_epu8, _mm_xor_si128,
    };
    #[inline]
    #[target_feature(enable = "sse2")]
    fn vector(word: u128) -> __m128i {
        _mm_set_epi64x((word >> 64) as i64, word as i64)
    }
    let values = _mm_and_si128(_mm_xor_si128(vector(characters), _mm_set1_epi8(b'0' as i8)), vector(mask));
    let above_9 = _mm_subs_epu8(values, _mm_set1_epi8(9));
    let others = !_mm_movemask_epi8(_mm_cmpeq_epi8(above_9, _mm_setzero_si128())) & 0xFFFF;
    let points = _mm_movemask_epi8(_mm_cmpeq_epi8(values, _mm_set1_epi8((b'.' ^ b'0') as i8)));
    if others != points || points & points.wrapping_sub(1) != 0 {
        return None;
    }
    let point = (points | 1 << 16).trailing_zeros() as usize;
    let (before, after) = AROUND_POINT[point];
    let before = _mm_slli_si128::<1>(_mm_and_si128(values, vector(before)));
    let digits = _mm_or_si128(before, _mm_and_si128(values, vector(after)));
    let tens = _mm_and_si128(digits, _mm_set1_epi16(0xFF));
    let pairs = _mm_add_epi16(_mm_mullo_epi16(tens, _mm_set1_epi16(10)), _mm_srli_epi16::<8>(digits));
    let fours = _mm_madd_epi16(pairs, _mm_set1_epi32(1 << 16 | 100));
    let eights = _mm_madd_epi16(_mm_packs_epi32(fours, fours), _mm_set1_epi32(1 << 16 | 10_000));
    let eights = _mm_cvtsi128_si64(eights) as u64;
    Some(((eights & 0xFFFF_FFFF) * 100_000_000 + (eights >> 32), point))
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn parse(characters: u128, mask: u128) -> Option<(u64, usize)> {
    portable(characters, mask)
}

/// The same over words.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn portable(characters: u128, mask: u128) -> Option<(u64, usize)> {
    const ZEROS: u128 = u128::from_le_bytes([b'0'; 16]);
    const POINTS: u128 = u128::from_le_bytes([b'.' ^ b'0'; 16]);
    const HIGH_BITS: u128 = u128::from_le_bytes([0x80; 16]);
    const ONES: u128 = u128::from_le_bytes([1; 16]);
    let values = (characters ^ ZEROS) & mask;
    let differs = values ^ POINTS;
    let points = differs.wrapping_sub(ONES) & !differs & HIGH_BITS;
    let point = points.trailing_zeros() as usize / 8;
    let (before, after) = AROUND_POINT[point];
    let digits = (values & before) << 8 | values & after;
    let (high, low) = (super::digits_8(digits as u64)?, super::digits_8((digits >> 64) as u64)?);
    Some((high * 100_000_000 + low, point))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn vectors_and_words_read_the_same(text in "[0-9.]{16}|[ -~]{16}", length in 0usize..=16) {
            let characters = u128::from_le_bytes(text.as_bytes().try_into().expect("16 characters"));
            let mask = LAST_BYTES[length];
            prop_assert_eq!(parse(characters, mask), portable(characters, mask), "{}", text);
        }
    }
}
