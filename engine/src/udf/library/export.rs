//! Columns out of the engine: the memory stays ours and is only lent, until the plug-in calls `release`.
#![allow(unsafe_code, reason = "the C data interface is raw pointers")]

use std::ffi::{CString, c_void};
use std::ptr;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::Buffer;
use arrow::datatypes::DataType;

use super::types::format;
use crate::udf::abi::{Arrays, ArrowArray, ArrowSchema, Column};

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
}

/// What the pointers of an exported array point into.
struct Lent {
    /// Keeps the memory alive.
    _buffers: Vec<Option<Buffer>>,
    starts: Vec<*const c_void>,
}

/// Puts columns, whose types are those of [`super::types::abi_type`], into memory that the plug-in frees. None of them: `None`.
pub(super) fn arrays(columns: &[ArrayRef]) -> Option<Arrays> {
    let exported: Vec<Column> = columns.iter().map(column).collect::<Option<_>>()?;
    let len = exported.len();
    if len == 0 {
        return None;
    }
    // SAFETY: a size that is not zero; the result is checked.
    let memory: *mut Column = unsafe { malloc(len * size_of::<Column>()) }.cast();
    assert!(!memory.is_null(), "a few hundred bytes can be had");
    for (index, column) in exported.into_iter().enumerate() {
        // SAFETY: `malloc` gives memory that is aligned for 16 bytes and has room for `len` columns.
        unsafe { memory.add(index).write(column) };
    }
    Some(Arrays { columns: memory, len, capacity: len, error: false })
}

fn column(array: &ArrayRef) -> Option<Column> {
    let format = format(array.data_type())?;
    let nulls = array.nulls().map(|nulls| nulls.inner().sliced());
    let mut buffers = vec![nulls];
    buffers.extend(values(array).into_iter().map(Some));
    let starts =
        buffers.iter().map(|buffer| buffer.as_ref().map_or(ptr::null(), |buffer| buffer.as_ptr().cast())).collect();
    let mut lent = Box::new(Lent { _buffers: buffers, starts });
    let count = |n: usize| i64::try_from(n).expect("an array has fewer than 2^63 rows");
    let array = ArrowArray {
        length: count(array.len()),
        null_count: count(array.null_count()),
        offset: 0,
        n_buffers: count(lent.starts.len()),
        n_children: 0,
        buffers: lent.starts.as_mut_ptr(),
        children: ptr::null_mut(),
        dictionary: ptr::null_mut(),
        release: Some(release_array),
        private_data: Box::into_raw(lent).cast(),
    };
    Some(Column { array, schema: schema(format) })
}

/// The buffers behind the bitmap, each beginning with the first row.
fn values(array: &ArrayRef) -> Vec<Buffer> {
    match array.data_type() {
        DataType::Boolean => vec![array.as_boolean().values().sliced()],
        DataType::Utf8 => {
            let strings = array.as_string::<i32>();
            vec![strings.offsets().inner().inner().clone(), strings.values().clone()]
        }
        DataType::Binary => {
            let bytes = array.as_binary::<i32>();
            vec![bytes.offsets().inner().inner().clone(), bytes.values().clone()]
        }
        data_type => {
            let width = data_type.primitive_width().expect("all other types of the ABI have a fixed width");
            let data = array.to_data();
            vec![data.buffers()[0].slice(data.offset() * width)]
        }
    }
}

fn schema(format: &str) -> ArrowSchema {
    const MAY_BE_NULL: i64 = 2;
    ArrowSchema {
        format: CString::new(format).expect("no format holds NUL").into_raw(),
        // An empty name, as arrow-rs writes: some readers do not expect null.
        name: c"".as_ptr(),
        metadata: ptr::null(),
        flags: MAY_BE_NULL,
        n_children: 0,
        children: ptr::null_mut(),
        dictionary: ptr::null_mut(),
        release: Some(release_schema),
        private_data: ptr::null_mut(),
    }
}

unsafe extern "C-unwind" fn release_array(array: *mut ArrowArray) {
    // SAFETY: the interface promises a valid array that was not released; its private data is the box that `column` leaked.
    unsafe {
        drop(Box::from_raw((*array).private_data.cast::<Lent>()));
        (*array).release = None;
    }
}

unsafe extern "C-unwind" fn release_schema(schema: *mut ArrowSchema) {
    // SAFETY: the interface promises a valid schema that was not released; `schema` leaked this format.
    unsafe {
        drop(CString::from_raw((*schema).format.cast_mut()));
        (*schema).release = None;
    }
}
