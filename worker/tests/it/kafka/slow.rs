//! A slow way to the broker: a commit that would take longer than a transaction may be open is made smaller.

use std::collections::BTreeSet;

use davy_testkit::proxy::Proxy;

use super::broker::servers;
use super::pipeline::{notices, start, table_on};
use super::topics::{all, put, texts, topic, unique, value};

/// Keys of the window: its result takes twice as long as a transaction may be open.
const N_KEYS: usize = 10_000;

#[test]
fn a_large_window_is_committed_over_a_slow_connection() {
    let proxy = Proxy::of_kafka(servers());
    let (name, from, to) = (unique("slow"), topic("from", 1), topic("to", 1));
    let slow = "'kafka.transaction.timeout.ms' = '3000', compression = 'none'";
    let script = "SET exchange_partitions = 2;\n".to_owned()
        + &table_on(&proxy.address(), "a", "ts TIMESTAMP, k TEXT, WATERMARK FOR ts AS ts", &from, "format = 'csv'")
            .replace("connector", "'kafka.transaction.timeout.ms' = '3000', connector")
        + &table_on(&proxy.address(), "b", "k TEXT, n BIGINT, padding TEXT", &to, &format!("format = 'csv', {slow}"))
        + "INSERT INTO b SELECT k, n, repeat('x', 180) AS padding FROM (
               SELECT tumble(INTERVAL '10 seconds') AS w, k, count(*) AS n FROM a GROUP BY 1, 2);";
    let mut run = start(&name, &script);
    let lines: Vec<String> = (0..N_KEYS).map(|key| format!("1,{key}")).collect();
    let messages: Vec<String> = lines.chunks(1_000).map(|lines| lines.join("\n")).collect();
    put(&from, &messages.iter().map(|message| value(0, message)).collect::<Vec<_>>());
    proxy.slow_down(300_000);
    put(&from, &[value(0, "20,end")]);
    for n in [1, N_KEYS / 8, N_KEYS / 4, N_KEYS / 2, 3 * N_KEYS / 4, N_KEYS] {
        let metrics = run.metrics.clone();
        run.until(&format!("{n} rows"), || n as u64 <= metrics.sink_rows.get());
    }
    run.stop();
    let rows = texts(&all(&to));
    let keys: BTreeSet<&str> = rows.iter().filter_map(|row| row.split(',').next()).collect();
    assert_eq!((rows.len(), keys.len()), (N_KEYS, N_KEYS), "{:#?}", notices(&name));
}
