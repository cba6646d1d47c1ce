//! Random rows: null and empty keys, null and negative values, duplicates, rows on boundaries and before 1970, in several splits.

use std::collections::BTreeMap;
use std::fmt;

use davy_engine::log::SplitId;
use davy_engine::time::format_ns;

use super::Rng;
use super::scripts::BOUND_MS;

/// One record of a split.
#[derive(Clone, Debug)]
pub struct Row {
    pub split: SplitId,
    pub text: String,
    /// Event time; `None` for a bad record.
    pub time_ms: Option<i64>,
    /// As it is printed.
    pub key: String,
    pub value: Option<i64>,
}

/// What is in the tables, in order of arrival.
#[derive(Clone, Debug, Default)]
pub struct Input(pub BTreeMap<String, Vec<Row>>);

/// How wild a stream is.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub n_rows_max: i64,
    /// How far behind the latest row of its split a row may be.
    pub disorder_ms: i64,
    /// How many records in a hundred are bad.
    pub bad_percent: usize,
}

impl Shape {
    /// Nothing is late, nothing is bad: the oracle sees every row.
    pub const TAME: Self = Self { n_rows_max: 40, disorder_ms: BOUND_MS, bad_percent: 0 };
    /// Some rows are late, some are bad.
    pub const WILD: Self = Self { n_rows_max: 40, disorder_ms: 6 * BOUND_MS, bad_percent: 10 };
}

impl Input {
    pub fn random(rng: &mut Rng, shape: Shape) -> Self {
        let table = |name: &str| (name.to_owned(), rows(rng, shape));
        Self(["flows", "other"].map(table).into())
    }

    /// Rows of `flows` that are never far apart, in one split and nearly in order.
    pub fn endless(rng: &mut Rng) -> Self {
        let mut latest = -20_000;
        let row = |_| {
            latest += rng.between(500, 3_500);
            let time = latest - rng.between(0, 400);
            record(rng, split_id(0), time)
        };
        Self([("flows".to_owned(), (0..20).map(row).collect()), ("other".to_owned(), Vec::new())].into())
    }

    /// Gives `flows` a split more, whose rows all come after those of the others: one that joins while a run goes on.
    pub fn join(&mut self, rng: &mut Rng, shape: Shape) {
        let Some(flows) = self.0.get_mut("flows") else { return };
        let mut latest = flows.iter().filter_map(|row| row.time_ms).max().unwrap_or(0) + shape.disorder_ms;
        for _ in 0..rng.below(8) {
            latest += rng.between(0, 4_000);
            let time = rng.between(latest - shape.disorder_ms, latest);
            flows.push(record(rng, SplitId::from("s3"), time));
        }
    }

    /// Mixes rows with a fast clock into `flows`: they are bad records.
    pub fn add_future(&mut self, rng: &mut Rng) {
        let Some(flows) = self.0.get_mut("flows") else { return };
        for _ in 0..rng.below(4) {
            let at = rng.below(flows.len() + 1);
            let Some(split) = flows.get(at).map(|row| row.split.clone()) else { continue };
            let text =
                format!("{{\"ts\":\"{}\",\"k\":\"a\",\"v\":1}}", format_ns(rng.between(7_200, 86_400) * 1_000_000_000));
            flows.insert(at, Row { split, text, time_ms: None, key: String::new(), value: None });
        }
    }

    pub fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// All but the row with this number, counted over all tables.
    pub fn without(&self, mut at: usize) -> Self {
        let mut smaller = self.clone();
        for rows in smaller.0.values_mut() {
            if at < rows.len() {
                rows.remove(at);
                return smaller;
            }
            at -= rows.len();
        }
        smaller
    }

