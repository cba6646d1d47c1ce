//! Decodes the detection system's 71-column record, beside arrow-csv with the same columns projected and typed.
//!
//! `features`: duration, counters and the eight aggregates (13 columns); `flow`: what a query over flows uses (12 columns).

use std::hint::black_box;
use std::sync::Arc;

use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use davy_engine::format::{DecodeField, DecodeSpec, FieldFrom, Format};
use davy_engine::options::Options;

const ROWS: usize = 8192;
const COLUMNS: usize = 71;

/// A used column: its name, its type, its index in the record.
type Used = (&'static str, DataType, usize);

fn features() -> Vec<Used> {
    let counters = ["ipkt", "ibyt", "opkt", "obyt"];
    let aggregates = ["pktips", "pktops", "bytips", "bytops", "bytippkt", "bytoppkt", "bytipo", "pktipo"];
    let mut used = vec![("td", DataType::Float64, 2)];
    used.extend(counters.into_iter().zip(11..).map(|(name, index)| (name, DataType::UInt64, index)));
    used.extend(aggregates.into_iter().zip(49..).map(|(name, index)| (name, DataType::Float64, index)));
    used
}

fn flow() -> Vec<Used> {
    vec![
        ("te", DataType::Timestamp(TimeUnit::Millisecond, None), 1),
        ("td", DataType::Float64, 2),
        ("sa", DataType::Utf8, 3),
        ("da", DataType::Utf8, 4),
        ("sp", DataType::UInt16, 5),
        ("dp", DataType::UInt16, 6),
        ("pr", DataType::Utf8, 7),
        ("flg", DataType::Utf8, 8),
        ("ipkt", DataType::UInt64, 11),
        ("ibyt", DataType::UInt64, 12),
        ("opkt", DataType::UInt64, 13),
        ("obyt", DataType::UInt64, 14),
    ]
}

/// Rows with the shapes of real ones: about 450 bytes, numbers of every length.
fn record_rows() -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % bound
    };
    let mut out = String::new();
    for row in 0..ROWS as u64 {
        let millis = if random(4) == 0 { 0 } else { random(300_000) };
        let (packets_in, packets_out) = (1 + random(40), random(30));
        let (bytes_in, bytes_out) = (packets_in * (40 + random(1400)), packets_out * (40 + random(1400)));
        let seconds = millis as f64 / 1000.0;
        let per = |number: u64, divisor: f64| if divisor == 0.0 { 0.0 } else { (number as f64 / divisor) as f32 };
        let clock = format!("2023-08-31 06:{:02}:{:02}", row / 60 % 60, row % 60);
        out += &format!("{clock},{clock},{seconds:.3},10.108.{}.{},172.16.{}.2,", random(256), random(256), random(99));
        out += &format!("{},{},TCP,...AP.S.,0,0,", random(65_536), random(65_536));
        out += &format!("{packets_in},{bytes_in},{packets_out},{bytes_out},0,0,0,0,0,0,0,0,0.0.0.0,0.0.0.0,0,0,");
        out += &"00:00:00:00:00:00,".repeat(4);
        out += &"0-0-0,".repeat(10);
        out += &format!("    0.000,    0.000,    0.000,127.0.0.1,0/0,1,{clock}.505,$,");
        out += &format!("{:?},{:?},", per(packets_in, seconds), per(packets_out, seconds));
        out += &format!("{:?},{:?},", per(bytes_in, seconds), per(bytes_out, seconds));
        out += &format!("{:?},{:?},", per(bytes_in, packets_in as f64), per(bytes_out, packets_out as f64));
        out += &format!("{:?},{:?},", per(bytes_in, bytes_out as f64), per(packets_in, packets_out as f64));
        out += &format!("{},{}.0,0,1,0,0,0,0,1,1,0,0,1,0\n", packets_in + packets_out, bytes_in + bytes_out);
    }
    out.into_bytes()
}

fn davy(used: &[Used]) -> Box<dyn davy_engine::format::Decoder> {
    let mut options = Options::new("flows");
    options.set("csv.columns", "nfdump", None);
    let field = |(index, (name, data_type, _)): (usize, &Used)| DecodeField {
        name: (*name).to_owned(),
        data_type: data_type.clone(),
        nullable: true,
        from: FieldFrom::Column(index),
    };
    let spec = DecodeSpec {
        declared: used.iter().map(|(name, ..)| (*name).to_owned()).collect(),
        fields: used.iter().enumerate().map(field).collect(),
    };
    Format::from_options("csv", &mut options).expect("options").decoder(spec).expect("a decoder")
}

fn arrow_schema(used: &[Used]) -> SchemaRef {
    let mut fields: Vec<Field> =
        (0..COLUMNS).map(|index| Field::new(format!("c{index}"), DataType::Utf8, true)).collect();
    for (name, data_type, index) in used {
        fields[*index] = Field::new(*name, data_type.clone(), true);
    }
    Arc::new(Schema::new(fields))
}

fn csv_decode(c: &mut Criterion) {
    let data = record_rows();
    for (name, used) in [("features", features()), ("flow", flow())] {
        let mut group = c.benchmark_group(format!("csv_decode/{name}"));
        group.throughput(Throughput::Bytes(data.len() as u64));
        let mut decoder = davy(&used);
        group.bench_function("davy", |bench| {
            bench.iter(|| {
                let mut bad = Vec::new();
                decoder.push(black_box(&data), &mut bad).expect("the split fits the table");
                assert_eq!((decoder.rows(), bad.len()), (ROWS, 0));
                decoder.finish().expect("a batch")
            });
        });
        let schema = arrow_schema(&used);
        let indices: Vec<usize> = used.iter().map(|(_, _, index)| *index).collect();
        let builder = ReaderBuilder::new(schema).with_projection(indices).with_batch_size(ROWS);
        let mut decoder = builder.build_decoder();
        group.bench_function("arrow-csv", |bench| {
            bench.iter(|| {
                assert_eq!(decoder.decode(black_box(&data)).expect("good rows"), data.len());
                let batch = decoder.flush().expect("good rows").expect("a batch");
                assert_eq!(batch.num_rows(), ROWS);
                batch
            });
        });
        group.finish();
    }
}

criterion_group!(benches, csv_decode);
criterion_main!(benches);
