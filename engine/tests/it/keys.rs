//! Limits on the keys of open windows: whatever crashes, the keys that come first in each partition are kept, by a model of a few lines.

mod exchange;
mod one_hop;
mod streams;

use std::collections::{BTreeMap, BTreeSet};

use davy_engine::time::format_ns;

const NS: i64 = 1_000_000_000;

/// Hopping windows, in seconds.
#[derive(Clone, Copy, Debug)]
struct Shape {
    slide: i64,
    width: i64,
    pane: i64,
}

const TUMBLING: Shape = Shape { slide: 10, width: 10, pane: 10 };
const HOPPING: Shape = Shape { slide: 10, width: 25, pane: 5 };

impl Shape {
    /// A query with these windows over `flows`.
    fn query(self) -> String {
        let Self { slide, width, .. } = self;
        format!(
            "SELECT k, w, n, w.is_complete FROM (
                SELECT k, hop(INTERVAL '{slide} seconds', INTERVAL '{width} seconds') AS w, count(*) AS n FROM flows
                GROUP BY k, w);"
        )
    }

    /// The windows that a row at `second` is in, and that were open at `watermark`: their ends.
    fn open_ends(self, second: i64, watermark: i64) -> Vec<i64> {
        let last_start = second.div_euclid(self.slide) * self.slide;
        let starts = (0..).map(|index| last_start - index * self.slide).take_while(|start| second < start + self.width);
        starts.map(|start| start + self.width).filter(|end| watermark < *end).collect()
    }
}

/// What comes: `n` rows of a key at a second, when the watermark of its split was this.
#[derive(Clone, Debug)]
struct Arrival {
    key: String,
    second: i64,
    n: i64,
    watermark: i64,
}

/// What is expected.
#[derive(Debug, Default)]
struct Expected {
    /// `key | window | n | is_complete`.
    lines: Vec<String>,
    n_dropped_rows: i64,
    n_late: i64,
}

/// Of each partition by itself: the first `share` keys of each pane count.
fn model(shape: Shape, share: usize, partitions: &[Vec<Arrival>]) -> Expected {
    let mut expected = Expected::default();
    let mut counts: BTreeMap<(String, i64), i64> = BTreeMap::new();
    let mut incomplete = BTreeSet::new();
    for arrivals in partitions {
        let mut keys: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
        for Arrival { key, second, n, watermark } in arrivals {
            let ends = shape.open_ends(*second, *watermark);
            if ends.is_empty() {
                expected.n_late += n;
                continue;
            }
            let of_pane = keys.entry(second.div_euclid(shape.pane)).or_default();
            if !of_pane.contains(&key.as_str()) {
                if of_pane.len() == share {
                    incomplete.extend(ends);
                    expected.n_dropped_rows += n;
                    continue;
                }
                of_pane.push(key);
            }
            ends.into_iter().for_each(|end| *counts.entry((key.clone(), end)).or_default() += n);
        }
    }
    let print = |second: i64| format_ns(second * NS);
    let line = |((key, end), n): ((String, i64), i64)| {
        let (start, is_complete) = (print(end - shape.width), !incomplete.contains(&end));
        format!("{key} | {{start: {start}, end: {}}} | {n} | {is_complete}", print(end))
    };
    expected.lines = counts.into_iter().map(line).collect();
    expected.lines.sort();
    expected
}
