//! The descent, for one tree and many groups of 32 rows.
#![expect(unsafe_code, reason = "vector instructions, behind the check in `Tops::build`")]

use std::arch::x86_64::*;

use super::N_LANES;
use super::tops::{Ends, N_LEVELS_MAX, Table, Tops};

/// Two groups at once: a level of one group waits some 20 cycles for its own results, and has instructions for 10.
pub(super) const N_ABREAST: usize = 2;

/// The ranks of rows that descend abreast: for each group and column.
pub(super) type Groups<const C: usize> = [[[u16; N_LANES]; C]; N_ABREAST];

/// The sums of as many rows.
pub(super) type Sums = [[[f64; 8]; N_LANES / 8]; N_ABREAST];

/// Writes each row's position below a tree's top: 0 is the leftmost.
pub(super) fn positions<const C: usize>(
    tops: &Tops,
    tree: usize,
    groups: &[Groups<C>],
    positions: &mut [[[u16; N_LANES]; N_ABREAST]],
) {
    // SAFETY: a `Tops` exists only where the processor has these instructions.
    unsafe { positions_inner(tops, tree, groups, positions) }
}

/// Adds a tree's leaf values to the sums, which are in the order of [`slot`].
pub(super) fn add_values<const C: usize>(tops: &Tops, tree: usize, groups: &[Groups<C>], sums: &mut [Sums]) {
    // SAFETY: a `Tops` exists only where the processor has these instructions.
    unsafe {
        match (tops.ends(), tops.n_levels()) {
            (Ends::F64(values), n_levels) => {
                add_f64(tops, tree, groups, &values[tree << n_levels..(tree + 1) << n_levels], sums);
            }
            (Ends::Nodes(_), _) => unreachable!("these trees end at leaves"),
            (Ends::F32(_), 1) => add_f32::<C, 1>(tops, tree, groups, sums),
            (Ends::F32(_), 2) => add_f32::<C, 2>(tops, tree, groups, sums),
            (Ends::F32(_), 3) => add_f32::<C, 3>(tops, tree, groups, sums),
            (Ends::F32(_), 4) => add_f32::<C, 4>(tops, tree, groups, sums),
            (Ends::F32(_), 5) => add_f32::<C, 5>(tops, tree, groups, sums),
            (Ends::F32(_), 6) => add_f32::<C, 6>(tops, tree, groups, sums),
            (Ends::F32(_), 7) => add_f32::<C, 7>(tops, tree, groups, sums),
            (Ends::F32(_), 8) => add_f32::<C, 8>(tops, tree, groups, sums),
            (Ends::F32(_), 9) => add_f32::<C, 9>(tops, tree, groups, sums),
            (Ends::F32(_), _) => add_f32::<C, N_LEVELS_MAX>(tops, tree, groups, sums),
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi")]
fn positions_inner<const C: usize>(
    tops: &Tops,
    tree: usize,
    groups: &[Groups<C>],
    positions: &mut [[[u16; N_LANES]; N_ABREAST]],
) {
    let table = tops.table(tree);
    let first = _mm512_set1_epi16(tops.n_ends() as i16);
    for (groups, positions) in groups.iter().zip(positions) {
        for (positions, h) in positions.iter_mut().zip(descend(&table, groups, tops.n_levels())) {
            store(positions, _mm512_sub_epi16(h, first));
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi")]
fn add_f32<const C: usize, const LEVELS: usize>(tops: &Tops, tree: usize, groups: &[Groups<C>], sums: &mut [Sums]) {
    let table = tops.table(tree);
    let [lows, highs] = tops.halves(tree);
    for (groups, sums) in groups.iter().zip(sums) {
        for ([a, b, c, d], h) in sums.iter_mut().zip(descend(&table, groups, LEVELS)) {
            let [low, high] = [lookup::<LEVELS>(lows, h), lookup::<LEVELS>(highs, h)];
            let near = _mm512_castsi512_ps(_mm512_unpacklo_epi16(low, high));
            let far = _mm512_castsi512_ps(_mm512_unpackhi_epi16(low, high));
            // The order is that of `slot`.
            add(a, _mm512_cvtps_pd(_mm512_castps512_ps256(near)));
            add(b, _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(near)));
            add(c, _mm512_cvtps_pd(_mm512_castps512_ps256(far)));
            add(d, _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(far)));
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi")]
fn add_f64<const C: usize>(tops: &Tops, tree: usize, groups: &[Groups<C>], values: &[f64], sums: &mut [Sums]) {
    let table = tops.table(tree);
    for (groups, sums) in groups.iter().zip(sums) {
        for (sums, h) in sums.iter_mut().zip(descend(&table, groups, tops.n_levels())) {
            let mut places = [0; N_LANES];
            store(&mut places, h);
            let sums = sums.as_flattened_mut();
            for (row, place) in places.into_iter().enumerate() {
                sums[slot(row)] += values[usize::from(place) - values.len()];
            }
        }
    }
}

/// Where a group's row stands among its sums: interleaving the halves of f32s leaves rows 0–3 of every eight in one register and rows
/// 4–7 in the other.
pub(super) fn slot(row: usize) -> usize {
    let (eight, four, within) = (row / 8, row / 4 % 2, row % 4);
    four * 16 + eight * 4 + within
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi")]
fn add(sums: &mut [f64; 8], values: __m512d) {
    // SAFETY: 64 bytes, in any alignment.
    unsafe {
        let sum = _mm512_add_pd(_mm512_loadu_pd(sums.as_ptr()), values);
        _mm512_storeu_pd(sums.as_mut_ptr(), sum);
    }
}

/// Where the rows of a group are.
struct Descent {
    /// Each lane's index in the heap; the root is 1.
    h: __m512i,
    /// For each of the low levels which rows went right.
    went: [__mmask32; 4],
}

/// From the root `n_levels` down; positions from the left.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi")]
fn descend<const C: usize>(table: &Table<'_>, groups: &Groups<C>, n_levels: usize) -> [__m512i; N_ABREAST] {
    let root = || Descent { h: _mm512_set1_epi16(1), went: [0; 4] };
    let mut at = [root(), root()];
    step_low::<C, 0>(table, groups, &mut at);
    if 1 < n_levels {
        step_low::<C, 1>(table, groups, &mut at);
    }
    if 2 < n_levels {
        step_low::<C, 2>(table, groups, &mut at);
    }
    if 3 < n_levels {
        step_low::<C, 3>(table, groups, &mut at);
    }
    if 4 < n_levels {
        if C == 8 { step_high::<C, 4>(table, groups, &mut at) } else { step_low::<C, 4>(table, groups, &mut at) }
    }
    if 5 < n_levels {
        step_high::<C, 5>(table, groups, &mut at);
    }
    if 6 < n_levels {
        step_high::<C, 6>(table, groups, &mut at);
    }
    if 7 < n_levels {
        step_high::<C, 7>(table, groups, &mut at);
    }
    if 8 < n_levels {
        step_high::<C, 8>(table, groups, &mut at);
    }
    if 9 < n_levels {
        step_high::<C, 9>(table, groups, &mut at);
    }
    at.map(|at| at.h)
}

/// A level of few nodes: the column of every node, blended by the way so far.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi")]
fn step_low<const C: usize, const LEVEL: usize>(table: &Table<'_>, groups: &Groups<C>, at: &mut [Descent; N_ABREAST]) {
    for (group, at) in groups.iter().zip(at) {
        let mut values = [_mm512_setzero_si512(); 16];
        for (value, column) in values.iter_mut().zip(&table.columns[0][1 << LEVEL..2 << LEVEL]) {
            *value = load(column_ranks(group, *column));
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
}

/// A level of many nodes: each lane's column number by permutes, its value by blends over all columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi")]
fn step_high<const C: usize, const LEVEL: usize>(table: &Table<'_>, groups: &Groups<C>, at: &mut [Descent; N_ABREAST]) {
    for (group, at) in groups.iter().zip(at) {
        let value = pick(group, column::<LEVEL>(table, at.h));
        at.h = child(at.h, _mm512_cmpgt_epu16_mask(value, threshold::<LEVEL>(table, at.h)));
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi")]
fn child(h: __m512i, is_right: __mmask32) -> __m512i {
    let left = _mm512_add_epi16(h, h);
    _mm512_mask_add_epi16(left, is_right, left, _mm512_set1_epi16(1))
}

/// Each lane's threshold: `table.thresholds[h]`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi")]
fn threshold<const LEVEL: usize>(table: &Table<'_>, h: __m512i) -> __m512i {
    lookup::<LEVEL>(&table.thresholds[(1 << LEVEL) / 32..], h)
}

/// The word of each lane, for places `h` of one level: a word for each place of the level, or for a level that is narrower than a
/// register the words of the levels above as well.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi")]
fn lookup<const LEVEL: usize>(words: &[[u16; 32]], h: __m512i) -> __m512i {
    if LEVEL < 6 {
        return _mm512_permutexvar_epi16(h, load(&words[0]));
    }
    let words = &words[..(1 << LEVEL) / 32];
    let mut found = [_mm512_setzero_si512(); 16];
    for pair in 0..(1 << LEVEL) / 64 {
        found[pair] = _mm512_permutex2var_epi16(load(&words[2 * pair]), h, load(&words[2 * pair + 1]));
    }
    blend_by_bits::<6, LEVEL>(found, h)
}

/// Each lane's column: `table.columns[h]`, in the low byte; the high byte is anything.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi")]
fn column<const LEVEL: usize>(table: &Table<'_>, h: __m512i) -> __m512i {
    let first = (1 << LEVEL) / 64;
    if LEVEL < 7 {
        return _mm512_permutexvar_epi8(h, load_bytes(&table.columns[first]));
    }
    let blocks = &table.columns[first..2 * first];
    let mut found = [_mm512_setzero_si512(); 16];
    for pair in 0..(1 << LEVEL) / 128 {
        let [low, high] = [load_bytes(&blocks[2 * pair]), load_bytes(&blocks[2 * pair + 1])];
        found[pair] = _mm512_permutex2var_epi8(low, h, high);
    }
    blend_by_bits::<7, LEVEL>(found, h)
}

/// The one of `found` that the bits `FROM..LEVEL` of each lane of `h` name.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi")]
fn blend_by_bits<const FROM: usize, const LEVEL: usize>(mut found: [__m512i; 16], h: __m512i) -> __m512i {
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
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi")]
fn pick<const C: usize>(group: &[[u16; N_LANES]; C], column: __m512i) -> __m512i {
    let bit = |bit: i16| _mm512_test_epi16_mask(column, _mm512_set1_epi16(1 << bit));
    let bits = [bit(0), bit(1), bit(2), bit(3), bit(4)];
    let mut values = [_mm512_setzero_si512(); 16];
    for pair in 0..C / 2 {
        values[pair] = _mm512_mask_blend_epi16(bits[0], load(&group[2 * pair]), load(&group[2 * pair + 1]));
    }
    for pair in 0..C / 4 {
        values[pair] = _mm512_mask_blend_epi16(bits[1], values[2 * pair], values[2 * pair + 1]);
    }
    for pair in 0..C / 8 {
        values[pair] = _mm512_mask_blend_epi16(bits[2], values[2 * pair], values[2 * pair + 1]);
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
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi")]
fn load(words: &[u16; 32]) -> __m512i {
    // SAFETY: 64 bytes, in any alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi")]
fn load_bytes(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: 64 bytes, in any alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi")]
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
