//! The flows that records become, computed one record after the other, without Davy.

use std::collections::BTreeMap;

use super::record::{FLAGS, Flow, Record, moment};

pub(super) const GAP_MS: i64 = 60_000;

/// All flows, in the order of `Flow::order`.
pub(super) fn pair(records: &[Record]) -> Vec<Flow> {
    let mut by_ends: BTreeMap<_, Vec<&Record>> = BTreeMap::new();
    for record in records {
        let mut ends = record.ends.clone();
        ends.sort();
        by_ends.entry((ends, &record.pr)).or_default().push(record);
    }
    let mut flows = Vec::new();
    for mut group in by_ends.into_values() {
        group.sort_by_key(|record| record.begun_ms + record.td_ms);
        let mut session: Vec<&Record> = Vec::new();
        for record in group {
            let ended_ms = record.begun_ms + record.td_ms;
            let is_beyond = session.last().is_some_and(|last| last.begun_ms + last.td_ms + GAP_MS <= ended_ms);
            if is_beyond {
                flows.push(joined(&session));
                session.clear();
            }
            session.push(record);
        }
        flows.push(joined(&session));
    }
    flows.sort_by(Flow::order);
    flows
}

/// The flow of records that belong together.
fn joined(session: &[&Record]) -> Flow {
    // The first packet; of two that are equal, the one that goes to the lower port, and then the one from the lower address.
    let first = session
        .iter()
        .min_by_key(|record| {
            let [(sa, sp), (_, dp)] = &record.ends;
            (record.begun_ms, *sp < *dp, sa.clone())
        })
        .expect("a session has a record");
    let (mut sent, mut back) = ([0; 2], [0; 2]);
    for record in session {
        let is_along = record.ends == first.ends;
        for at in 0..2 {
            sent[at] += if is_along { record.sent[at] } else { record.back[at] };
            back[at] += if is_along { record.back[at] } else { record.sent[at] };
        }
    }
    let ended_ms = session.iter().map(|record| record.begun_ms + record.td_ms).max().expect("a record");
    let td_ms = ended_ms - first.begun_ms;
    let has = |flag: char| session.iter().any(|record| record.flags.contains(flag));
    Flow {
        begun: moment(first.begun_ms),
        td_ms,
        ends: first.ends.clone(),
        pr: first.pr.clone(),
        flags: FLAGS.chars().map(|flag| if has(flag) { flag } else { '.' }).collect(),
        sent,
        back,
        aggregates: aggregates(td_ms as f64 / 1_000.0, sent, back),
    }
}

pub(super) fn aggregates(td: f64, [ipkt, ibyt]: [u64; 2], [opkt, obyt]: [u64; 2]) -> [f64; 8] {
    let ratio = |a: f64, b: f64| if b > 0.0 { a / b } else { 0.0 };
    let [ipkt, ibyt, opkt, obyt] = [ipkt, ibyt, opkt, obyt].map(|count| count as f64);
    [
        ratio(ipkt, td),
        ratio(opkt, td),
        ratio(ibyt, td),
        ratio(obyt, td),
        ratio(ibyt, ipkt),
        ratio(obyt, opkt),
        ratio(ibyt, obyt),
        ratio(ipkt, opkt),
    ]
}
