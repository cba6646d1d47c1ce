//! `impulse`: numbers, times, shares, throttle.

use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType, UInt64Type};
use davy_engine::connector::Share;
use davy_engine::log::{Polled, Position};

use crate::harness::{WHOLE, batch, check_resume, create, read, rows, schema};

fn columns() -> arrow::datatypes::SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Nanosecond, None);
    schema(&[("timestamp", time), ("counter", DataType::UInt64), ("subtask_index", DataType::UInt64)])
}

fn counters(batch: &RecordBatch) -> Vec<u64> {
    batch.column(1).as_primitive::<UInt64Type>().values().to_vec()
}

#[test]
fn rows_are_numbered_and_timed_from_the_start() {
    let options = [("message_count", "20000"), ("event_time_interval", "2s"), ("start_time", "1970-01-01T00:00:10")];
    let table = create("impulse", &options).table().expect("a table");
    assert!(table.is_bounded() && !table.is_sink() && !table.reads_bytes());
    let all = rows(&read(table.as_ref(), &columns(), WHOLE).expect("read"));
    assert_eq!(counters(&all), (0..20_000).collect::<Vec<_>>());
    let times = all.column(0).as_primitive::<TimestampNanosecondType>();
    assert_eq!((times.value(0), times.value(3)), (10_000_000_000, 16_000_000_000));
    check_resume(table.as_ref(), &columns());
}

#[test]
fn the_count_is_over_all_splits() {
    let table = create("impulse", &[("message_count", "7"), ("splits", "3")]).table().expect("a table");
    let mut n_rows = 0;
    for index in 0..2 {
        n_rows += rows(&read(table.as_ref(), &columns(), Share { index, count: 2 }).expect("read")).num_rows();
    }
    assert_eq!(n_rows, 7);
    let none = create("impulse", &[("message_count", "0")]).table().expect("a table");
    assert_eq!(rows(&read(none.as_ref(), &columns(), WHOLE).expect("read")).num_rows(), 0);
}

#[test]
fn a_poll_gives_what_is_due_and_never_waits_long() {
    let table = create("impulse", &[("event_rate", "1000")]).table().expect("a table");
    assert!(!table.is_bounded());
    let mut source = table.source(&columns(), WHOLE).expect("a source");
    let split = source.splits().expect("one")[0].clone();
    source.assign(&split, Position(0)).expect("its split");
    let (begin, mut n_rows) = (Instant::now(), 0);
    while begin.elapsed() < Duration::from_millis(200) {
        if let Polled::Data(piece) = source.poll().expect("rows or nothing") {
            n_rows += batch(&piece).num_rows();
        }
    }
    let n_rows_max = (begin.elapsed().as_secs_f64() * 1000.0) as usize;
    assert!((1..=n_rows_max).contains(&n_rows), "{n_rows} of at most {n_rows_max}");
}
