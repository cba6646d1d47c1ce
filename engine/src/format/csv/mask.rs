//! Finds the bytes that end something, 64 at a time: delimiters, newlines, and bytes that need care.
//!
//! The kernel is chosen once per decoder: AVX2 where the machine has it, else plain Rust over words. It runs over many
//! blocks per call, since a function with its own target feature cannot be inlined into its caller.

/// One bit per byte of a block of 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) delimiters: u64,
    pub(super) newlines: u64,
    /// Quotes, NUL bytes, and bytes that are not ASCII.
    pub(super) special: u64,
}

/// Scans whole blocks of 64 bytes with the best kernel of this machine; a rest under 64 bytes is scanned too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marker {
    delimiter: u8,
    #[cfg(target_arch = "x86_64")]
    has_avx2: bool,
}

impl Marker {
    pub(super) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            #[cfg(target_arch = "x86_64")]
            has_avx2: std::arch::is_x86_feature_detected!("avx2"),
        }
    }

    /// Replaces `blocks` by those of `data`.
    pub(super) fn scan(self, data: &[u8], blocks: &mut Vec<Block>) {
        blocks.clear();
        let (whole, rest) = data.as_chunks::<64>();
        self.scan_whole(whole, blocks);
        if !rest.is_empty() {
            // Blanks are neither delimiters (those that are, lie behind the end and are never looked at) nor special.
            let mut last = [b' '; 64];
            last[..rest.len()].copy_from_slice(rest);
            self.scan_whole(&[last], blocks);
            let valid = (1u64 << rest.len()) - 1;
            let block = blocks.last_mut().expect("just pushed");
            block.delimiters &= valid;
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code, reason = "the one call into code for a newer processor, after a check of the processor")]
    fn scan_whole(self, data: &[[u8; 64]], blocks: &mut Vec<Block>) {
        if self.has_avx2 {
            // SAFETY: `has_avx2` is only true when the processor has AVX2.
            unsafe { avx2::scan(self.delimiter, data, blocks) }
        } else {
            portable(self.delimiter, data, blocks);
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn scan_whole(self, data: &[[u8; 64]], blocks: &mut Vec<Block>) {
        portable(self.delimiter, data, blocks);
    }
}

fn portable(delimiter: u8, data: &[[u8; 64]], blocks: &mut Vec<Block>) {
    blocks.extend(data.iter().map(|bytes| {
        let mut block = Block::default();
        for (index, word) in bytes.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            let shift = 8 * index;
            block.delimiters |= gather(equal(word, delimiter)) << shift;
            block.newlines |= gather(equal(word, b'\n')) << shift;
            let special = equal(word, b'"') | equal(word, 0) | (word & HIGH_BITS);
            block.special |= gather(special) << shift;
        }
        block
    }));
}

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The high bit of every byte of `word` that equals `byte`; exact, without borrows between bytes.
fn equal(word: u64, byte: u8) -> u64 {
    let differs = word ^ u64::from_le_bytes([byte; 8]);
    let low_bits_differ = (differs & !HIGH_BITS).wrapping_add(!HIGH_BITS);
    !(low_bits_differ | differs) & HIGH_BITS
}

/// The eight high bits as one byte, the first byte's lowest.
fn gather(high_bits: u64) -> u64 {
    (high_bits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
        _mm256_setzero_si256,
    };

    use super::Block;

    #[target_feature(enable = "avx2")]
    pub(super) fn scan(delimiter: u8, data: &[[u8; 64]], blocks: &mut Vec<Block>) {
        let delimiter = _mm256_set1_epi8(delimiter as i8);
        let newline = _mm256_set1_epi8(b'\n' as i8);
        let before = blocks.len();
        blocks.resize(before + data.len(), Block::default());
        // A loop and no closure: a closure would not have this function's target feature.
        for (block, bytes) in blocks[before..].iter_mut().zip(data) {
            let (low, high) = load(bytes);
            *block = Block {
                delimiters: bits(_mm256_cmpeq_epi8(low, delimiter), _mm256_cmpeq_epi8(high, delimiter)),
                newlines: bits(_mm256_cmpeq_epi8(low, newline), _mm256_cmpeq_epi8(high, newline)),
                special: bits(special(low), special(high)),
            };
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    #[allow(unsafe_code, reason = "vector loads take pointers")]
    fn load(bytes: &[u8; 64]) -> (__m256i, __m256i) {
        let pointer = bytes.as_ptr();
        // SAFETY: both loads lie within the 64 bytes, and they need no alignment.
        unsafe { (_mm256_loadu_si256(pointer.cast()), _mm256_loadu_si256(pointer.add(32).cast())) }
    }

    /// Bytes with the high bit set where there is a quote, a NUL byte, or no ASCII.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn special(bytes: __m256i) -> __m256i {
        let quote = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'"' as i8));
        let nul = _mm256_cmpeq_epi8(bytes, _mm256_setzero_si256());
        _mm256_or_si256(_mm256_or_si256(quote, nul), bytes)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn bits(low: __m256i, high: __m256i) -> u64 {
        let low = _mm256_movemask_epi8(low) as u32;
        let high = _mm256_movemask_epi8(high) as u32;
        u64::from(high) << 32 | u64::from(low)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(delimiter: u8, data: &[u8]) -> Vec<Block> {
        let bits = |chunk: &[u8], is_marked: &dyn Fn(u8) -> bool| {
            chunk.iter().enumerate().fold(0, |bits, (index, &byte)| bits | u64::from(is_marked(byte)) << index)
        };
        let block = |chunk: &[u8]| Block {
            delimiters: bits(chunk, &|byte| byte == delimiter),
            newlines: bits(chunk, &|byte| byte == b'\n'),
            special: bits(chunk, &|byte| byte == b'"' || byte == 0 || !byte.is_ascii()),
        };
        data.chunks(64).map(block).collect()
    }

    proptest! {
        #[test]
        fn every_kernel_finds_what_a_loop_finds(
            data in prop::collection::vec(prop_oneof![Just(b','), Just(b'\n'), Just(b'"'), Just(0), any::<u8>()], 0..300),
            delimiter in prop_oneof![Just(b','), Just(b'\t'), Just(b' ')],
        ) {
            let mut blocks = Vec::new();
            Marker::new(delimiter).scan(&data, &mut blocks);
            prop_assert_eq!(&blocks, &naive(delimiter, &data));
            let whole = data.as_chunks::<64>().0;
            blocks.clear();
            portable(delimiter, whole, &mut blocks);
            prop_assert_eq!(&blocks[..], &naive(delimiter, whole.as_flattened())[..]);
        }
    }
}
