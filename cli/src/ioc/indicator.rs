//! Indicators in the files that others publish: plain lists and CSV, MISP's JSON, STIX 2.1.
//!
//! Only addresses, networks and domain names are taken; hashes, URLs and the like mean nothing to a flow.

use davy_engine::lookup::Network;
use serde_json::Value;

/// What is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Indicator {
    /// In one notation, as it is written in the file.
    Network(Network, String),
    Name(String),
}

/// What a file has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// With what is said of it.
    pub(super) indicators: Vec<(Indicator, String)>,
    /// What was left out, and why.
    pub(super) skipped: Vec<String>,
}

impl Found {
    fn add(&mut self, value: &str, about: &str) {
        match indicator(value) {
            Some(indicator) => self.indicators.push((indicator, about.to_owned())),
            None => self.skip(value, "is no address, network or domain name"),
        }
    }

    fn skip(&mut self, what: &str, why: &str) {
        self.skipped.push(format!("`{what}` {why}"));
    }
}

/// The indicator that a text is.
fn indicator(text: &str) -> Option<Indicator> {
    let text = text.trim().trim_matches('"');
    // Many lists are written so that no click opens the address.
    let text = text.replace("[.]", ".").replace("[:]", ":");
    if let Ok(network) = Network::parse(&text) {
        return Some(Indicator::Network(network, text));
    }
    let name = text.trim_end_matches('.').to_lowercase();
    let is_label = |label: &str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (1..=63).contains(&label.len()) && label.chars().all(is_part)
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_name =
        name.contains('.') && name.split('.').all(is_label) && last.starts_with(|c: char| c.is_ascii_alphabetic());
    is_name.then_some(Indicator::Name(name))
}

/// A line for each indicator; of several values in a line, the first that is one.
pub(super) fn plain(text: &str, about: &str) -> Found {
    let mut found = Found::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        let cells = line.split([',', ';', '\t', ' ']);
        match cells.clone().find(|cell| indicator(cell).is_some()) {
            Some(cell) => found.add(cell, about),
            None => found.skip(line, "is no address, network or domain name"),
        }
    }
    found
}

/// An event of MISP, or several.
pub(super) fn misp(value: &Value) -> Option<Found> {
    let events: Vec<&Value> = match (value.get("Event"), value.get("response").and_then(Value::as_array)) {
        (Some(event), _) => vec![event],
        (None, Some(events)) => events.iter().filter_map(|entry| entry.get("Event")).collect(),
        (None, None) => return None,
    };
    let mut found = Found::default();
    for event in events {
        let about = event.get("info").and_then(Value::as_str).unwrap_or_default();
        let list = |of: &'_ Value, name: &str| of.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let of_objects = list(event, "Object").into_iter().flat_map(|object| list(&object, "Attribute"));
        for attribute in list(event, "Attribute").into_iter().chain(of_objects) {
            misp_attribute(&attribute, about, &mut found);
        }
    }
    Some(found)
}

fn misp_attribute(attribute: &Value, about: &str, found: &mut Found) {
    let field = |name: &str| attribute.get(name).and_then(Value::as_str).unwrap_or_default();
    let value = field("value");
    // `198.51.100.1|3333`, `pool.example|198.51.100.1`.
    let parts: Vec<&str> = match field("type") {
        "ip-dst" | "ip-src" | "domain" | "hostname" => vec![value],
        "ip-dst|port" | "ip-src|port" | "hostname|port" => value.split('|').take(1).collect(),
        "domain|ip" => value.split('|').collect(),
        _ => return,
    };
    if attribute.get("to_ids").and_then(Value::as_bool) == Some(false) {
        return found.skip(value, "is not for detection (`to_ids` is false)");
    }
    parts.into_iter().for_each(|part| found.add(part, about));
}

/// A bundle of STIX 2.1; indicators that are revoked, or not valid `now` (RFC 3339), are left out.
pub(super) fn stix(value: &Value, now: &str) -> Option<Found> {
    if value.get("type").and_then(Value::as_str) != Some("bundle") {
        return None;
    }
    let mut found = Found::default();
    for object in value.get("objects").and_then(Value::as_array).into_iter().flatten() {
        let field = |name: &str| object.get(name).and_then(Value::as_str);
        if field("type") != Some("indicator") {
            continue;
        }
        let Some(pattern) = field("pattern") else { continue };
        let is_over = field("valid_until").is_some_and(|until| until < now);
        if object.get("revoked").and_then(Value::as_bool) == Some(true) || is_over {
            found.skip(pattern, "is revoked or no longer valid");
            continue;
        }
        let values = of_pattern(pattern);
        if values.is_empty() {
            found.skip(pattern, "is no list of addresses and names");
        }
        let about = field("name").unwrap_or_default();
        values.iter().for_each(|value| found.add(value, about));
    }
    Some(found)
}

