//! Called as Arroyo's own host does: its crate's types pass the arrays and take the result, with nothing checked.

use arroyo_udf_plugin::arrow::array::{Array, ArrayData, Float64Array, Int64Array};
use arroyo_udf_plugin::arrow::ffi::from_ffi;
use arroyo_udf_plugin::{FfiArraySchema, FfiArrays, RunResult};
use libloading::Library;

use crate::{built, package};

type Run = unsafe extern "C-unwind" fn(FfiArrays) -> RunResult;

/// `None` where Arroyo would end its task.
fn call(library: &str, arguments: Vec<ArrayData>) -> Option<Float64Array> {
    // SAFETY: a library of this repository; the symbol has this type in every plug-in.
    let result = unsafe {
        let library = Library::new(built(library)).unwrap();
        let run: Run = *library.get(b"__run\0").unwrap();
        // Never unloaded: its arrays may outlive this call.
        std::mem::forget(library);
        run(FfiArrays::from_vec(arguments))
    };
    let RunResult::Ok(FfiArraySchema(array, schema)) = result else { return None };
    // SAFETY: as Arroyo does, what the plug-in returned is believed.
    Some(Float64Array::from(unsafe { from_ffi(array, &schema) }.unwrap()))
}

#[test]
fn arroyo_calls_a_row_by_row_plug_in() {
    let bytes = Int64Array::from(vec![Some(1500), Some(90), None]);
    let packets = Int64Array::from(vec![10, 0, 1]);
    let result = call("libdavy_rowwise.so", vec![bytes.to_data(), packets.to_data()]);
    assert_eq!(result, Some(Float64Array::from(vec![Some(150.0), None, None])));
}

#[test]
fn arroyo_scores_golden_rows_with_the_forest() {
    let card = package().card;
    let column =
        |feature: usize| -> Float64Array { card.golden.iter().map(|row| Some(row.features[feature])).collect() };
    let arguments = (0..card.features.len()).map(|feature| column(feature).to_data()).collect();
    let scores = call("libdavy_forest.so", arguments).unwrap();
    assert_eq!((scores.len(), scores.null_count()), (card.golden.len(), 0));
    for (score, golden) in scores.values().iter().zip(&card.golden) {
        assert!((score - golden.score).abs() <= card.tolerance, "{score} instead of {}", golden.score);
    }
}

#[test]
fn arroyo_sees_a_failure_as_err_alone() {
    let no_float = Int64Array::from(vec![1]).to_data();
    assert_eq!(call("libdavy_forest.so", vec![no_float]), None);
}
