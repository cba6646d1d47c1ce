//! What must come out, computed from what the input topic holds, in plain Rust: no code of the engine has a part in it.

use std::collections::BTreeMap;
use std::fmt::Debug;

use rdkafka::message::{BorrowedMessage, Message};

use super::broker::Broker;
use super::input::{DELAY_MS, FAILS, N_PARTITIONS, WINDOW_MS, parse_time};
use super::reader::{header, read_all};

/// One row in so many goes through the filter.
pub(crate) const PASSES: i64 = 20;

/// Partition and offset of an input row.
type Origin = (i32, i64);

/// Rows that the filter lets through.
pub(crate) type Passed = BTreeMap<(Origin, String, i64), u32>;

/// Everything that comes out of the pipeline; each entry once, or it counts how often.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// By start and key: number and sum of its rows.
    pub(crate) windows: BTreeMap<(i64, String, i64, i64), u32>,
    pub(crate) passed: Passed,
    pub(crate) late: BTreeMap<Origin, u32>,
    pub(crate) dead: BTreeMap<Origin, u32>,
    pub(crate) n_rows: u64,
    /// Flows that the two queries read between them.
    pub(crate) n_read: u64,
}

/// A row that can be read: time, key, number. One from the future cannot: [`parse_time`] knows the month of all others.
fn parse(line: &str) -> Option<(i64, String, i64)> {
    let mut cells = line.split(',');
    let row = (parse_time(cells.next()?)?, cells.next()?.to_owned(), cells.next()?.parse().ok()?);
    Some(row)
}

fn position(message: &BorrowedMessage<'_>) -> Origin {
    (message.partition(), message.offset())
}

fn line<'a>(message: &'a BorrowedMessage<'_>) -> &'a str {
    std::str::from_utf8(message.payload().unwrap_or_default()).expect("text")
}

/// What must come out of the topic's rows.
///
/// A row is late when the window it belongs to ends at or before the watermark that the rows before it in its partition have left.
/// A row on which an expression fails moves the watermark; one from the future does not.
pub(crate) fn expected(broker: &Broker, topic: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let mut windows: BTreeMap<(i64, String), (i64, i64)> = BTreeMap::new();
    let mut watermarks = [i64::MIN; N_PARTITIONS as usize];
    read_all(broker, topic, N_PARTITIONS, |message| {
        outcome.n_rows += 1;
        let Some((time, key, n)) = parse(line(message)) else {
            outcome.dead.insert(position(message), 1);
            return;
        };
        outcome.n_read += 2;
        if n % PASSES == 0 {
            outcome.passed.insert((position(message), key.clone(), n), 1);
        }
        let watermark = &mut watermarks[message.partition() as usize];
        let start = time.div_euclid(WINDOW_MS) * WINDOW_MS;
        if n % FAILS == 0 {
            outcome.dead.insert(position(message), 1);
        } else if start + WINDOW_MS <= *watermark {
            outcome.late.insert(position(message), 1);
        } else {
            let window = windows.entry((start, key)).or_default();
            *window = (window.0 + 1, window.1 + n);
        }
        *watermark = (*watermark).max(time - DELAY_MS);
    });
    let reached = watermarks.into_iter().min().unwrap_or(i64::MIN);
    let closed = windows.into_iter().filter(|((start, _), _)| start + WINDOW_MS <= reached);
    outcome.windows = closed.map(|((start, key), (count, sum))| ((start, key, count, sum), 1)).collect();
    outcome
}

/// What has come out.
pub(crate) fn actual(broker: &Broker, n: i32) -> Outcome {
    let mut outcome = Outcome::default();
    read_all(broker, "windows", n, |message| {
        let row: serde_json::Value = serde_json::from_str(line(message)).expect("JSON");
        let number = |name: &str| row[name].as_i64().expect("a number");
        let text = |name: &str| row[name].as_str().expect("text").to_owned();
        let start = parse_time(&text("start")).expect("a time");
        *outcome.windows.entry((start, text("k"), number("c"), number("s"))).or_default() += 1;
    });
    read_all(broker, "passed", n, |message| {
        let row: serde_json::Value = serde_json::from_str(line(message)).expect("JSON");
        let number = |name: &str| row[name].as_i64().expect("a number");
        let from = (number("p") as i32, number("o"));
        *outcome.passed.entry((from, row["k"].as_str().expect("text").to_owned(), number("n"))).or_default() += 1;
    });
    read_all(broker, "late", n, |message| *outcome.late.entry(origin(message)).or_default() += 1);
    read_all(broker, "dead", n, |message| *outcome.dead.entry(origin(message)).or_default() += 1);
    outcome
}

fn origin(message: &BorrowedMessage<'_>) -> Origin {
    let number = |name: &str| header(message, name).and_then(|text| text.parse().ok()).expect(name);
    (number("davy-partition") as i32, number("davy-offset"))
}

impl Outcome {
    /// How it differs from what was expected.
    pub(crate) fn differences(&self, expected: &Self) -> Vec<String> {
        let mut complaints = Vec::new();
        compare("windows", &self.windows, &expected.windows, &mut complaints);
        compare("passed", &self.passed, &expected.passed, &mut complaints);
        compare("late", &self.late, &expected.late, &mut complaints);
        compare("dead", &self.dead, &expected.dead, &mut complaints);
        complaints
    }
}

pub(crate) fn compare<K: Ord + Debug>(
    name: &str,
    actual: &BTreeMap<K, u32>,
    expected: &BTreeMap<K, u32>,
    complaints: &mut Vec<String>,
) {
    const SHOWN: usize = 5;
    let missing: Vec<&K> = expected.keys().filter(|key| !actual.contains_key(key)).collect();
    let wrong: Vec<_> = actual.iter().filter(|(key, n)| expected.get(key) != Some(n)).collect();
    if !missing.is_empty() || !wrong.is_empty() {
        let (n_missing, n_wrong) = (missing.len(), wrong.len());
        complaints.push(format!(
            "{name}: {n_missing} of {} missing, such as {:?}; {n_wrong} too often or made up, such as {:?}",
            expected.len(),
            &missing[..n_missing.min(SHOWN)],
            &wrong[..n_wrong.min(SHOWN)],
        ));
    }
}
