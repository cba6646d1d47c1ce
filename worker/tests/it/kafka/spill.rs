//! Windows that do not fit into a task's memory, over a broker: spilled, stopped and started again; and state that cannot be spilled.

use davy_worker::host::HostOptions;

use super::pipeline::{notices, options, start, start_with, table};
use super::topics::{all, put, texts, topic, unique, value};

const N_KEYS: u32 = 1_000;

/// Puts a row of each key in the same second, a hundred to a message; 3 MB.
fn put_rows(to: &str, second: u32) {
    let keys: Vec<u32> = (0..N_KEYS).collect();
    let lines = |keys: &[u32]| keys.iter().map(|key| format!("{second},key {key},{key:0>3000}\n")).collect::<String>();
    let messages: Vec<String> = keys.chunks(100).map(lines).collect();
    put(to, &messages.iter().map(|message| value(0, message)).collect::<Vec<_>>());
}

/// How many rows each key has per window.
fn script(window: &str, memory: &str, from: &str, to: &str) -> String {
    format!("SET exchange_partitions = 1;\nSET memory = '{memory}';\n")
        + &table("a", "ts TIMESTAMP, k TEXT, v TEXT, WATERMARK FOR ts AS ts", from, "format = 'csv'")
        + &table("b", "k TEXT, n BIGINT", to, "format = 'csv', key = 'k'")
        + &format!(
            "INSERT INTO b SELECT k, array_length(vs) FROM \
             (SELECT k, {window}(INTERVAL '10 seconds') AS w, array_agg(v) AS vs FROM a GROUP BY 1, 2);"
        )
}

/// A topic has one row of each key, with these values.
fn assert_rows(topic: &str, values: &str) {
    let mut expected: Vec<String> = (0..N_KEYS).map(|key| format!("key {key},{values}")).collect();
    let mut found = texts(&all(topic));
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn windows_larger_than_the_memory_have_every_row_over_a_restart() {
    let (name, from, to) = (unique("spill"), topic("from", 1), topic("to", 1));
    let script = "SET exchange_partitions = 2;\nSET memory = '4MiB';\n".to_owned()
        + &table("a", "ts TIMESTAMP, k TEXT, v TEXT, WATERMARK FOR ts AS ts", &from, "format = 'csv'")
        + &table("b", "k TEXT, n BIGINT, longest BIGINT", &to, "format = 'csv', key = 'k'")
        + "INSERT INTO b SELECT k, array_length(vs), length(array_max(vs)) FROM \
           (SELECT k, tumble(INTERVAL '10 seconds') AS w, array_agg(v) AS vs FROM a GROUP BY 1, 2) WHERE k <> 'last';";
    put_rows(&from, 1);
    let mut run = start(&name, &script);
    let metrics = run.metrics.clone();
    run.until("all rows", || u64::from(N_KEYS) <= metrics.source_rows.get());
    run.stop();
    put_rows(&from, 2);
    put(&from, &[value(0, "99,last,")]);
    let mut run = start(&name, &script);
    run.wait_for(&to, N_KEYS as usize);
    let metrics = run.stop();
    assert_rows(&to, "2,3000");
    assert!(0 < metrics.spilled_bytes.get(), "the test has to spill");
    assert_eq!(metrics.spill_files_bytes.get(), 0, "what was spilled is gone with its window");
}

#[test]
fn state_that_cannot_be_spilled_backs_off_and_names_its_holders() {
    let (name, from, to) = (unique("too-much"), topic("from", 1), topic("to", 1));
    put_rows(&from, 1);
    let mut run = start(&name, &script("session", "1MiB", &from, &to));
    let metrics = run.metrics.clone();
    run.until("two attempts", || 2 <= metrics.task_restarts.get());
    run.stop();
    let named = notices(&name);
    assert!(named.iter().any(|line| line.contains("memory is used up") && line.contains("`w1_1`")), "{named:#?}");
    // With enough memory it goes on where it was.
    put(&from, &[value(0, "99,last,")]);
    let mut run = start(&name, &script("session", "1GiB", &from, &to));
    run.wait_for(&to, N_KEYS as usize);
    run.stop();
    assert_rows(&to, "1");
}

#[test]
fn a_folder_that_cannot_be_written_holds_the_task_and_loses_nothing() {
    let (name, from, to) = (unique("no-folder"), topic("from", 1), topic("to", 1));
    put_rows(&from, 1);
    put(&from, &[value(0, "99,last,")]);
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("spill");
    let with_folder = HostOptions { spill_dir: folder.clone(), ..options(&name) };
    let mut run = start_with(with_folder, &script("tumble", "4MiB", &from, &to));
    let metrics = run.metrics.clone();
    run.until("a restart", || 1 <= metrics.task_restarts.get());
    let named = notices(&name);
    assert!(named.iter().any(|line| line.contains(&*folder.to_string_lossy())), "{named:#?}");
    std::fs::create_dir(&folder).expect("a folder");
    run.wait_for(&to, N_KEYS as usize);
    run.stop();
    assert_rows(&to, "1");
}
