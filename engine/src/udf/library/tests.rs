//! Real plug-ins, loaded and called. `make plugins` builds them, and `make test` does that first.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, StringArray, StringViewArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Float64Type};

use davy_forest::package::Package;
use davy_forest::scorer::{Options, Scorer};

use super::{AbiInfo, CallError, Library, Limits};

/// The plug-in beside the test's own executable: both are built into the same folder.
fn plugin(name: &str) -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    let path = executable.parent().unwrap().parent().unwrap().join(format!("lib{name}.so"));
    let remedy =
        "run `make test`, or `cargo build --manifest-path udfs/plugin/Cargo.toml` with the same CARGO_TARGET_DIR";
    assert!(path.exists(), "{} is not there; {remedy}", path.display());
    path
}

fn open(name: &str) -> Arc<Library> {
    Library::open(&plugin(name), "g").unwrap()
}

fn faulty() -> Arc<Library> {
    open("davy_faulty")
}

fn floats<const N: usize>(values: [Option<f64>; N]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

/// Calls the faulty plug-in with three rows, of which the middle one is null.
fn fault(library: &Library, number: f64) -> Result<Vec<Option<f64>>, CallError> {
    let arguments = [floats([Some(number); 3]), floats([Some(1.0), None, Some(3.0)])];
    let result = library.call(&arguments, 3, &DataType::Float64)?;
    Ok(result.as_primitive::<Float64Type>().iter().collect())
}

const GOOD: [Option<f64>; 3] = [Some(1.0), None, Some(3.0)];

#[test]
fn a_row_by_row_plug_in_gives_a_row_for_each_row() {
    let arguments: [ArrayRef; 2] = [
        Arc::new(Int64Array::from(vec![Some(1500), Some(90), None, Some(40)])),
        Arc::new(Int64Array::from(vec![Some(10), Some(0), Some(1), Some(1)])),
    ];
    let library = open("davy_rowwise");
    let result = library.call(&arguments, 4, &DataType::Float64).unwrap();
    assert_eq!(result.as_ref(), &Float64Array::from(vec![Some(150.0), None, None, Some(40.0)]));
    assert_eq!(library.abi_info(), None);

    let sliced = [arguments[0].slice(1, 3), arguments[1].slice(1, 3)];
    let result = library.call(&sliced, 3, &DataType::Float64).unwrap();
    assert_eq!(result.as_ref(), &Float64Array::from(vec![None, None, Some(40.0)]));
}

#[test]
fn a_forest_in_a_plug_in_scores_as_the_forest_does() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../udfs/forest/tests/it/packages/forest_shallow/card.toml");
    let package = Package::open(folder.as_ref()).unwrap();
    let (card, n_rows) = (&package.card, package.card.golden.len());
    let library = open("davy_forest");
    let info = library.abi_info().unwrap();
    let model = info.model.as_ref().unwrap();
    assert_eq!(model.sha256, card.sha256, "the plug-in was built with another model; run `make plugins`");
    info.check("g", &vec![DataType::Float64; card.features.len()], &DataType::Float64).unwrap();

    let column = |feature: usize| card.golden.iter().map(move |golden| golden.features[feature]);
    let columns: Vec<Vec<f32>> =
        (0..card.features.len()).map(|k| column(k).map(|value| value as f32).collect()).collect();
    let slices: Vec<&[f32]> = columns.iter().map(Vec::as_slice).collect();
    let mut scores = vec![0.0; n_rows];
    Scorer::new(&package, &Options::default()).unwrap().score(&slices, &mut scores).unwrap();

    let arguments: Vec<ArrayRef> =
        (0..card.features.len()).map(|k| Arc::new(column(k).collect::<Float64Array>()) as ArrayRef).collect();
    let result = library.call(&arguments, n_rows, &DataType::Float64).unwrap();
    assert_eq!(result.as_ref(), &Float64Array::from(scores), "bit for bit");

    let error = library.call(&arguments[1..], n_rows, &DataType::Float64).unwrap_err();
    let expected =
        format!("function `g`: `forest_shallow` takes {} arguments, not {}", columns.len(), columns.len() - 1);
    assert_eq!(error, CallError::Failed(expected));
}

