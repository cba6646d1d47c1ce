//! Columns of every type that crosses the ABI go out and come back, without a plug-in between: this part runs under Miri too.
#![allow(unsafe_code, reason = "plays the plug-in, which owns what it is given")]

use std::ffi::c_void;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Int8Array, StringArray, UInt64Array};
use arrow::array::{Float32Array, TimestampMicrosecondArray};

use super::export;
use super::import::Returned;

unsafe extern "C" {
    fn free(memory: *mut c_void);
}

/// Takes columns over as a plug-in does, and returns each.
fn round_trip(columns: &[ArrayRef]) -> Vec<Result<ArrayRef, String>> {
    let arrays = export::arrays(columns).expect("types of the ABI");
    assert_eq!((arrays.len, arrays.capacity, arrays.error), (columns.len(), columns.len(), false));
    let take = |index: usize| {
        // SAFETY: there are `len` columns, and each is read once.
        let column = Returned(unsafe { arrays.columns.add(index).read() });
        // SAFETY: our own export keeps to the interface.
        unsafe { column.copy(columns[index].data_type(), columns[index].len()) }
    };
    let returned = (0..arrays.len).map(take).collect();
    // SAFETY: from `malloc`, and nothing is in it any more.
    unsafe { free(arrays.columns.cast()) };
    returned
}

fn columns() -> Vec<ArrayRef> {
    let n = 21_i64;
    let some = |i: &i64| i % 5 != 2;
    let numbers = || (0..n).map(move |i| Some(i).filter(some));
    let words: Vec<Option<String>> = numbers().map(|i| i.map(|i| "ä".repeat(usize::try_from(i).unwrap()))).collect();
    vec![
        Arc::new(numbers().map(|i| i.map(|i| i % 3 == 0)).collect::<BooleanArray>()),
        Arc::new(numbers().map(|i| i.map(|i| i as i8 - 9)).collect::<Int8Array>()),
        Arc::new(numbers().map(|i| i.map(|i| u64::MAX - i as u64)).collect::<UInt64Array>()),
        Arc::new(numbers().map(|i| i.map(|i| i as f32 / 3.0)).collect::<Float32Array>()),
        Arc::new(numbers().map(|i| i.map(|i| i as i32)).collect::<Date32Array>()),
        Arc::new(numbers().collect::<TimestampMicrosecondArray>()),
        Arc::new(words.iter().map(|word| word.as_ref().map(String::as_bytes)).collect::<BinaryArray>()),
        Arc::new(words.into_iter().collect::<StringArray>()),
        Arc::new((0..n).collect::<arrow::array::Int64Array>()),
    ]
}

#[test]
fn every_type_comes_back_as_it_went_whole_and_in_slices() {
    for (offset, length) in [(0, 21), (0, 8), (3, 11), (8, 13), (20, 1)] {
        let columns: Vec<ArrayRef> = columns().iter().map(|column| column.slice(offset, length)).collect();
        for (column, returned) in columns.iter().zip(round_trip(&columns)) {
            assert_eq!(&returned.unwrap(), column, "{} rows from {offset}", column.len());
        }
    }
}

#[test]
fn strings_that_are_no_text_are_refused() {
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&b"fine"[..], b"\xff\xfe"]));
    let arrays = export::arrays(std::slice::from_ref(&bytes)).expect("a type of the ABI");
    // SAFETY: one column, read once.
    let mut column = Returned(unsafe { arrays.columns.read() });
    let format = std::mem::replace(&mut column.0.schema.format, c"u".as_ptr());
    // SAFETY: strings have the same buffers as bytes.
    let error = unsafe { column.copy(&arrow::datatypes::DataType::Utf8, 2) }.unwrap_err();
    assert!(error.starts_with("returned an invalid column: "), "{error}");
    column.0.schema.format = format;
    // SAFETY: from `malloc`.
    unsafe { free(arrays.columns.cast()) };
}

#[test]
fn what_does_not_cross_is_not_exported() {
    let list: ArrayRef = Arc::new(arrow::array::NullArray::new(3));
    assert!(export::arrays(&[list]).is_none() && export::arrays(&[]).is_none());
}
