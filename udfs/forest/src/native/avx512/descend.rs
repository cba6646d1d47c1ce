//! The descent, for one tree and many groups of 32 rows.
#![expect(unsafe_code, reason = "vector instructions, behind the check in `Tops::build`")]

use std::arch::x86_64::*;

use super::N_LANES;
use super::tops::{Ends, Table, Tops};

/// Writes each row's position below a tree's top: 0 is the leftmost.
pub(super) fn positions<const C: usize>(
    tops: &Tops,
    tree: usize,
    groups: &[[[u16; N_LANES]; C]],
    positions: &mut [[u16; N_LANES]],
) {
    // SAFETY: a `Tops` exists only where the processor has these instructions.
    unsafe { positions_inner(tops, tree, groups, positions) }
}

/// Adds a tree's leaf values to the sums.
pub(super) fn add_values<const C: usize>(tops: &Tops, tree: usize, groups: &[[[u16; N_LANES]; C]], sums: &mut [f64]) {
    let of_tree = tree << tops.n_levels()..(tree + 1) << tops.n_levels();
    // SAFETY: a `Tops` exists only where the processor has these instructions.
    unsafe {
        match tops.ends() {
            Ends::F32(values) => add_values_inner(tops, tree, groups, &values[of_tree], sums),
            Ends::F64(values) => add_values_inner(tops, tree, groups, &values[of_tree], sums),
            Ends::Nodes(_) => unreachable!("these trees end at leaves"),
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn positions_inner<const C: usize>(
    tops: &Tops,
    tree: usize,
    groups: &[[[u16; N_LANES]; C]],
    positions: &mut [[u16; N_LANES]],
) {
    let table = tops.table(tree);
    for (group, positions) in groups.iter().zip(positions) {
        store(positions, descend(&table, group, tops.n_levels()));
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn add_values_inner<const C: usize, V: Copy + Into<f64>>(
    tops: &Tops,
    tree: usize,
    groups: &[[[u16; N_LANES]; C]],
    values: &[V],
    sums: &mut [f64],
) {
    let table = tops.table(tree);
    let last = values.len() - 1;
    for (group, sums) in groups.iter().zip(sums.as_chunks_mut::<N_LANES>().0) {
        let mut positions = [0; N_LANES];
        store(&mut positions, descend(&table, group, tops.n_levels()));
        for (sum, position) in sums.iter_mut().zip(positions) {
            *sum += values[usize::from(position) & last].into();
        }
    }
}

/// Where the rows of a group are.
struct Descent {
    /// Place in the heap.
    h: __m512i,
    /// For each of the low levels which rows went right.
    went: [__mmask32; 4],
}

/// From the root `n_levels` down; positions from the left.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn descend<const C: usize>(table: &Table<'_>, group: &[[u16; N_LANES]; C], n_levels: usize) -> __m512i {
    let mut at = Descent { h: _mm512_set1_epi16(1), went: [0; 4] };
    step_low::<C, 0>(table, group, &mut at);
    if 1 < n_levels {
        step_low::<C, 1>(table, group, &mut at);
    }
    if 2 < n_levels {
        step_low::<C, 2>(table, group, &mut at);
    }
    if 3 < n_levels {
        step_low::<C, 3>(table, group, &mut at);
    }
    if 4 < n_levels {
        if C == 8 { step_high::<C, 4>(table, group, &mut at) } else { step_low::<C, 4>(table, group, &mut at) }
    }
    if 5 < n_levels {
        step_high::<C, 5>(table, group, &mut at);
    }
    if 6 < n_levels {
        step_high::<C, 6>(table, group, &mut at);
    }
    if 7 < n_levels {
        step_high::<C, 7>(table, group, &mut at);
    }
    if 8 < n_levels {
        step_high::<C, 8>(table, group, &mut at);
    }
    if 9 < n_levels {
        step_high::<C, 9>(table, group, &mut at);
    }
    _mm512_sub_epi16(at.h, _mm512_set1_epi16(1 << n_levels))
}

/// A level of few nodes: the column of every node, blended by the way so far.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn step_low<const C: usize, const LEVEL: usize>(table: &Table<'_>, group: &[[u16; N_LANES]; C], at: &mut Descent) {
    let mut values = [_mm512_setzero_si512(); 16];
    for node in 0..1 << LEVEL {
        values[node] = load(column_ranks(group, table.columns[0][(1 << LEVEL) + node]));
    }
    for above in (0..LEVEL).rev() {
        for node in 0..1 << above {
            values[node] = _mm512_mask_blend_epi16(at.went[above], values[2 * node], values[2 * node + 1]);
        }
    }
    let is_right = _mm512_cmpgt_epu16_mask(values[0], threshold::<LEVEL>(table, at.h));
    if LEVEL < at.went.len() {
        at.went[LEVEL] = is_right;
    }
    at.h = child(at.h, is_right);
}

/// A level of many nodes: each lane's column number by permutes, its value by blends over all columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn step_high<const C: usize, const LEVEL: usize>(table: &Table<'_>, group: &[[u16; N_LANES]; C], at: &mut Descent) {
    let value = pick(group, column::<LEVEL>(table, at.h));
    at.h = child(at.h, _mm512_cmpgt_epu16_mask(value, threshold::<LEVEL>(table, at.h)));
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn child(h: __m512i, is_right: __mmask32) -> __m512i {
    let left = _mm512_add_epi16(h, h);
    _mm512_mask_add_epi16(left, is_right, left, _mm512_set1_epi16(1))
}

/// Each lane's threshold: `table.thresholds[h]`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn threshold<const LEVEL: usize>(table: &Table<'_>, h: __m512i) -> __m512i {
    let first = (1 << LEVEL) / 32;
    if LEVEL < 6 {
        return _mm512_permutexvar_epi16(h, load(&table.thresholds[first]));
    }
    let blocks = &table.thresholds[first..2 * first];
    let mut found = [_mm512_setzero_si512(); 8];
    for pair in 0..(1 << LEVEL) / 64 {
        found[pair] = _mm512_permutex2var_epi16(load(&blocks[2 * pair]), h, load(&blocks[2 * pair + 1]));
    }
    blend_by_bits::<6, LEVEL>(found, h)
}

/// Each lane's column: `table.columns[h]`, in the low byte; the high byte is anything.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn column<const LEVEL: usize>(table: &Table<'_>, h: __m512i) -> __m512i {
    let first = (1 << LEVEL) / 64;
    if LEVEL < 7 {
        return _mm512_permutexvar_epi8(h, load_bytes(&table.columns[first]));
    }
    let blocks = &table.columns[first..2 * first];
    let mut found = [_mm512_setzero_si512(); 8];
    for pair in 0..(1 << LEVEL) / 128 {
        let [low, high] = [load_bytes(&blocks[2 * pair]), load_bytes(&blocks[2 * pair + 1])];
        found[pair] = _mm512_permutex2var_epi8(low, h, high);
    }
    blend_by_bits::<7, LEVEL>(found, h)
}

/// The one of `found` that the bits `FROM..LEVEL` of each lane of `h` name.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn blend_by_bits<const FROM: usize, const LEVEL: usize>(mut found: [__m512i; 8], h: __m512i) -> __m512i {
    for bit in FROM..LEVEL {
        let is_set = _mm512_test_epi16_mask(h, _mm512_set1_epi16(1 << bit));
        for pair in 0..1 << (LEVEL - 1 - bit) {
            found[pair] = _mm512_mask_blend_epi16(is_set, found[2 * pair], found[2 * pair + 1]);
        }
    }
    found[0]
}

