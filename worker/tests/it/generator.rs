//! `netflow_generator`: the same rows every time, in a believable mix.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, Schema, SchemaRef, TimestampNanosecondType};
use davy_engine::connector::{Share, Table};
use davy_engine::format::Format;
use davy_engine::format::csv::CsvOptions;
use davy_engine::log::{Fetched, Position};

use crate::harness::{WHOLE, batch, check_resume, create, read, read_on, rows, schema, text};

fn table(options: &[(&str, &str)]) -> Arc<dyn Table> {
    create("netflow_generator", options).table().expect("a table")
}

fn every_column(table: &dyn Table) -> SchemaRef {
    Arc::new(Schema::new(table.default_columns()))
}

fn all(options: &[(&str, &str)]) -> RecordBatch {
    let table = table(options);
    rows(&read(table.as_ref(), &every_column(table.as_ref()), WHOLE).expect("read"))
}

fn ints(batch: &RecordBatch, name: &str) -> Vec<i64> {
    batch[name].as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn the_seed_and_nothing_else_decides() {
    let one = all(&[("rows", "20000")]);
    assert_eq!(one, all(&[("rows", "20000"), ("seed", "1")]));
    assert_ne!(one, all(&[("rows", "20000"), ("seed", "2")]));
    assert_eq!(one.slice(0, 9000), all(&[("rows", "9000")]), "more rows do not change the first");
}

#[test]
fn reading_resumes_at_any_row() {
    let options = [("rows", "30000"), ("splits", "3"), ("out_of_order", "2.5"), ("miners", "0.5")];
    let table = table(&options);
    let columns = every_column(table.as_ref());
    check_resume(table.as_ref(), &columns);
    let mut source = table.source(&columns, WHOLE).expect("a source");
    let split = source.splits().expect("three")[1].clone();
    source.assign(&split, Position(0)).expect("its split");
    let whole = rows(&read_on(source.as_mut()).expect("read"));
    source.assign(&split, Position(8191)).expect("its split");
    assert_eq!(rows(&read_on(source.as_mut()).expect("read")), whole.slice(8191, 10_000 - 8191));
}

#[test]
fn splits_share_the_rows_and_the_miners() {
    let table = table(&[("rows", "60000"), ("splits", "4"), ("rate", "100"), ("miners", "0.2")]);
    let columns = every_column(table.as_ref());
    let pieces: Vec<Fetched> =
        (0..2).flat_map(|index| read(table.as_ref(), &columns, Share { index, count: 2 }).expect("read")).collect();
    let mut splits_of: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut n_rows = 0;
    for piece in &pieces {
        let batch = batch(piece);
        n_rows += batch.num_rows();
        for row in miners(batch) {
            let host = host(batch, row);
            let splits = splits_of.entry(host).or_default();
            splits.push(piece.split.to_string());
            splits.dedup();
        }
    }
    assert_eq!((n_rows, splits_of.len()), (60_000, 200));
    assert!(splits_of.values().all(|splits| splits.len() == 1), "a miner's records come in one split");
}

fn miners(batch: &RecordBatch) -> Vec<usize> {
    let labels = batch["label"].as_string::<i32>();
    (0..batch.num_rows()).filter(|&row| labels.value(row) == "miner").collect()
}

/// The private address of the two.
fn host(batch: &RecordBatch, row: usize) -> String {
    let (sa, da) = (batch["sa"].as_string::<i32>().value(row), batch["da"].as_string::<i32>().value(row));
    if sa.starts_with("10.") { sa.to_owned() } else { da.to_owned() }
}

#[test]
fn the_mix_is_a_networks() {
    let batch = all(&[("rows", "200000")]);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for label in batch["label"].as_string::<i32>().iter().flatten() {
        *counts.entry(label.to_owned()).or_default() += 1;
    }
    let bounds = [
        ("bulk", 0.008, 0.012),
        ("dns", 0.32, 0.34),
        ("iot", 0.095, 0.105),
        ("miner", 0.00002, 0.00006),
        ("ntp", 0.038, 0.042),
        ("scan", 0.066, 0.074),
        ("ssh", 0.018, 0.022),
        ("web", 0.42, 0.44),
    ];
    assert_eq!(counts.len(), bounds.len(), "{counts:?}");
    for (label, least, most) in bounds {
        let share = counts[label] as f64 / batch.num_rows() as f64;
        assert!((least..=most).contains(&share), "{label}: {share}");
    }
}

#[test]
fn miners_look_like_miners() {
    // Four hours of ten hosts that all mine, among little else.
    let batch = all(&[("rows", "144000"), ("rate", "10"), ("hosts", "10"), ("miners", "1")]);
    let (flags, td) = (batch["flg"].as_string::<i32>(), batch["td"].as_primitive::<Float64Type>());
    let te = batch["te"].as_primitive::<TimestampNanosecondType>();
    let (ipkt, opkt) = (ints(&batch, "ipkt"), ints(&batch, "opkt"));
    let (ibyt, obyt) = (ints(&batch, "ibyt"), ints(&batch, "obyt"));
    let mut ends: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut n_plain = 0;
    for row in miners(&batch) {
        let (packets, bytes) = ((ipkt[row] + opkt[row]) as f64, (ibyt[row] + obyt[row]) as f64);
        let per_minute = packets / (td.value(row) / 60.0);
        assert!((280.0..=300.0).contains(&td.value(row)), "{} s", td.value(row));
        assert!((8.0..=30.0).contains(&per_minute), "{per_minute} packets a minute");
        assert!((50.0..=130.0).contains(&(bytes / packets)), "{} bytes a packet", bytes / packets);
        n_plain += usize::from(["...A....", "...AP..."].contains(&flags.value(row)));
        ends.entry(host(&batch, row)).or_default().push(te.value(row));
    }
    let n_records: usize = ends.values().map(Vec::len).sum();
    assert_eq!((ends.len(), n_records), (10, 480), "ten hosts, every 300 s for four hours");
    assert!(n_plain as f64 / n_records as f64 > 0.8, "{n_plain} of {n_records} are A or AP only");
    for gaps in ends.values().map(|ends| ends.windows(2).map(|pair| pair[1] - pair[0])) {
        gaps.for_each(|gap| assert!((298_000_000_000..=302_000_000_000).contains(&gap), "{gap} ns"));
    }
}

#[test]
fn event_time_grows_with_the_position_and_jitters_as_configured() {
    let in_order = all(&[("rows", "20000"), ("rate", "100")]);
    let te = in_order["te"].as_primitive::<TimestampNanosecondType>().values();
    assert!(te.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(te[100] - te[0], 1_000_000_000);
    let jittered = all(&[("rows", "20000"), ("rate", "100"), ("out_of_order", "3")]);
    let late = te.iter().zip(jittered["te"].as_primitive::<TimestampNanosecondType>().values());
    let late: Vec<i64> = late.map(|(planned, actual)| planned - actual).collect();
    assert!(late.iter().all(|late| (0..3_000_000_000).contains(late)));
    assert!(late.iter().max() > Some(&2_900_000_000));
}

#[test]
fn more_miners_than_rows_leave_room_for_others() {
    let batch = all(&[("rows", "16384"), ("rate", "1"), ("hosts", "5000"), ("miners", "1")]);
    assert_eq!(miners(&batch).len(), 8192);
}

#[test]
fn requested_columns_come_in_the_requested_types() {
    let table = table(&[("rows", "100")]);
    let requested = schema(&[("label", DataType::Utf8), ("dp", DataType::Int64)]);
    let batch = rows(&read(table.as_ref(), &requested, WHOLE).expect("read"));
    assert_eq!((batch.schema(), batch.num_rows()), (requested, 100));
    assert_eq!(rows(&read(table.as_ref(), &schema(&[]), WHOLE).expect("read")).num_rows(), 100);
}

#[test]
fn text_says_the_same_as_batches_in_71_columns() {
    let options = [("rows", "9000"), ("miners", "0.5"), ("rate", "50")];
    let as_text =
        create("netflow_generator", &options).format(Format::Csv(CsvOptions::default())).table().expect("a table");
    assert!(as_text.reads_bytes());
    assert_eq!(as_text.default_columns().len(), 71);
    check_resume(as_text.as_ref(), &schema(&[]));
    let lines = text(&read(as_text.as_ref(), &schema(&[]), WHOLE).expect("read"));
    let batch = all(&options);
    assert_eq!(lines.lines().count(), batch.num_rows());
    for (row, line) in lines.lines().enumerate() {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields.len(), 71, "{line}");
        let of =
            |name: &str| fields[as_text.default_columns().iter().position(|field| field.name() == name).expect(name)];
        for name in ["ipkt", "ibyt", "opkt", "obyt"] {
            assert_eq!(of(name), ints(&batch, name)[row].to_string(), "{line}");
        }
        assert_eq!(of("dp"), batch["dp"].as_primitive::<Int32Type>().value(row).to_string());
        assert_eq!(of("flg"), batch["flg"].as_string::<i32>().value(row));
        assert_eq!(of("td"), format!("{:.3}", batch["td"].as_primitive::<Float64Type>().value(row)));
        aggregates_agree(&fields, &batch, row);
    }
}

fn aggregates_agree(fields: &[&str], batch: &RecordBatch, row: usize) {
    let count = |name: &str| batch[name].as_primitive::<Int64Type>().value(row) as f64;
    let td = batch["td"].as_primitive::<Float64Type>().value(row);
    let (ipkt, ibyt, opkt, obyt) = (count("ipkt"), count("ibyt"), count("opkt"), count("obyt"));
    let ratios =
        [(ipkt, td), (opkt, td), (ibyt, td), (obyt, td), (ibyt, ipkt), (obyt, opkt), (ibyt, obyt), (ipkt, opkt)];
    for (field, (dividend, divisor)) in fields[49..57].iter().zip(ratios) {
        let expected = if divisor == 0.0 { 0.0 } else { (dividend / divisor) as f32 };
        assert_eq!(field.parse::<f32>().expect("a number"), expected);
    }
}
