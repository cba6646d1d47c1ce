//! A plug-in that does on request what a host must survive; only tests load it.
//!
//! `faulty(what DOUBLE, value DOUBLE) RETURNS DOUBLE`: the first row of `what` chooses from [`run`]; 0 gives `value` back.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::ptr;

use arroyo_udf_plugin::arrow::array::{Array, ArrayData, Float64Array, Int64Array, StringArray};
use arroyo_udf_plugin::arrow::buffer::Buffer;
use arroyo_udf_plugin::arrow::datatypes::DataType;
use arroyo_udf_plugin::{FfiArraySchema, FfiArrays, RunResult};

thread_local! {
    static LAST_ERROR: Cell<*const c_char> = const { Cell::new(ptr::null()) };
}

/// Why the calling thread's last call failed.
#[no_mangle]
pub extern "C" fn __last_error() -> *const c_char {
    LAST_ERROR.take()
}

/// As a plug-in exports it, except that panics get out.
#[no_mangle]
pub extern "C-unwind" fn __run(args: FfiArrays) -> RunResult {
    run(args.into_vec())
}

fn run(mut args: Vec<ArrayData>) -> RunResult {
    let value = Float64Array::from(args.pop().expect("two arguments"));
    let what = Float64Array::from(args.pop().expect("two arguments")).value(0);
    let n_rows = value.len();
    match what as i64 {
        0 => column(value.to_data()),
        1 => panic!("this panic is wanted by a test"),
        2 => column(value.slice(0, n_rows - 1).to_data()),
        3 => column(Int64Array::from(vec![7; n_rows]).to_data()),
        4 => column(StringArray::from(vec!["seven"; n_rows]).to_data()),
        5 => RunResult::Err,
        6 => fails(c"row 3 has\na port of \x1b[31m-1\x1b[0m"),
        7 => loop {
            std::thread::park();
        },
        8 => edited(value, |array| array.null_count = 1),
        9 => edited(value, |array| array.null_count = -7),
        10 => edited(value, |array| array.offset = i64::MIN),
        11 => edited(value, |array| array.n_buffers = 1),
        // SAFETY: the column's own buffer of pointers has a place for the values.
        12 => edited(value, |array| unsafe { array.buffers.add(1).write(ptr::null()) }),
        13 => edited(value, |array| array.length = -1),
        // What was behind it leaks.
        14 => edited(value, |array| array.release = None),
        15 => with_discriminant(RunResult::Err, 77),
        // Not aligned for 8 bytes, and all right for the interface.
        16 => {
            let mut bytes = vec![0; 1];
            value.values().iter().for_each(|value| bytes.extend(value.to_ne_bytes()));
            let data = ArrayData::builder(DataType::Float64).len(n_rows).add_buffer(Buffer::from_vec(bytes).slice(1));
            // SAFETY: only the alignment is not what arrow wants, and nothing here reads it.
            column(unsafe { data.build_unchecked() })
        }
        // A slice: bitmap and values begin in the middle of their buffers.
        17 => {
            let twice: Float64Array = std::iter::repeat_n(None, n_rows).chain(value.iter()).collect();
            let offset = n_rows as i64;
            edited_with_nulls(twice, |array| (array.offset, array.length) = (offset, offset))
        }
        unknown => panic!("no fault has the number {unknown}"),
    }
}

fn column(data: ArrayData) -> RunResult {
    RunResult::Ok(FfiArraySchema::from_data(data))
}

fn fails(message: &'static std::ffi::CStr) -> RunResult {
    LAST_ERROR.set(message.as_ptr());
    RunResult::Err
}

/// `struct ArrowArray`, of which arrow 51 keeps the fields private.
#[repr(C)]
struct Raw {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *mut *const c_void,
    children: *mut *mut c_void,
    dictionary: *mut c_void,
    release: Option<unsafe extern "C" fn(*mut Raw)>,
    private_data: *mut c_void,
}

fn edited(value: Float64Array, edit: impl FnOnce(&mut Raw)) -> RunResult {
    let mut column = FfiArraySchema::from_data(value.to_data());
    // SAFETY: the layout of the C data interface.
    edit(unsafe { &mut *ptr::from_mut(&mut column.0).cast::<Raw>() });
    RunResult::Ok(column)
}

/// The same with the number of nulls not counted.
fn edited_with_nulls(value: Float64Array, edit: impl FnOnce(&mut Raw)) -> RunResult {
    edited(value, |array| {
        edit(array);
        array.null_count = -1;
    })
}

/// A result with a discriminant that no `RunResult` has.
fn with_discriminant(mut result: RunResult, discriminant: i32) -> RunResult {
    // SAFETY: the discriminant is the first field. From here on this is no valid value of its type, on purpose; this plug-in does not read it.
    unsafe { ptr::from_mut(&mut result).cast::<i32>().write(discriminant) };
    result
}
