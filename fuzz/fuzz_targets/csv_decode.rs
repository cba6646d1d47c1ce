//! Any bytes, in pieces, through the CSV decoder: rows, bad records and skipped lines add up, and nothing panics.
#![no_main]

use arrow::datatypes::{DataType, TimeUnit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let timestamp = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let plain = [
        ("a", DataType::Int64, true),
        ("b", DataType::Utf8, false),
        ("c", DataType::Float64, true),
        ("d", timestamp.clone(), false),
        ("e", DataType::Boolean, true),
        ("f", DataType::Float32, true),
        ("g", DataType::Date32, true),
        ("h", DataType::UInt8, true),
    ];
    let record = [
        ("te", timestamp, true),
        ("td", DataType::Float64, true),
        ("sp", DataType::UInt16, true),
        ("flg", DataType::Utf8, true),
        ("ibyt", DataType::UInt64, true),
        ("pktips", DataType::Float64, true),
        ("flgu", DataType::Utf8, true),
        ("value", DataType::Utf8, true),
    ];
    let take = 1 + usize::from(choice >> 4) % plain.len();
    let decoder = match choice % 5 {
        0 => davy_fuzz::decoder("csv", &[], &plain[..take]),
        1 => davy_fuzz::decoder("csv", &[("csv.columns", "header")], &plain[..take]),
        2 => davy_fuzz::decoder("csv", &[("csv.delimiter", " "), ("csv.null", "-")], &plain[..take]),
        3 => davy_fuzz::decoder("csv", &[("csv.columns", "h,g,f,e,d,c,b,a"), ("csv.max_record_bytes", "80")], &plain[..take]),
        _ => davy_fuzz::decoder("csv", &[("csv.columns", "nfdump")], &record),
    };
    davy_fuzz::check(decoder, data);
});
