//! A column back into the engine: everything that can be checked is, and the values are copied.
//!
//! The copy (8 bytes a row) makes what was checked stay true, needs no alignment, and lets the plug-in release its memory on its own
//! thread, where it may also hang. What cannot be checked is how long its buffers are: the interface does not say.
#![allow(unsafe_code, reason = "the C data interface is raw pointers")]

use std::ffi::c_char;
use std::slice;

use arrow::array::{ArrayData, ArrayRef, make_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::DataType;

use super::types::{format, named};
use crate::udf::abi::{ArrowArray, Column};

/// A column that is released when it goes; a part that was released already is left alone.
pub(super) struct Returned(pub(super) Column);

/// Far above any batch; an offset above it is garbage.
const MAX_OFFSET: i64 = 1 << 32;

impl Drop for Returned {
    fn drop(&mut self) {
        let Column { array, schema } = &mut self.0;
        if let Some(release) = array.release {
            // SAFETY: not released yet; the plug-in wrote the callback for just this struct.
            unsafe { release(array) };
        }
        if let Some(release) = schema.release {
            // SAFETY: the same.
            unsafe { release(schema) };
        }
    }
}

impl Returned {
    /// Checks the column against the declared type and length, and copies it. Errors say what is wrong with it.
    ///
    /// # Safety
    /// What is not null points to what the interface says: enough pointers to buffers, and buffers that are long enough.
    pub(super) unsafe fn copy(&self, expected: &DataType, n_rows: usize) -> Result<ArrayRef, String> {
        let Column { array, schema } = &self.0;
        if array.release.is_none() || schema.release.is_none() {
            return Err("returned a column that was released already".to_owned());
        }
        // SAFETY: the schema was not released, so its format is a string or null.
        let returned = unsafe { text(schema.format, MAX_FORMAT_BYTES) }.ok_or("returned a column without a type")?;
        if format(expected) != Some(returned.as_str()) {
            return Err(format!("returned {} where `{expected}` is declared", named(&returned)));
        }
        let rows = Rows::check(array, expected, n_rows)?;
        // SAFETY: the caller's promise; pointers and counts were checked.
        let (nulls, buffers) = unsafe { (rows.nulls(array.null_count)?, rows.values(expected)?) };
        let data = ArrayData::builder(expected.clone()).len(n_rows).nulls(nulls).buffers(buffers);
        let data = data.build().map_err(|error| format!("returned an invalid column: {error}"))?;
        data.validate_full().map_err(|error| format!("returned an invalid column: {error}"))?;
        Ok(make_array(data))
    }
}

const MAX_FORMAT_BYTES: usize = 64;

/// Text that ends with NUL, cut at `max` bytes; `None` for null. Bytes that are not UTF-8 are replaced.
///
/// # Safety
/// `text` is null or points to bytes that end with NUL.
pub(super) unsafe fn text(text: *const c_char, max: usize) -> Option<String> {
    if text.is_null() {
        return None;
    }
    let mut bytes = Vec::new();
    while bytes.len() < max {
        // SAFETY: no byte before this one was NUL.
        match unsafe { text.cast::<u8>().add(bytes.len()).read() } {
            0 => break,
            byte => bytes.push(byte),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The buffers of an array of which counts and pointers were checked.
struct Rows<'a> {
    bitmap: *const u8,
    starts: &'a [*const u8],
    offset: usize,
    n_rows: usize,
}

impl<'a> Rows<'a> {
    fn check(array: &'a ArrowArray, expected: &DataType, n_rows: usize) -> Result<Self, String> {
        if usize::try_from(array.length) != Ok(n_rows) {
            return Err(format!("returned {} rows for {n_rows}", array.length));
        }
        if !(0..MAX_OFFSET).contains(&array.offset) || !(-1..=array.length).contains(&array.null_count) {
            return Err(format!("returned a column with offset {} and {} nulls", array.offset, array.null_count));
        }
        let n_buffers = if matches!(expected, DataType::Utf8 | DataType::Binary) { 3_usize } else { 2 };
        let has_parts = array.n_children != 0 || !array.dictionary.is_null();
        if usize::try_from(array.n_buffers) != Ok(n_buffers)
            || has_parts
            || array.buffers.is_null()
            || !array.buffers.is_aligned()
        {
            return Err(format!(
                "returned a column of `{expected}` that has {} buffers or other parts",
                array.n_buffers
            ));
        }
        // SAFETY: not null, aligned, and the interface says that there are `n_buffers`.
        let buffers = unsafe { slice::from_raw_parts(array.buffers.cast::<*const u8>(), n_buffers) };
        let (bitmap, starts) = (buffers[0], &buffers[1..]);
        let lacks_values = starts[0].is_null();
        if lacks_values || (bitmap.is_null() && 0 < array.null_count) {
            return Err("returned a column without a buffer that it needs".to_owned());
        }
        let offset = usize::try_from(array.offset).map_err(|_| "returned a column with a negative offset")?;
        Ok(Self { bitmap, starts, offset, n_rows })
    }

    /// Copies `n` bytes of the buffer that begins at `start`, from byte `skip` on.
    ///
    /// # Safety
    /// The buffer is that long.
    unsafe fn copy(start: *const u8, skip: usize, n: usize) -> Buffer {
        if n == 0 {
            return Buffer::from_vec(Vec::<u8>::new());
        }
        // SAFETY: the caller's promise; bytes need no alignment.
        Buffer::from_slice_ref(unsafe { slice::from_raw_parts(start.add(skip), n) })
    }

    /// # Safety
    /// The buffer has a bit for each row behind the offset.
    unsafe fn bits(&self, start: *const u8) -> BooleanBuffer {
        let (skip, offset) = (self.offset / 8, self.offset % 8);
        // SAFETY: the caller's promise.
        let bytes = unsafe { Self::copy(start, skip, (offset + self.n_rows).div_ceil(8)) };
        BooleanBuffer::new(bytes, offset, self.n_rows)
    }

    /// # Safety
    /// The bitmap has a bit for each row behind the offset.
    unsafe fn nulls(&self, stated: i64) -> Result<Option<NullBuffer>, String> {
        if self.bitmap.is_null() {
            return Ok(None);
        }
        // SAFETY: the caller's promise.
        let nulls = NullBuffer::new(unsafe { self.bits(self.bitmap) });
        match usize::try_from(stated) {
            Ok(stated) if stated != nulls.null_count() => {
                Err(format!("returned a column that states {stated} nulls but has {}", nulls.null_count()))
            }
            _ => Ok((nulls.null_count() != 0).then_some(nulls)),
        }
    }

    /// # Safety
    /// The buffers are as long as the type needs.
    unsafe fn values(&self, expected: &DataType) -> Result<Vec<Buffer>, String> {
        let start = self.starts[0];
        match expected {
            // SAFETY: the caller's promise.
            DataType::Boolean => Ok(vec![unsafe { self.bits(start) }.sliced()]),
            // SAFETY: the caller's promise.
            DataType::Utf8 | DataType::Binary => unsafe { self.strings() },
            data_type => {
                let width = data_type.primitive_width().ok_or("returned a type without a fixed width")?;
                // SAFETY: the caller's promise.
                Ok(vec![unsafe { Self::copy(start, self.offset * width, self.n_rows * width) }])
            }
        }
    }

    /// # Safety
    /// There is an offset for each row and one more, and the bytes reach to the last of them.
    unsafe fn strings(&self) -> Result<Vec<Buffer>, String> {
        const WIDTH: usize = size_of::<i32>();
        // SAFETY: the caller's promise.
        let offsets = unsafe { Self::copy(self.starts[0], self.offset * WIDTH, (self.n_rows + 1) * WIDTH) };
        let ends: &[i32] = offsets.typed_data();
        let is_sorted = ends.windows(2).all(|pair| pair[0] <= pair[1]);
        let (first, last) = (ends[0], ends[self.n_rows]);
        let has_bytes = first == last || !self.starts[1].is_null();
        let (Ok(first_byte), Ok(last_byte), true, true) =
            (usize::try_from(first), usize::try_from(last), is_sorted, has_bytes)
        else {
            return Err("returned strings whose ends are not in order".to_owned());
        };
        let ends: Vec<i32> = ends.iter().map(|end| end - first).collect();
        // SAFETY: the caller's promise.
        let bytes = unsafe { Self::copy(self.starts[1], first_byte, last_byte - first_byte) };
        Ok(vec![Buffer::from_vec(ends), bytes])
    }
}