#[test]
fn strings_cross_whatever_their_layout_is() {
    let hosts =
        vec![Some("pool.minexmr.com"), None, Some("localhost"), Some("a-name-longer-than-a-view-holds.example.org")];
    let wanted = vec![Some("minexmr.com"), None, None, Some("example.org")];
    let views: ArrayRef = Arc::new(StringViewArray::from(hosts.clone()));
    let strings: ArrayRef = Arc::new(StringArray::from(hosts));
    let dictionary = arrow::compute::cast(&strings, &"Dictionary(Int32, Utf8)".parse().unwrap()).unwrap();
    let library = open("davy_text");
    for hosts in [views, strings, dictionary] {
        let result = library.call(std::slice::from_ref(&hosts), 4, &DataType::Utf8).unwrap();
        assert_eq!(result.as_string::<i32>().iter().collect::<Vec<_>>(), wanted);
        let result = library.call(&[hosts.slice(3, 1)], 1, &DataType::Utf8View).unwrap();
        assert_eq!(result.as_string_view().iter().collect::<Vec<_>>(), wanted[3..]);
    }
}

#[test]
fn a_panic_that_the_macro_catches_costs_its_rows() {
    let library = open("davy_text");
    let call = |host: &str| library.call(&[Arc::new(StringArray::from(vec![host]))], 1, &DataType::Utf8);
    let expected = "function `g`: it failed and gives no reason; if it panicked, its message is in the worker's output";
    assert_eq!(call("").unwrap_err(), CallError::Failed(expected.to_owned()));
    assert_eq!(call("a.b").unwrap().as_string::<i32>().value(0), "a.b");
}

#[test]
fn what_is_not_a_column_of_the_declared_shape_costs_its_rows() {
    let cases = [
        (2.0, "its library returned 2 rows for 3"),
        (3.0, "its library returned `Int64` where `Float64` is declared"),
        (4.0, "its library returned `Utf8` where `Float64` is declared"),
        (8.0, "its library returned a column that states 1 nulls but has 2"),
        (9.0, "its library returned a column with offset 0 and -7 nulls"),
        (10.0, "its library returned a column with offset -9223372036854775808 and 1 nulls"),
        (11.0, "its library returned a column of `Float64` that has 1 buffers or other parts"),
        (12.0, "its library returned a column without a buffer that it needs"),
        (13.0, "its library returned -1 rows for 3"),
        (14.0, "its library returned a column that was released already"),
        (15.0, "its library returned a result with tag 77, which is neither success nor failure"),
    ];
    let library = faulty();
    for (number, expected) in cases {
        let nulls = if number == 8.0 { [None, None, Some(3.0)] } else { GOOD };
        let result = library.call(&[floats([Some(number); 3]), floats(nulls)], 3, &DataType::Float64);
        assert_eq!(result.unwrap_err(), CallError::Misbehaved(format!("function `g`: {expected}")), "fault {number}");
    }
    assert_eq!(fault(&library, 0.0).unwrap(), GOOD);
    assert_eq!(library.n_stuck_threads(), 0);
}

#[test]
fn a_column_may_be_unaligned_or_begin_in_the_middle() {
    let library = faulty();
    assert_eq!(fault(&library, 17.0).unwrap(), GOOD);
    let no_nulls = [Some(1.5), Some(-2.0)];
    let result = library.call(&[floats([Some(16.0); 2]), floats(no_nulls)], 2, &DataType::Float64).unwrap();
    assert_eq!(result.as_primitive::<Float64Type>().iter().collect::<Vec<_>>(), no_nulls);
}

#[test]
fn a_reported_failure_is_one_line() {
    let library = faulty();
    let expected = r"function `g`: row 3 has\na port of \u{1b}[31m-1\u{1b}[0m";
    assert_eq!(fault(&library, 6.0).unwrap_err(), CallError::Failed(expected.to_owned()));
    assert!(matches!(fault(&library, 5.0), Err(CallError::Failed(why)) if why.contains("gives no reason")));
    assert_eq!(fault(&library, 0.0).unwrap(), GOOD);
}

#[test]
fn a_panic_that_gets_out_breaks_the_library_and_nothing_else() {
    let (library, other) = (faulty(), faulty());
    let expected = "function `g`: its library let a panic out, its message is in the worker's output; \
                it is not called any more, mend it and start the worker again";
    assert_eq!(fault(&library, 1.0).unwrap_err(), CallError::Broken(expected.to_owned()));
    assert_eq!(fault(&library, 0.0).unwrap_err(), CallError::Broken(expected.to_owned()));
    assert_eq!(library.n_stuck_threads(), 1);
    assert_eq!(fault(&other, 0.0).unwrap(), GOOD);
}

