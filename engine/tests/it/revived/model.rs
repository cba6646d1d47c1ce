//! What the log of an exchange means for sessions, record by record, by a model of a few lines.

use std::collections::{BTreeMap, BTreeSet};

use davy_engine::log::SplitTime;
use davy_engine::time::format_ns;

/// All in seconds.
pub const GAP: i64 = 10;
pub const MAX: i64 = 40;

/// A partial session of `n` rows.
#[derive(Clone, Debug)]
pub struct Partial {
    pub key: String,
    pub first: i64,
    pub last: i64,
    pub n: i64,
}

/// What a sender puts into a partition at a commit: partials, and the watermarks of its splits.
#[derive(Clone, Debug)]
pub struct Record {
    pub sender: u32,
    pub partials: Vec<Partial>,
    pub times: BTreeMap<&'static str, SplitTime>,
}

/// A session, or a part of one.
#[derive(Clone, Debug)]
struct Part {
    first: i64,
    last: i64,
    since: i64,
    n: i64,
    is_cut: bool,
}

/// Joins what is less than the gap apart, and cuts what has lasted too long.
fn join(mut parts: Vec<Part>) -> Vec<Part> {
    parts.sort_by_key(|part| part.first);
    let mut joined: Vec<Part> = Vec::new();
    for part in parts {
        match joined.last_mut().filter(|last| part.first < last.last + GAP) {
            None => joined.push(part),
            Some(last) => {
                let boundary = part.first.div_euclid(MAX) * MAX;
                if last.last < boundary && last.since + MAX <= boundary {
                    last.is_cut = true;
                    let since = last.since;
                    joined.push(Part { since, ..part });
                } else {
                    (last.last, last.n) = (last.last.max(part.last), last.n + part.n);
                }
            }
        }
    }
    joined
}

/// The sessions of one partition, as lines, and how many rows were late.
pub fn sessions(log: &[Record], n_senders: u32) -> (Vec<String>, i64) {
    let mut open: BTreeMap<String, Vec<Part>> = BTreeMap::new();
    let mut over: Vec<(String, Part)> = Vec::new();
    let mut heard: BTreeMap<u32, &BTreeMap<&str, SplitTime>> = BTreeMap::new();
    let (mut watermark, mut n_late) = (i64::MIN, 0);
    for record in log {
        let (kept, late): (Vec<&Partial>, Vec<&Partial>) =
            record.partials.iter().partition(|partial| watermark <= partial.last * NS);
        n_late += late.iter().map(|partial| partial.n).sum::<i64>();
        let touched: BTreeSet<&String> =
            kept.iter().filter(|partial| partial.first * NS < watermark).map(|partial| &partial.key).collect();
        for key in touched {
            let Some(parts) = open.remove(key) else { continue };
            let (ended, left): (Vec<Part>, Vec<Part>) =
                join(parts).into_iter().partition(|part| (part.last + GAP) * NS <= watermark);
            over.extend(ended.into_iter().map(|part| (key.clone(), part)));
            open.insert(key.clone(), left);
        }
        for Partial { key, first, last, n } in kept {
            let part = Part { first: *first, last: *last, since: *first, n: *n, is_cut: false };
            open.entry(key.clone()).or_default().push(part);
        }
        heard.insert(record.sender, &record.times);
        let active = heard.values().flat_map(|times| times.values()).filter_map(|time| match time {
            SplitTime::Active(watermark) => Some(watermark.0),
            SplitTime::Idle(_) => None,
        });
        if let (true, Some(least)) = (heard.len() == n_senders as usize, active.min()) {
            watermark = watermark.max(least);
        }
    }
    let rest = open.into_iter().flat_map(|(key, parts)| join(parts).into_iter().map(move |part| (key.clone(), part)));
    (over.into_iter().chain(rest).map(|(key, part)| line(&key, &part)).collect(), n_late)
}

pub const NS: i64 = 1_000_000_000;

fn line(key: &str, part: &Part) -> String {
    let Part { first, last, n, is_cut, .. } = part;
    let (start, end) = (format_ns(first * NS), format_ns((last + GAP) * NS));
    format!("{key} | {{start: {start}, end: {end}, is_cut: {is_cut}}} | {n}")
}
