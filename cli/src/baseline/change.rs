//! What people do with baselines: compare them, join them, add what is normal after all. Pure functions.

use std::collections::BTreeSet;

use davy_engine::{Error, Result};
use serde_json::Value;

use super::file::{Baseline, Connection, Direction, Host, Mode, Span};

/// A connection of a host that one of two baselines has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Difference {
    pub(super) host: String,
    pub(super) connection: Connection,
    /// `+`: only the second has it; `-`: only the first.
    pub(super) sign: char,
}

pub(super) fn diff(first: &Baseline, second: &Baseline) -> Vec<Difference> {
    let (old, new) = (pairs(first), pairs(second));
    let only = |of: &BTreeSet<Pair>, other: &BTreeSet<Pair>, sign| -> Vec<Difference> {
        let made = |(host, connection): &Pair| Difference { host: host.clone(), connection: connection.clone(), sign };
        of.difference(other).map(made).collect()
    };
    let mut differences = only(&old, &new, '-');
    differences.extend(only(&new, &old, '+'));
    differences.sort();
    differences
}

type Pair = (String, Connection);

fn pairs(baseline: &Baseline) -> BTreeSet<Pair> {
    let of_host = |(name, host): (&String, &Host)| -> Vec<Pair> {
        host.connections.iter().map(|connection| (name.clone(), connection.clone())).collect()
    };
    baseline.hosts.iter().flat_map(of_host).collect()
}

/// The first baseline with the connections of the second, too. Modes and suppressions are those of the first; of hosts and suppressions
/// that only the second has, its own.
pub(super) fn merge(first: &Baseline, second: &Baseline) -> Baseline {
    let mut merged = first.clone();
    for (name, host) in &second.hosts {
        let known =
            merged.hosts.entry(name.clone()).or_insert_with(|| Host { mode: host.mode, connections: Vec::new() });
        known.connections.extend(host.connections.iter().cloned());
    }
    merged.learned = match (&first.learned, &second.learned) {
        (Some(a), Some(b)) => {
            Some(Span { from: a.from.clone().min(b.from.clone()), to: a.to.clone().max(b.to.clone()) })
        }
        (one, other) => one.clone().or_else(|| other.clone()),
    };
    for suppression in &second.suppressions {
        if !merged.suppressions.contains(suppression) {
            merged.suppressions.push(suppression.clone());
        }
    }
    merged.hosts.values_mut().for_each(tidy);
    merged
}

/// In order, each once; `any` covers the other peers.
fn tidy(host: &mut Host) {
    host.connections.sort();
    host.connections.dedup();
    let any: Vec<Connection> = host.connections.iter().filter(|connection| connection.peer == "any").cloned().collect();
    host.connections.retain(|connection| {
        let is_covered = |any: &Connection| Connection { peer: connection.peer.clone(), ..any.clone() } == *connection;
        connection.peer == "any" || !any.iter().any(is_covered)
    });
}

/// The connections of deviations, rows of JSON as pipelines/baseline.sql writes them.
pub(super) fn of_deviations(text: &str) -> Result<Baseline> {
    let mut baseline = Baseline::new(Mode::Audit);
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let (host, connection) = deviation(line).ok_or_else(|| {
            Error::invalid(format!("line {} is no deviation", number + 1))
                .hint("it should be JSON with `host`, `direction`, `protocol`, `peer` and `port`")
        })?;
        baseline.hosts.entry(host).or_default().connections.push(connection);
    }
    baseline.hosts.values_mut().for_each(tidy);
    Ok(baseline)
}

fn deviation(line: &str) -> Option<(String, Connection)> {
    let row: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
    let direction = match text("direction")?.as_str() {
        "in" => Direction::In,
        "out" => Direction::Out,
        _ => return None,
    };
    let port = u16::try_from(row.get("port")?.as_u64()?).ok()?;
    Some((text("host")?, Connection { direction, protocol: text("protocol")?, peer: text("peer")?, port }))
}

