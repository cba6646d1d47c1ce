//! A baseline as a file: YAML that people read, edit and commit to git. One line per connection, always in the same order.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use davy_engine::time::parse_timestamp;
use davy_engine::{Error, Result};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

/// What is normal on a network, per host, and what happens with the rest.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct Baseline {
    pub(super) version: u32,
    pub(super) mode: Mode,
    /// Begin of the first and end of the last flow that it was learned from.
    pub(super) learned: Option<Span>,
    #[serde(default)]
    pub(super) hosts: BTreeMap<String, Host>,
    #[serde(default)]
    pub(super) suppressions: Vec<Suppression>,
}

/// What becomes of a deviation.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// It is recorded.
    Audit,
    /// It is an alert.
    Enforce,
    /// Nothing: the host is not compared.
    Disabled,
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Enforce => "enforce",
            Self::Disabled => "disabled",
        }
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct Span {
    pub(super) from: String,
    pub(super) to: String,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct Host {
    /// In place of the baseline's.
    pub(super) mode: Option<Mode>,
    #[serde(default)]
    pub(super) connections: Vec<Connection>,
}

/// A kind of connection: who began it, and to which port of whom.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
pub(super) struct Connection {
    pub(super) direction: Direction,
    /// Upper case, as nfdump prints it.
    pub(super) protocol: String,
    /// An address, or `any`.
    pub(super) peer: String,
    /// Of the server.
    pub(super) port: u16,
}

/// From the host's side.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub(super) enum Direction {
    /// The peer is the client.
    In,
    /// The peer is the server.
    Out,
}

impl Direction {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// Deviations that are known and tolerated for a time. What is left out matches everything.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct Suppression {
    pub(super) host: Option<String>,
    pub(super) peer: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) reason: String,
    /// From this time of the flows on, it suppresses nothing.
    pub(super) expires: String,
}

impl Baseline {
    pub(super) fn new(mode: Mode) -> Self {
        Self { version: VERSION, mode, learned: None, hosts: BTreeMap::new(), suppressions: Vec::new() }
    }

    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::invalid(error.to_string()));
        text.and_then(|text| Self::parse(&text))
            .map_err(|error| error.context(&format!("baseline `{}`", path.display())))
    }

    /// Replaces the file as a whole: a reader sees the old one or the new one.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let unwritable = |error: std::io::Error| Error::invalid(format!("cannot write `{}`: {error}", path.display()));
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        std::fs::write(&new, self.to_yaml()).and_then(|()| std::fs::rename(&new, path)).map_err(unwritable)
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut made: Self = serde_saphyr::from_str(text).map_err(|error| {
            Error::invalid(error.to_string().lines().next().unwrap_or_default().to_owned())
                .hint("`davy baseline learn` writes such a file; docs/spyderbat.md shows one")
        })?;
        made.check()?;
        for host in made.hosts.values_mut() {
            host.connections.sort();
            host.connections.dedup();
        }
        Ok(made)
    }

    fn check(&self) -> Result<()> {
        if self.version != VERSION {
            return Err(Error::invalid(format!("version {} is not known", self.version))
                .hint(format!("this Davy reads version {VERSION}")));
        }
        for (name, host) in &self.hosts {
            check_address("host", name)?;
            for connection in &host.connections {
                check_peer(&connection.peer).map_err(|error| error.context(&format!("host `{name}`")))?;
                if connection.protocol.is_empty() || connection.protocol != connection.protocol.to_uppercase() {
                    return Err(Error::invalid(format!("host `{name}`: protocol `{}`", connection.protocol))
                        .hint("write it in upper case, such as TCP"));
                }
            }
        }
        for Suppression { host, peer, reason, expires, .. } in &self.suppressions {
            host.as_deref().map_or(Ok(()), |host| check_address("host", host))?;
            peer.as_deref().map_or(Ok(()), |peer| check_address("peer", peer))?;
            if reason.trim().is_empty() {
                return Err(Error::invalid("a suppression has no reason").hint("write why it is tolerated"));
            }
            if parse_timestamp(expires).is_none() {
                return Err(Error::invalid(format!("suppression `{reason}`: `{expires}` is no time"))
                    .hint("write it as 2026-12-31T00:00:00"));
            }
        }
        Ok(())
    }

    pub(super) fn to_yaml(&self) -> String {
        let mut text = format!("version: {}\nmode: {}\n", self.version, self.mode.name());
        if let Some(Span { from, to }) = &self.learned {
            text.push_str(&format!("learned: {{from: \"{from}\", to: \"{to}\"}}\n"));
        }
        text.push_str(if self.hosts.is_empty() { "hosts: {}\n" } else { "hosts:\n" });
        for (name, host) in &self.hosts {
            text.push_str(&format!("  \"{name}\":\n"));
            if let Some(mode) = host.mode {
                text.push_str(&format!("    mode: {}\n", mode.name()));
            }
            text.push_str(if host.connections.is_empty() { "    connections: []\n" } else { "    connections:\n" });
            for Connection { direction, protocol, peer, port } in &host.connections {
                text.push_str(&format!(
                    "      - {{direction: {}, protocol: {}, peer: \"{peer}\", port: {port}}}\n",
                    direction.name(),
                    quoted(protocol)
                ));
            }
        }
        if !self.suppressions.is_empty() {
            text.push_str("suppressions:\n");
        }
        for Suppression { host, peer, port, reason, expires } in &self.suppressions {
            text.push_str("  - {");
            let of_text =
                |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name}: \"{value}\", "));
            text.extend(
                [of_text("host", host), of_text("peer", peer), port.map(|port| format!("port: {port}, "))]
                    .into_iter()
                    .flatten(),
            );
            text.push_str(&format!("reason: {}, expires: \"{expires}\"}}\n", quoted(reason)));
        }
        text
    }

    pub(super) fn mode_of(&self, host: &str) -> Mode {
        self.hosts.get(host).and_then(|host| host.mode).unwrap_or(self.mode)
    }
}

