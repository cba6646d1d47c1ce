//! Any bytes, in pieces, through the JSON decoder: rows, bad records and skipped lines add up, and nothing panics.
#![no_main]

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let list = DataType::List(Arc::new(Field::new("item", DataType::Int32, false)));
    let inner = [Field::new("n", list.clone(), true), Field::new("s", DataType::Utf8, false)];
    let columns = [
        ("a", DataType::Int64, true),
        ("b", DataType::Utf8, true),
        ("c", DataType::Float64, true),
        ("d", DataType::Timestamp(TimeUnit::Nanosecond, None), true),
        ("e", list, true),
        ("f", DataType::Struct(inner.into_iter().collect()), true),
        ("g", DataType::Binary, true),
        ("h", DataType::Float32, true),
        ("value", DataType::Utf8, true),
    ];
    davy_fuzz::check(davy_fuzz::decoder("json", &[], &columns), data);
});
