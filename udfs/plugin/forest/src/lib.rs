//! A model as a plug-in: whole batches through the forest of `udfs/forest`, without a copy of the model anywhere else.
//!
//! `score(<the features of the card>, all DOUBLE) RETURNS DOUBLE`, null where an argument is null or the card gives no score. Arroyo
//! loads it by `__run` like any other; `__abi_info` and `__last_error` are Davy's and described in `udfs/README.md`.
//!
//! `__run` is written by hand, since the macro makes a loop over rows. No panic leaves it: each export catches its own.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{c_char, CString};
use std::panic::catch_unwind;
use std::ptr;
use std::sync::OnceLock;

use arroyo_udf_plugin::{FfiArraySchema, FfiArrays, RunResult};

mod model;

/// How many rows a call should have: a forest is walked tree by tree over blocks of about this many.
const BATCH_ROWS: usize = 4096;

thread_local! {
    /// What `__last_error` returns, valid until the thread's next call.
    static LAST_ERROR: RefCell<Option<CString>> = const { RefCell::new(None) };
}

#[no_mangle]
pub extern "C-unwind" fn __run(args: FfiArrays) -> RunResult {
    let scored = catch_unwind(|| model::score(args.into_vec()).map(FfiArraySchema::from_data));
    let error = match scored {
        Ok(Ok(column)) => return RunResult::Ok(column),
        Ok(Err(error)) => error,
        Err(panic) => format!("a panic: {}", message(panic.as_ref())),
    };
    LAST_ERROR.set(c_string(error));
    RunResult::Err
}

/// Why this thread's last call failed; null when it did not. Valid until the thread's next call.
#[no_mangle]
pub extern "C-unwind" fn __last_error() -> *const c_char {
    LAST_ERROR.with_borrow(|error| error.as_ref().map_or(ptr::null(), |error| error.as_ptr()))
}

/// What the function takes and which model is in it, in JSON; null when the model cannot be read.
#[no_mangle]
pub extern "C-unwind" fn __abi_info() -> *const c_char {
    static INFO: OnceLock<Option<CString>> = OnceLock::new();
    let info = catch_unwind(|| INFO.get_or_init(|| model::info(BATCH_ROWS).ok().and_then(c_string)));
    info.ok().and_then(Option::as_ref).map_or(ptr::null(), |info| info.as_ptr())
}

fn c_string(text: String) -> Option<CString> {
    CString::new(text.replace('\0', "")).ok()
}

/// What a panic was called with.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