/// A YAML text in quotation marks: JSON's form is one of YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn check_address(what: &str, text: &str) -> Result<()> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err(Error::invalid(format!("{what} `{text}` is no address")).hint("write one such as 10.0.0.7 or 2001:db8::7"))
}

fn check_peer(text: &str) -> Result<()> {
    if text == "any" { Ok(()) } else { check_address("peer", text).map_err(|error| error.hint("or `any`")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"version: 1
mode: audit
learned: {from: "2026-11-21T06:30:33", to: "2026-11-21T07:26:07"}
hosts:
  "10.77.1.11":
    mode: enforce
    connections:
      - {direction: in, protocol: "TCP", peer: "any", port: 22}
      - {direction: out, protocol: "UDP", peer: "10.77.2.15", port: 123}
  "fd77::1":
    connections: []
suppressions:
  - {host: "10.77.1.11", port: 3333, reason: "a test of \"miners\"", expires: "2026-12-01T00:00:00"}
"#;

    #[test]
    fn a_file_reads_back_as_it_was_written() {
        let baseline = Baseline::parse(FILE).expect("a baseline");
        assert_eq!(baseline.to_yaml(), FILE);
        assert_eq!(baseline.mode_of("10.77.1.11"), Mode::Enforce);
        assert_eq!(baseline.mode_of("fd77::1"), Mode::Audit);
        let empty = Baseline::new(Mode::Disabled);
        assert_eq!(Baseline::parse(&empty.to_yaml()).expect("a baseline"), empty);
    }

    #[test]
    fn what_people_write_is_put_in_order() {
        let edited = "version: 1\nmode: enforce\nhosts:\n  10.0.0.1:\n    connections:\n    - {port: 443, peer: any, direction: out, protocol: TCP}\n    \
                      - direction: in\n      protocol: TCP\n      peer: 10.0.0.9\n      port: 22\n    - {port: 443, peer: any, direction: out, protocol: TCP}\n";
        let baseline = Baseline::parse(edited).expect("a baseline");
        let shown: Vec<_> =
            baseline.hosts["10.0.0.1"].connections.iter().map(|c| (c.direction.name(), c.port)).collect();
        assert_eq!(shown, [("in", 22), ("out", 443)]);
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("version: 1", "version: 2", "version 2 is not known"),
            ("mode: audit", "mode: alert", "alert"),
            ("\"fd77::1\"", "\"server-1\"", "host `server-1` is no address"),
            ("\"any\"", "\"10.0.0.0/8\"", "peer `10.0.0.0/8` is no address"),
            ("\"UDP\"", "\"udp\"", "protocol `udp`; write it in upper case"),
            ("port: 123", "port: 123456", "invalid u16"),
            ("direction: in", "direction: inside", "inside"),
            ("reason: \"a test of \\\"miners\\\"\"", "reason: \"\"", "a suppression has no reason"),
            ("2026-12-01T00:00:00", "soon", "`soon` is no time"),
            ("connections: []", "connection: []", "connection"),
        ];
        for (from, to, expected) in cases {
            assert!(FILE.contains(from), "{from}");
            let error = Baseline::parse(&FILE.replacen(from, to, 1)).expect_err(expected).to_string();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
