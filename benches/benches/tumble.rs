//! A tumbling window of five aggregates by (sa, da, dp) with 100,000 groups, beside batch DataFusion's GROUP BY on the same
//! batches. Both in one thread. Estimate: DataFusion hashes each row once; Davy hashes each row once into partials and each
//! group once more when partials merge, so about 0.9 of DataFusion where a window has 20 rows a group.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use davy_benches::{flows, plan, run_here, script};

const ROWS: usize = 2_000_000;
const GROUPS: u64 = 100_000;
const AGGREGATES: &str =
    "count(*) AS n, sum(packets) AS packets, sum(bytes) AS bytes, min(bytes) AS least, max(bytes) AS most";

fn tumble(criterion: &mut Criterion) {
    let batches = flows(ROWS, GROUPS, 1_000);
    let mut group = criterion.benchmark_group("tumble_100k_groups");
    group.throughput(Throughput::Elements(ROWS as u64)).sample_size(10);

    let query =
        format!("SELECT sa, da, dp, tumble(INTERVAL '1 hour') AS w, {AGGREGATES} FROM flows GROUP BY sa, da, dp, w");
    let text = script(&query);
    group.bench_function("davy", |bencher| {
        bencher.iter(|| {
            let pipeline = plan(&batches, &text).expect("the script is fine");
            black_box(run_here(pipeline, 1_000_000).expect("it runs"))
        });
    });

    let config = SessionConfig::new().with_target_partitions(1).with_batch_size(16_384);
    let context = SessionContext::new_with_config(config);
    let schema = batches.0[0].schema();
    let table = MemTable::try_new(schema, vec![batches.0.to_vec()]).expect("batches of one schema");
    context.register_table("flows", Arc::new(table)).expect("a new name");
    let query = format!(
        "SELECT sa, da, dp, date_bin(INTERVAL '1 hour', te) AS w, {AGGREGATES} FROM flows GROUP BY sa, da, dp, date_bin(INTERVAL '1 hour', te)"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    group.bench_function("datafusion", |bencher| {
        bencher.iter(|| {
            let rows = runtime.block_on(async { context.sql(&query).await?.collect().await });
            black_box(rows.expect("it runs"))
        });
    });
    group.finish();
}

criterion_group!(benches, tumble);
criterion_main!(benches);