#[test]
fn a_call_that_never_comes_back_is_left_behind() {
    let limits = Limits { call: Duration::from_millis(300), ..Limits::default() };
    let library = Library::open_with(&plugin("davy_faulty"), "g", limits).unwrap();
    let expected = "function `g`: its library did not come back within 300ms; \
                it is not called any more, mend it and start the worker again";
    assert_eq!(fault(&library, 7.0).unwrap_err(), CallError::Broken(expected.to_owned()));
    assert_eq!(fault(&library, 0.0).unwrap_err(), CallError::Broken(expected.to_owned()));
    assert_eq!(library.n_stuck_threads(), 1);
}

#[test]
fn no_rows_are_no_call_and_no_arguments_are_refused() {
    let library = faulty();
    let none: [ArrayRef; 2] = [floats([]), floats([])];
    assert_eq!(library.call(&none, 0, &DataType::Float64).unwrap().len(), 0);
    let refused = |arguments: &[ArrayRef], n_rows, returns: &str| {
        let error = library.call(arguments, n_rows, &returns.parse().unwrap()).unwrap_err();
        assert!(matches!(error, CallError::Refused(_)), "{error:?}");
        error.to_string()
    };
    assert_eq!(
        refused(&[], 1, "Float64"),
        "function `g`: it has no arguments; the ABI cannot say for how many rows to call it"
    );
    assert_eq!(refused(&[floats([None])], 2, "Float64"), "function `g`: an argument has 1 rows, not 2");
    assert_eq!(
        refused(&[floats([None])], 1, "Decimal128(9, 2)"),
        "function `g`: `Decimal128(9, 2)` cannot be passed to or from a library"
    );
}

#[test]
fn tasks_may_call_at_the_same_time() {
    let library = faulty();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    assert_eq!(fault(&library, 0.0).unwrap(), GOOD);
                }
            });
        }
    });
    assert!(library.idle_hands().len() <= 8);
}

#[test]
fn a_file_that_is_no_plug_in_is_refused_with_the_remedy() {
    let check = |path: PathBuf, expected: &str| {
        let error = Library::open(&path, "g").unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("libdavy_text.so".into(), "function `g`: `libdavy_text.so` is not an absolute path; write the whole path");
    check("/nowhere/lib.so".into(), "function `g`: `/nowhere/lib.so` cannot be loaded: ");
    check(std::env::current_exe().unwrap(), "cannot be loaded: ");
    // Every machine that runs this has a C library.
    let libc = PathBuf::from("/lib/x86_64-linux-gnu/libc.so.6");
    if libc.exists() {
        check(libc, "has no symbol `__run`; write it with `arroyo-udf-plugin`, see udfs/README.md");
    }
}

#[test]
fn a_declaration_must_agree_with_what_the_library_says() {
    let json = r#"{"abi": 1, "name": "score", "arguments": [{"name": "bytes", "type": "Float64"}, {"name": "at", "type":
        "Timestamp(Microsecond, None)"}], "returns": "Utf8", "model": {"name": "m", "version": "1", "sha256": "00"}, "batch_rows": 512}"#;
    let info = AbiInfo::parse("g", json).unwrap();
    let time = TimestampMillisecondArray::from(vec![0]).with_timezone("UTC");
    let time = arrow::array::Array::data_type(&time).clone();
    info.check("g", &[DataType::Float64, time.clone()], &DataType::Utf8View).unwrap();
    let expected =
        |arguments: &[DataType], returns: DataType| info.check("g", arguments, &returns).unwrap_err().to_string();
    let hint = "; the library has `score(bytes Float64, at Timestamp(Microsecond, None)) returns Utf8`";
    assert_eq!(
        expected(&[DataType::Float64], DataType::Utf8),
        format!("function `g`: 1 arguments are declared, the library takes 2{hint}")
    );
    assert_eq!(
        expected(&[DataType::Int64, time.clone()], DataType::Utf8),
        format!("function `g`: argument 1 (`bytes`) is declared `Int64`, the library takes `Float64`{hint}")
    );
    assert_eq!(
        expected(&[DataType::Float64, time], DataType::Float64),
        format!("function `g`: RETURNS is declared `Float64`, the library gives `Utf8`{hint}")
    );
    let error = AbiInfo::parse("g", "{}").unwrap_err().to_string();
    assert!(error.contains("missing field `name`") && error.contains("udfs/README.md"), "{error}");
}
