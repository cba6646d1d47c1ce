//! End-to-end tests of exactly-once: a real broker, real processes, and faults at every point of a commit.
//!
//! A pipeline with windows, late rows and dead letters runs beside one that filters. While rows come in, processes are killed, frozen,
//! doubled and stopped, and the broker is killed and frozen. In the end the results must be the expected ones, computed without the
//! engine: every input row counts once. No reader may have seen other rows meanwhile.
//!
//! `SEED=…` plays one plan again. `make chaos` plays a long one.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a long run says how it went, a failed one how to play it again"
)]

mod limits;
mod plan;
mod process;
mod rig;
mod stdout;

use plan::{Injection, Plan};
use rig::{Play, attempt, play};

use crate::end_to_end::number_from_environment;

#[test]
fn no_crash_at_any_point_loses_or_repeats_a_row() {
    let seed = number_from_environment("SEED").unwrap_or(0);
    play(&Play {
        test: "kafka::no_crash_at_any_point_loses_or_repeats_a_row",
        seed,
        plan: Plan::matrix(seed),
        delivery: "exactly_once",
        files: &["json"],
        rows_per_second: 1_000,
        n_rows: 0,
        n_nodes: 1,
    });
}

#[test]
fn files_of_every_format_hold_each_row_once_wherever_their_writer_dies() {
    let seed = number_from_environment("SEED").unwrap_or(0);
    play(&Play {
        test: "kafka::files_of_every_format_hold_each_row_once_wherever_their_writer_dies",
        seed,
        plan: Plan::of_files(seed),
        delivery: "exactly_once",
        files: &["csv", "csv.gz", "json", "parquet", "arrow"],
        rows_per_second: 1_000,
        n_rows: 0,
        n_nodes: 1,
    });
}

/// Leaders of partitions and coordinators of transactions move, and nothing is started again for it.
#[test]
#[ignore = "three brokers and a busy machine's timeouts: run it by name, or make chaos NODES=3"]
fn a_cluster_that_loses_a_node_at_a_time_loses_no_row() {
    play(&Play {
        test: "kafka::a_cluster_that_loses_a_node_at_a_time_loses_no_row",
        seed: number_from_environment("SEED").unwrap_or(0),
        plan: Plan::of_nodes(),
        delivery: "exactly_once",
        files: &[],
        rows_per_second: 1_000,
        n_rows: 0,
        n_nodes: 3,
    });
}

#[test]
fn a_process_that_stops_on_sigterm_reads_no_record_twice() {
    let played = play(&Play {
        test: "kafka::a_process_that_stops_on_sigterm_reads_no_record_twice",
        seed: number_from_environment("SEED").unwrap_or(0),
        plan: Plan(vec![Injection::Terminate; 4]),
        delivery: "exactly_once",
        files: &[],
        rows_per_second: 1_000,
        n_rows: 4_000,
        n_nodes: 1,
    });
    assert_eq!(played.n_read, played.n_readable);
}

/// Tests the rig itself: with at-least-once delivery rows come twice, and the rig reports them.
#[test]
fn without_transactions_the_rig_finds_rows_that_come_twice() {
    let played = attempt(&Play {
        test: "kafka::without_transactions_the_rig_finds_rows_that_come_twice",
        seed: 0,
        plan: Plan((0..3).map(|n| Injection::Point("after_write_outside", 5 + n)).collect()),
        delivery: "at_least_once",
        files: &[],
        rows_per_second: 1_000,
        n_rows: 0,
        n_nodes: 1,
    });
    let complaint = played.wrong.first().map_or("", String::as_str);
    assert!(complaint.starts_with("passed: 0 of ") && complaint.contains("too often"), "{:?}", played.wrong);
}

#[test]
#[ignore = "as long as one likes: make chaos"]
fn chaos() {
    let seed = number_from_environment("SEED").unwrap_or(0);
    let n_faults = number_from_environment("INJECTIONS").unwrap_or(100);
    play(&Play {
        test: "kafka::chaos",
        seed,
        plan: Plan::chaos(seed, n_faults as usize),
        delivery: "exactly_once",
        files: &["json", "parquet"],
        rows_per_second: number_from_environment("RATE").unwrap_or(5_000),
        n_rows: number_from_environment("ROWS").unwrap_or(0),
        n_nodes: number_from_environment("NODES").unwrap_or(1) as usize,
    });
}
