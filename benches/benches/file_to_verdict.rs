//! From a CSV file to verdicts: the shipped rule for miners over 71-column records on disk, beside batch DataFusion over
//! arrow-csv. Counted in flows per CPU second of the whole process, so both cores count and an idle one does not.
//!
//! Not criterion: what is measured is CPU time of all threads, which its clock does not see. Medians of `RUNS` runs, the two
//! systems in turn.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench measures time and prints what it measured"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use davy_benches::cpu_seconds;
use davy_engine::metrics::Metrics;
use davy_engine::sql::{PlanRequest, plan};
use davy_worker::connector::LocalConnectors;
use davy_worker::host::{HostOptions, run};

const ROWS: u64 = 2_000_000;
const RUNS: usize = 5;

fn main() {
    let path = std::env::temp_dir().join(format!("davy-bench-{ROWS}.csv"));
    if !path.exists() {
        generate(&path);
    }
    let bytes = std::fs::metadata(&path).expect("the file was just made").len();
    println!("{ROWS} flows, {:.0} bytes each", bytes as f64 / ROWS as f64);
    let mut davy = Vec::new();
    let mut peer = Vec::new();
    for _ in 0..RUNS {
        davy.push(measure("davy", || davy_run(&path)));
        peer.push(measure("datafusion + arrow-csv", || peer_run(&path)));
    }
    let (davy, peer) = (median(davy), median(peer));
    println!(
        "file_to_verdict: davy {davy:.2} M flows/s/core, datafusion + arrow-csv {peer:.2} M flows/s/core, ratio {:.1}",
        davy / peer
    );
}

fn measure(name: &str, work: impl FnOnce()) -> f64 {
    let cpu = cpu_seconds().expect("CPU time comes from /proc");
    let begun = Instant::now();
    work();
    let cpu = cpu_seconds().expect("as above") - cpu;
    let rate = ROWS as f64 / cpu / 1e6;
    println!("{name}: {:.2} s wall, {cpu:.2} s CPU, {rate:.2} M flows/s/core", begun.elapsed().as_secs_f64());
    rate
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn start(text: &str, settings: &BTreeMap<String, String>, options: HostOptions) {
    let pipeline =
        plan(&PlanRequest { text, connectors: &LocalConnectors::default(), settings }).expect("the script is fine");
    let stop = Arc::new(AtomicBool::new(false));
    let discard = |_: &_| -> davy_engine::Result<Box<dyn davy_engine::log::Sink>> { Ok(Box::new(Discard)) };
    run(pipeline, discard, options, Arc::new(Metrics::default()), stop).expect("it runs");
}

fn generate(path: &Path) {
    let script = format!(
        "CREATE TABLE made (line TEXT) WITH (connector = 'netflow_generator', rows = '{ROWS}', hosts = '20000', rate = '2000', format = 'csv', 'csv.columns' = 'position', 'csv.delimiter' = '|');
         CREATE TABLE file (line TEXT) WITH (connector = 'single_file', path = '{}', type = 'sink', format = 'raw_string');
         INSERT INTO file SELECT line FROM made",
        path.display()
    );
    start(&script, &BTreeMap::new(), HostOptions::default());
}

struct Discard;

impl davy_engine::log::Sink for Discard {
    fn write(&mut self, _: &RecordBatch) -> davy_engine::Result<()> {
        Ok(())
    }

    fn commit(&mut self) -> davy_engine::Result<()> {
        Ok(())
    }

    fn abort(&mut self) -> davy_engine::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> davy_engine::Result<()> {
        Ok(())
    }
}

fn davy_run(path: &Path) {
    let text = include_str!("../../pipelines/miners.sql");
    let settings = BTreeMap::from([("flows.path".to_owned(), path.display().to_string())]);
    start(text, &settings, HostOptions::default());
}

/// The same query for a batch: the script's views, with `date_bin` for the window.
fn peer_run(path: &Path) {
    let ms = DataType::Timestamp(TimeUnit::Millisecond, None);
    let used = [
        (0, "ts", ms.clone()),
        (1, "te", ms),
        (3, "sa", DataType::Utf8),
        (4, "da", DataType::Utf8),
        (5, "sp", DataType::Int32),
        (6, "dp", DataType::Int32),
        (7, "pr", DataType::Utf8),
        (8, "flg", DataType::Utf8),
        (11, "ipkt", DataType::Int64),
        (12, "ibyt", DataType::Int64),
        (13, "opkt", DataType::Int64),
        (14, "obyt", DataType::Int64),
    ];
    let mut fields: Vec<Field> = (0..71).map(|index| Field::new(format!("c{index}"), DataType::Utf8, true)).collect();
    for (index, name, data_type) in &used {
        fields[*index] = Field::new(*name, data_type.clone(), true);
    }
    let file = BufReader::with_capacity(4 << 20, File::open(path).expect("the file is there"));
    let reader = arrow::csv::ReaderBuilder::new(Arc::new(Schema::new(fields)))
        .with_projection(used.iter().map(|(index, _, _)| *index).collect())
        .with_batch_size(16_384)
        .build_buffered(file)
        .expect("a reader");
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.expect("good rows")).collect();
    let context =
        SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1).with_batch_size(16_384));
    let table = MemTable::try_new(batches[0].schema(), vec![batches]).expect("one schema");
    context.register_table("flows", Arc::new(table)).expect("a new name");
    let text = include_str!("../../pipelines/miners.sql")
        .replace("tumble(INTERVAL '15 minutes')", "date_bin(INTERVAL '15 minutes', te)");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut views = text.split(';').filter(|statement| statement.contains("CREATE VIEW"));
        for view in views.by_ref() {
            context.sql(view).await.expect("a view");
        }
        let rows = context.sql("SELECT * FROM scored WHERE score >= 7").await.expect("a query").collect().await;
        rows.expect("it runs");
    });
}
