//! The plug-in ABI of Arroyo (`arroyo-udf-plugin` 0.2), declared again: its crates speak arrow 51 and cannot be linked here.
//!
//! A plug-in exports `__run`, which takes whole columns in the [Arrow C data interface] and gives one back. Two more symbols are
//! Davy's own; Arroyo does not look for them: `__abi_info` says in JSON what the function takes (see
//! [`AbiInfo`](super::library::AbiInfo)), `__last_error` why the calling thread's last call failed.
//!
//! Only layouts, with assertions that check them; [`super::library`] knows what they mean.
//!
//! [Arrow C data interface]: https://arrow.apache.org/docs/format/CDataInterface.html

use std::ffi::{c_char, c_int, c_void};
use std::mem::{MaybeUninit, align_of, offset_of, size_of};

/// `__run`. "C-unwind": what unwinds out of a plug-in comes from another runtime and must not be undefined behaviour here.
pub type Run = unsafe extern "C-unwind" fn(Arrays) -> RunResult;

/// `__abi_info` and `__last_error`: text that ends with NUL and stays the plug-in's, or null. Valid until the thread's next call.
pub type Text = unsafe extern "C-unwind" fn() -> *const c_char;

/// Symbol of [`Run`].
pub const RUN: &[u8] = b"__run\0";
/// Symbol of an asynchronous plug-in, which takes one row a call and is refused.
pub const START: &[u8] = b"__start\0";
/// Optional symbol of a [`Text`]: JSON.
pub const ABI_INFO: &[u8] = b"__abi_info\0";
/// Optional symbol of a [`Text`]: a message.
pub const LAST_ERROR: &[u8] = b"__last_error\0";

/// `struct ArrowArray` of the C data interface.
#[repr(C)]
#[derive(Debug)]
pub struct ArrowArray {
    pub length: i64,
    /// Nulls; -1 for not counted.
    pub null_count: i64,
    /// Rows to skip in every buffer.
    pub offset: i64,
    /// Buffers, the bitmap of nulls among them.
    pub n_buffers: i64,
    pub n_children: i64,
    /// Begins of the buffers; the first is the bitmap, null where no row is.
    pub buffers: *mut *const c_void,
    pub children: *mut *mut ArrowArray,
    /// Values of a dictionary.
    pub dictionary: *mut ArrowArray,
    /// Frees what is behind the pointers and sets itself to null; null means that it was done.
    pub release: Option<unsafe extern "C-unwind" fn(*mut ArrowArray)>,
    pub private_data: *mut c_void,
}

/// `struct ArrowSchema` of the C data interface.
#[repr(C)]
#[derive(Debug)]
pub struct ArrowSchema {
    /// The type, such as `g` for Float64.
    pub format: *const c_char,
    /// The column's name, or null.
    pub name: *const c_char,
    /// Key-value pairs in a format of its own, or null.
    pub metadata: *const c_char,
    /// Bit 1 (value 2): may have nulls.
    pub flags: i64,
    pub n_children: i64,
    pub children: *mut *mut ArrowSchema,
    /// Type of a dictionary's values.
    pub dictionary: *mut ArrowSchema,
    /// As in [`ArrowArray::release`].
    pub release: Option<unsafe extern "C-unwind" fn(*mut ArrowSchema)>,
    pub private_data: *mut c_void,
}

/// `FfiArraySchema`: a column.
#[repr(C)]
#[derive(Debug)]
pub struct Column {
    pub array: ArrowArray,
    pub schema: ArrowSchema,
}

/// `FfiArrays`: the arguments, in memory from C's `malloc`. The plug-in frees it, and releases the columns.
#[repr(C)]
#[derive(Debug)]
pub struct Arrays {
    pub columns: *mut Column,
    pub len: usize,
    /// For how many the memory is.
    pub capacity: usize,
    /// Of no use in a call; false.
    pub error: bool,
}

/// `RunResult`: a column when `tag` is [`OK`]. The tag is a plain number, because one that is neither must not be undefined behaviour.
#[repr(C)]
#[derive(Debug)]
pub struct RunResult {
    /// [`OK`], [`ERR`], or what a plug-in of another making wrote.
    pub tag: c_int,
    /// Set only for [`OK`].
    pub column: MaybeUninit<Column>,
}

/// The tag of a result.
pub const OK: c_int = 0;
/// The tag of a failure.
pub const ERR: c_int = 1;

const _: () = {
    assert!(
        size_of::<ArrowArray>() == 80 && offset_of!(ArrowArray, buffers) == 40 && offset_of!(ArrowArray, release) == 64
    );
    assert!(
        size_of::<ArrowSchema>() == 72
            && offset_of!(ArrowSchema, flags) == 24
            && offset_of!(ArrowSchema, release) == 56
    );
    assert!(size_of::<Column>() == 152 && offset_of!(Column, schema) == 80 && align_of::<Column>() == 8);
    assert!(size_of::<Arrays>() == 32 && offset_of!(Arrays, capacity) == 16 && offset_of!(Arrays, error) == 24);
    assert!(size_of::<RunResult>() == 160 && offset_of!(RunResult, column) == 8);
};