/// `group[column]` for each lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn pick<const C: usize>(group: &[[u16; N_LANES]; C], column: __m512i) -> __m512i {
    let bit = |bit: i16| _mm512_test_epi16_mask(column, _mm512_set1_epi16(1 << bit));
    let bits = [bit(0), bit(1), bit(2), bit(3), bit(4)];
    let mut values = [_mm512_setzero_si512(); 16];
    for pair in 0..C / 2 {
        values[pair] = _mm512_mask_blend_epi16(bits[0], load(&group[2 * pair]), load(&group[2 * pair + 1]));
    }
    for bit in 1..3 {
        for pair in 0..C >> (bit + 1) {
            values[pair] = _mm512_mask_blend_epi16(bits[bit], values[2 * pair], values[2 * pair + 1]);
        }
    }
    let [a, b, c, d, ..] = values;
    match C / 8 {
        1 => a,
        2 => _mm512_mask_blend_epi16(bits[3], a, b),
        3 => _mm512_mask_blend_epi16(bits[4], _mm512_mask_blend_epi16(bits[3], a, b), c),
        _ => {
            let [low, high] = [_mm512_mask_blend_epi16(bits[3], a, b), _mm512_mask_blend_epi16(bits[3], c, d)];
            _mm512_mask_blend_epi16(bits[4], low, high)
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn load(words: &[u16; 32]) -> __m512i {
    // SAFETY: 64 bytes, in any alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn load_bytes(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: 64 bytes, in any alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn store(words: &mut [u16; 32], lanes: __m512i) {
    // SAFETY: 64 bytes, in any alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), lanes) }
}

/// `group[column]`; not checked, because it is in the innermost loop.
#[inline]
fn column_ranks<const C: usize>(group: &[[u16; N_LANES]; C], column: u8) -> &[u16; N_LANES] {
    debug_assert!(usize::from(column) < C);
    // SAFETY: the columns in a table are below `Tops::n_columns`, which is `C`: `score` chooses it so.
    unsafe { group.get_unchecked(usize::from(column)) }
}