/// The values of a pattern such as `[ipv4-addr:value = '198.51.100.1' OR domain-name:value = 'pool.example']`. None where the
/// pattern wants more than one of its parts: a part alone would be true of other flows.
fn of_pattern(pattern: &str) -> Vec<String> {
    const PATHS: [&str; 4] =
        ["ipv4-addr:value", "ipv6-addr:value", "domain-name:value", "network-traffic:dst_ref.value"];
    let inner = pattern.trim().trim_start_matches('[').trim_end_matches(']');
    let mut values = Vec::new();
    for part in inner.split(" OR ") {
        let part = part.trim().trim_matches(['[', ']', '(', ')']).trim();
        let Some((path, rest)) = part.split_once(char::is_whitespace) else { return Vec::new() };
        let Some((operator, value)) = rest.trim().split_once(char::is_whitespace) else { return Vec::new() };
        let value = value.trim();
        let is_one = 2 < value.len() && value.starts_with('\'') && value.ends_with('\'');
        let text = value.trim_matches('\'');
        if !PATHS.contains(&path) || !["=", "ISSUBSET"].contains(&operator) || !is_one || text.contains('\'') {
            return Vec::new();
        }
        values.push(text.to_owned());
    }
    values
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Indicators with what is said of them, then what was left out.
    fn show(found: &Found) -> String {
        let indicator = |(indicator, about): &(Indicator, String)| match indicator {
            Indicator::Network(_, text) => format!("{text} {about}"),
            Indicator::Name(name) => format!("{name}! {about}"),
        };
        let lines: Vec<String> = found.indicators.iter().map(indicator).chain(found.skipped.iter().cloned()).collect();
        lines.join("\n")
    }

    #[test]
    fn plain_lists_and_csv_have_one_in_each_line() {
        let text = "# list\nfirst,address\n198.51.100.1\n198.51.100.0/24 ; net\n2024-01-01,\"2001:db8::1\",seen\n\
                    Pool[.]Example.\n; no\nd41d8cd98f00b204e9800998ecf8427e\n10.0.0.1/8\n1.2.3\n";
        assert_eq!(
            show(&plain(text, "list")),
            "198.51.100.1 list\n198.51.100.0/24 list\n2001:db8::1 list\npool.example! list\n\
             `first,address` is no address, network or domain name\n\
             `d41d8cd98f00b204e9800998ecf8427e` is no address, network or domain name\n\
             `10.0.0.1/8` is no address, network or domain name\n`1.2.3` is no address, network or domain name"
        );
    }

    #[test]
    fn attributes_of_misp_are_taken_by_their_type() {
        let attribute = |kind: &str, value: &str, to_ids: bool| json!({"type": kind, "value": value, "to_ids": to_ids});
        let event = json!({"Event": {"info": "pools", "Attribute": [
            attribute("ip-dst", "198.51.100.1", true),
            attribute("ip-dst|port", "198.51.100.2|3333", true),
            attribute("domain|ip", "pool.example|198.51.100.3", true),
            attribute("md5", "d41d8cd98f00b204e9800998ecf8427e", true),
            attribute("hostname", "off.example", false),
        ], "Object": [{"Attribute": [attribute("hostname", "in.example", true)]}]}});
        let wanted = "198.51.100.1 pools\n198.51.100.2 pools\npool.example! pools\n198.51.100.3 pools\nin.example! pools\n\
                      `off.example` is not for detection (`to_ids` is false)";
        assert_eq!(misp(&event).as_ref().map(show).as_deref(), Some(wanted));
        assert_eq!(misp(&json!({"response": [event]})).as_ref().map(show).as_deref(), Some(wanted));
        assert_eq!(misp(&json!({"type": "bundle"})), None);
    }

    #[test]
    fn patterns_of_stix_are_taken_where_each_part_is_enough() {
        let indicator = |pattern: &str| json!({"type": "indicator", "name": "pool", "pattern": pattern});
        let mut old = indicator("[ipv4-addr:value = '198.51.100.9']");
        old["valid_until"] = "2023-01-01T00:00:00Z".into();
        let bundle = json!({"type": "bundle", "objects": [
            {"type": "malware", "name": "miner"},
            indicator("[ipv4-addr:value = '198.51.100.1']"),
            indicator("[ipv4-addr:value = '198.51.100.2' OR domain-name:value = 'pool.example']"),
            indicator("[ipv6-addr:value = '2001:db8::1'] OR [ipv4-addr:value ISSUBSET '192.0.2.0/24']"),
            indicator("[ipv4-addr:value = '198.51.100.3' AND network-traffic:dst_port = 3333]"),
            indicator("[file:name = 'xmrig']"),
            old,
        ]});
        assert_eq!(
            stix(&bundle, "2024-01-01T00:00:00Z").as_ref().map(show).as_deref(),
            Some(
                "198.51.100.1 pool\n198.51.100.2 pool\npool.example! pool\n2001:db8::1 pool\n192.0.2.0/24 pool\n\
                 `[ipv4-addr:value = '198.51.100.3' AND network-traffic:dst_port = 3333]` is no list of addresses and names\n\
                 `[file:name = 'xmrig']` is no list of addresses and names\n\
                 `[ipv4-addr:value = '198.51.100.9']` is revoked or no longer valid"
            )
        );
    }
}
