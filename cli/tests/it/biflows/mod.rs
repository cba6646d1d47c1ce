//! `pipelines/biflows.sql`: records of one direction become flows of both directions. Judged by a naive evaluator, by nfdump, and by
//! the rows of the reference pipeline.

mod fixtures;
mod naive;
mod record;

use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use self::naive::{GAP_MS, pair};
use self::record::{Flow, Record};
use crate::run::{davy, folder, repository, text};

/// The flows that the shipped pipeline makes of a file, in no order; with another gap where one is given.
fn paired(input: &Path, gap: &str) -> Vec<Flow> {
    let script = std::fs::read_to_string(repository().join("pipelines/biflows.sql")).expect("the pipeline");
    assert!(script.contains("session(INTERVAL '1 minute')"), "{script}");
    let script = script.replace("session(INTERVAL '1 minute')", &format!("session({gap})"));
    let folder = folder(&[("biflows.sql", &format!("SET max_session = '60 days';\n{script}"))]);
    let output = davy(folder.path(), &["run", "biflows.sql", "--input", &input.to_string_lossy()]);
    let said = text(&output.stderr);
    assert!(output.status.success() && !said.contains("late"), "{}: {said}", input.display());
    text(&output.stdout).lines().map(Flow::parse).collect()
}

fn paired_lines(records: &[Record]) -> Vec<Flow> {
    let lines: Vec<String> = records.iter().map(Record::line).collect();
    let folder = folder(&[("flows.csv", &lines.join("\n"))]);
    let mut flows = paired(&folder.path().join("flows.csv"), "INTERVAL '1 minute'");
    flows.sort_by(Flow::order);
    flows
}

/// `begun_ms td from > to packets bytes` with flags, separated by `|`, becomes `begun td from > to in out flags`.
fn check(records: &str, expected: &str) {
    let records: Vec<Record> = records.split('|').map(Record::parse).collect();
    let found: Vec<String> = paired_lines(&records).iter().map(Flow::short).collect();
    assert_eq!(found.join(" | "), expected, "{records:?}");
}

#[test]
fn two_directions_become_one_flow() {
    check(
        "0 2.5 a:4000 > b:443 10 1000 AS | 100 2 b:443 > a:4000 8 9000 AP",
        "0 2.5 a:4000 > b:443 10/1000 8/9000 ...AP.S.",
    );
    // Whichever came first in the file: the first packet decides.
    check(
        "100 2 b:443 > a:4000 8 9000 AP | 0 2.5 a:4000 > b:443 10 1000 AS",
        "0 2.5 a:4000 > b:443 10/1000 8/9000 ...AP.S.",
    );
    check(
        "100 2 a:4000 > b:443 8 9000 A | 0 2.5 b:443 > a:4000 10 1000 A",
        "0 2.5 b:443 > a:4000 10/1000 8/9000 ...A....",
    );
}

#[test]
fn of_two_directions_that_begin_together_the_lower_port_is_the_server() {
    check("0 1 b:443 > a:4000 8 9000 A | 0 1 a:4000 > b:443 1 40 A", "0 1 a:4000 > b:443 1/40 8/9000 ...A....");
    check("0 1 b:4000 > a:443 8 9000 A | 0 1 a:443 > b:4000 1 40 A", "0 1 b:4000 > a:443 8/9000 1/40 ...A....");
    check("0 1 b:123 > a:123 8 9000 A | 0 1 a:123 > b:123 1 40 A", "0 1 a:123 > b:123 1/40 8/9000 ...A....");
}

#[test]
fn records_of_a_flow_end_less_than_a_minute_apart() {
    let first = "0 0 a:4000 > b:443 1 40 A";
    check(&format!("{first} | 0 59.999 a:4000 > b:443 1 40 A"), "0 59.999 a:4000 > b:443 2/80 0/0 ...A....");
    check(
        &format!("{first} | 60000 0 a:4000 > b:443 1 40 A"),
        "0 0 a:4000 > b:443 1/40 0/0 ...A.... | 60000 0 a:4000 > b:443 1/40 0/0 ...A....",
    );
}