/// Sets the mode of the whole baseline, or of some hosts.
pub(super) fn set_mode(baseline: &mut Baseline, mode: Mode, hosts: &[String]) -> Result<()> {
    if hosts.is_empty() {
        baseline.mode = mode;
        // All means all.
        baseline.hosts.values_mut().for_each(|host| host.mode = None);
        return Ok(());
    }
    for name in hosts {
        let host = baseline.hosts.get_mut(name);
        let host = host.ok_or_else(|| {
            Error::invalid(format!("the baseline has no host `{name}`")).hint("`davy baseline show` lists them")
        })?;
        host.mode = Some(mode);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(entries: &[(&str, &str, &str, u16)]) -> Baseline {
        let lines = entries.iter().map(|(host, direction, peer, port)| {
            format!("{{\"host\": \"{host}\", \"direction\": \"{direction}\", \"protocol\": \"TCP\", \"peer\": \"{peer}\", \"port\": {port}}}\n")
        });
        of_deviations(&lines.collect::<String>()).expect("deviations")
    }

    fn shown(baseline: &Baseline) -> Vec<String> {
        let shown = |(host, c): &Pair| format!("{host} {} {}:{}", c.direction.name(), c.peer, c.port);
        pairs(baseline).iter().map(shown).collect()
    }

    #[test]
    fn a_merge_has_what_either_has_and_any_covers_single_peers() {
        let first = baseline(&[("h", "out", "a", 443), ("h", "out", "b", 80)]);
        let second =
            baseline(&[("h", "out", "any", 443), ("h", "in", "a", 443), ("h", "out", "b", 80), ("k", "in", "c", 22)]);
        let expected = ["h in a:443", "h out b:80", "h out any:443", "k in c:22"];
        let sorted = |mut shown: Vec<String>| {
            shown.sort();
            shown
        };
        let expected = sorted(expected.map(str::to_owned).to_vec());
        assert_eq!(sorted(shown(&merge(&first, &second))), expected);
        assert_eq!(sorted(shown(&merge(&second, &first))), expected);
        let merged = merge(&first, &second);
        assert_eq!(merge(&merged, &merged), merged, "a second time changes nothing");
    }

    #[test]
    fn a_difference_says_which_side_has_it() {
        let first = baseline(&[("h", "out", "a", 443), ("h", "out", "b", 80)]);
        let second = baseline(&[("h", "out", "a", 443), ("k", "in", "c", 22)]);
        let found: Vec<String> =
            diff(&first, &second).iter().map(|d| format!("{} {} {}", d.sign, d.host, d.connection.port)).collect();
        assert_eq!(found, ["- h 80", "+ k 22"]);
        assert_eq!(diff(&first, &first), []);
    }

    #[test]
    fn what_is_no_deviation_is_named_by_its_line() {
        let good = r#"{"host": "h", "direction": "in", "protocol": "TCP", "peer": "a", "port": 1}"#;
        for wrong in
            ["x", "{}", &good.replace("in", "up"), &good.replace(": 1}", ": 70000}"), &good.replace("peer", "pear")]
        {
            let error = of_deviations(&format!("{good}\n\n{wrong}\n")).expect_err(wrong).to_string();
            assert!(error.contains("line 3 is no deviation"), "{error}");
        }
    }

    #[test]
    fn modes_are_of_all_hosts_or_of_some() {
        let mut changed = baseline(&[("h", "in", "a", 1), ("k", "in", "a", 1)]);
        set_mode(&mut changed, Mode::Enforce, &["h".to_owned()]).expect("a host");
        assert_eq!(["h", "k"].map(|host| changed.mode_of(host)), [Mode::Enforce, Mode::Audit]);
        set_mode(&mut changed, Mode::Disabled, &[]).expect("all");
        assert_eq!(["h", "k", "z"].map(|host| changed.mode_of(host)), [Mode::Disabled; 3]);
        let error = set_mode(&mut changed, Mode::Audit, &["z".to_owned()]).expect_err("no host").to_string();
        assert!(error.contains("no host `z`"), "{error}");
    }
}