    /// What the oracle reads when the late rows of tumbling windows are left out, and the late rows of `flows`.
    pub fn seen_on_time(&self, width_ms: i64) -> (BTreeMap<String, Vec<String>>, Vec<Row>) {
        let mut late = Vec::new();
        let mut watermarks: BTreeMap<SplitId, i64> = BTreeMap::new();
        for row in self.0.get("flows").into_iter().flatten() {
            let Some(time) = row.time_ms else { continue };
            let watermark = watermarks.entry(row.split.clone()).or_insert(i64::MIN);
            let end = time.div_euclid(width_ms) * width_ms + width_ms;
            if end <= *watermark {
                late.push(row.clone());
            }
            *watermark = (*watermark).max(time - BOUND_MS);
        }
        // Equal rows are distinguished by their number only: drop as many as were late.
        let mut to_drop = late.clone();
        let seen = self.good_rows(|row| match to_drop.iter().position(|late| late.text == row.text) {
            Some(at) => {
                to_drop.remove(at);
                false
            }
            None => true,
        });
        (seen, late)
    }

    fn good_rows(&self, mut is_seen: impl FnMut(&Row) -> bool) -> BTreeMap<String, Vec<String>> {
        let mut good = |rows: &Vec<Row>| -> Vec<String> {
            rows.iter().filter(|row| row.time_ms.is_some() && is_seen(row)).map(|row| row.text.clone()).collect()
        };
        self.0.iter().map(|(table, rows)| (table.clone(), good(rows))).collect()
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (table, rows) in &self.0 {
            for row in rows {
                writeln!(f, "{table} {}> {}", row.split, row.text)?;
            }
        }
        Ok(())
    }
}

fn rows(rng: &mut Rng, shape: Shape) -> Vec<Row> {
    let n_splits = 1 + rng.below(3);
    let n_rows = rng.between(0, shape.n_rows_max);
    let step_ms_max = *rng.pick(&[500, 2_000, 6_000]);
    let mut latest: Vec<i64> = (0..n_splits).map(|_| rng.between(-40_000, -10_000)).collect();
    let mut rows: Vec<Row> = Vec::new();
    for _ in 0..n_rows {
        let split = rng.below(n_splits);
        if rng.percent(10)
            && let Some(last) = rows.iter().rfind(|row| row.split == split_id(split)).cloned()
        {
            rows.push(last);
            continue;
        }
        if rng.percent(shape.bad_percent) {
            let text = (*rng.pick(&["{", "{\"ts\":\"soon\"}", "{\"k\":\"a\",\"v\":1}", "nonsense"])).to_owned();
            rows.push(Row { split: split_id(split), text, time_ms: None, key: String::new(), value: None });
            continue;
        }
        latest[split] += rng.between(0, step_ms_max);
        let earliest = latest[split] - shape.disorder_ms;
        let mut time = if rng.percent(40) { latest[split] } else { rng.between(earliest, latest[split]) };
        let boundary = time.div_euclid(5_000) * 5_000;
        if rng.percent(30) && earliest <= boundary {
            time = boundary;
        }
        rows.push(record(rng, split_id(split), time));
    }
    rows
}

fn split_id(index: usize) -> SplitId {
    SplitId::from(["s0", "s1", "s2"][index])
}

/// A good record: fields that are null are left out or said to be null.
fn record(rng: &mut Rng, split: SplitId, time_ms: i64) -> Row {
    let mut fields = vec![format!("\"ts\":\"{}\"", format_ns(time_ms * 1_000_000))];
    let key = match rng.below(7) {
        missing @ 0..=1 => {
            if missing == 0 {
                fields.push("\"k\":null".into());
            }
            "∅"
        }
        key => {
            let key = ["", "a", "b", "c", "ü"][key - 2];
            fields.push(format!("\"k\":\"{key}\""));
            key
        }
    };
    let value = rng.percent(72).then(|| rng.between(-5, 20));
    match value {
        Some(value) => fields.push(format!("\"v\":{value}")),
        None if rng.percent(50) => fields.push("\"v\":null".into()),
        None => {}
    }
    Row { split, text: format!("{{{}}}", fields.join(",")), time_ms: Some(time_ms), key: key.to_owned(), value }
}