#[test]
fn other_ends_and_other_protocols_are_other_flows() {
    check(
        "0 0 a:4000 > b:443 1 40 A | 1 0 b:444 > a:4000 1 41 A | 2 0 b:443 > a:4000 1 42 A UDP | 3 0 c:443 > a:4000 1 43 A",
        "0 0 a:4000 > b:443 1/40 0/0 ...A.... | 1 0 b:444 > a:4000 1/41 0/0 ...A.... | \
         2 0 b:443 > a:4000 1/42 0/0 ...A.... | 3 0 c:443 > a:4000 1/43 0/0 ...A....",
    );
}

#[test]
fn a_record_of_both_directions_stays_one_flow() {
    check("0 2 a:4000 > b:443 10 1000 A TCP 8 9000", "0 2 a:4000 > b:443 10/1000 8/9000 ...A....");
    check(
        "0 2 b:443 > a:4000 10 1000 A TCP 8 9000 | 9 0 a:4000 > b:443 1 1 F",
        "0 2 b:443 > a:4000 10/1000 9/9001 ...A...F",
    );
}

#[test]
fn a_divisor_of_zero_gives_zero() {
    let [flow] = &paired_lines(&[Record::parse("0 0 a:4000 > b:443 2 100 A")])[..] else { panic!("one flow") };
    assert_eq!(flow.aggregates, [0.0, 0.0, 0.0, 0.0, 50.0, 0.0, 0.0, 0.0]);
}

/// Few hosts and ports, so that there are pairs; within the delay of the watermark, so that none is late in any order.
fn random_records(random: &mut ChaCha8Rng) -> Vec<Record> {
    let mut below = |n: u32| random.next_u32() % n;
    let n_records = 2 + below(60);
    (0..n_records)
        .map(|_| {
            let (from, to) = (format!("h{}", below(3)), format!("h{}", below(3)));
            let (from_port, to_port) = ([443, 4000, 4001][below(3) as usize], [443, 4000][below(2) as usize]);
            let ended_ms = 300_000 + i64::from(below(299_000));
            let td_ms = i64::from(if below(4) == 0 { 0 } else { below(290_000) });
            let packets = u64::from(1 + below(9));
            Record {
                begun_ms: ended_ms - td_ms,
                td_ms,
                ends: [(from, from_port), (to, to_port)],
                pr: if below(8) == 0 { "UDP" } else { "TCP" }.to_owned(),
                flags: (0..8).filter(|_| below(3) == 0).map(|at| record::FLAGS.as_bytes()[at] as char).collect(),
                sent: [packets, packets * u64::from(40 + below(1_400))],
                back: if below(9) == 0 { [1, 77] } else { [0, 0] },
            }
        })
        .collect()
}

#[test]
fn a_shuffled_input_gives_the_same_flows() {
    #[expect(clippy::disallowed_methods, reason = "the environment may name the seed")]
    let named = std::env::var("SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    for seed in named.map_or(0..12, |seed| seed..seed + 1) {
        println!("SEED={seed}; records end up to five minutes apart, the gap is {GAP_MS} ms");
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut records = random_records(&mut random);
        let expected = pair(&records);
        for _ in 0..3 {
            assert_eq!(paired_lines(&records), expected, "SEED={seed}: {records:#?}");
            for at in (1..records.len()).rev() {
                records.swap(at, random.next_u32() as usize % (at + 1));
            }
        }
    }
}

/// Without its head, its name and the tables' options.
fn without_tables(script: &str) -> String {
    let mut rest = &script[script.find("CREATE TABLE flows").expect("a table")..];
    let mut kept = String::new();
    while let Some(begin) = rest.find("WITH (") {
        kept += &rest[..begin];
        rest = &rest[begin + rest[begin..].find(");").expect("its end")..];
    }
    kept + rest
}

#[test]
fn both_pipelines_differ_in_their_tables_only() {
    let [files, topics] = ["biflows.sql", "biflows_kafka.sql"]
        .map(|name| std::fs::read_to_string(repository().join("pipelines").join(name)).expect("a pipeline"));
    assert!(2_000 < without_tables(&files).len());
    assert_eq!(without_tables(&files), without_tables(&topics));
}
