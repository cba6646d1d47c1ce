//! What flows make a baseline: rows of pipelines/baseline_learn.sql to connections of hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, TimestampNanosecondType};
use davy_engine::time::{TIMESTAMP, format_ns};
use davy_engine::{Error, Result};

use super::file::{Baseline, Connection, Direction, Host, Mode, Span};

/// Which hosts are learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hosts {
    /// Those of private networks (RFC 1918, and fc00::/7).
    Private,
    All,
    /// Those of these networks.
    Of(Vec<Network>),
}

/// A network such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    bits: u32,
}

/// A connection that a host had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) host: String,
    pub(super) connection: Connection,
    /// Begin of the first flow and end of the last one; ns since 1970.
    pub(super) first: i64,
    pub(super) last: i64,
}

/// The baseline of these connections. Where a host has more than `peers_max` peers for one kind of connection, any peer is normal.
pub(super) fn learn(seen: &[Seen], hosts: &Hosts, peers_max: usize) -> Baseline {
    let mut baseline = Baseline::new(Mode::Audit);
    let mut peers: BTreeMap<(&str, Direction, &str, u16), BTreeSet<&str>> = BTreeMap::new();
    let mut span: Option<(i64, i64)> = None;
    for Seen { host, connection: Connection { direction, protocol, peer, port }, first, last } in seen {
        if !hosts.contain(host) {
            continue;
        }
        let (from, to) = span.unwrap_or((*first, *last));
        span = Some((from.min(*first), to.max(*last)));
        peers.entry((host, *direction, protocol, *port)).or_default().insert(peer);
    }
    for ((host, direction, protocol, port), peers) in peers {
        let names = if peers_max < peers.len() { BTreeSet::from(["any"]) } else { peers };
        let connection =
            |peer: &str| Connection { direction, protocol: protocol.to_owned(), peer: peer.to_owned(), port };
        let known: &mut Host = baseline.hosts.entry(host.to_owned()).or_default();
        known.connections.extend(names.into_iter().map(connection));
    }
    baseline.hosts.values_mut().for_each(|host| host.connections.sort());
    baseline.learned = span.map(|(from, to)| Span { from: format_ns(from), to: format_ns(to) });
    baseline
}

/// Rows of the script. Addresses and ports that are none are left out: such a row cannot be compared later either.
pub(super) fn seen(batches: &[RecordBatch]) -> Result<Vec<Seen>> {
    let mut rows = Vec::new();
    for batch in batches {
        let column = |name: &str, to: &DataType| {
            let column = batch.column_by_name(name);
            let column = column.ok_or_else(|| Error::invalid(format!("the script gives no column `{name}`")))?;
            cast(column, to).map_err(|error| Error::invalid(format!("column `{name}`: {error}")))
        };
        let text = |name: &str| column(name, &DataType::Utf8);
        let [hosts, directions, protocols, peers] = ["host", "direction", "protocol", "peer"].map(text);
        let (hosts, directions, protocols, peers) = (hosts?, directions?, protocols?, peers?);
        let ports = column("port", &DataType::Int32)?;
        let (firsts, lasts) = (column("first_seen", &TIMESTAMP)?, column("last_seen", &TIMESTAMP)?);
        let [hosts, directions, protocols, peers] =
            [&hosts, &directions, &protocols, &peers].map(|column| column.as_string::<i32>());
        let ports = ports.as_primitive::<Int32Type>();
        let [firsts, lasts] = [&firsts, &lasts].map(|column| column.as_primitive::<TimestampNanosecondType>());
        for row in 0..batch.num_rows() {
            let direction = if directions.value(row) == "in" { Direction::In } else { Direction::Out };
            let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
            let Ok(port) = u16::try_from(ports.value(row)) else { continue };
            if ports.is_null(row) || !is_address(hosts.value(row)) || !is_address(peers.value(row)) {
                continue;
            }
            rows.push(Seen {
                host: hosts.value(row).to_owned(),
                connection: Connection {
                    direction,
                    protocol: protocols.value(row).to_owned(),
                    peer: peers.value(row).to_owned(),
                    port,
                },
                first: firsts.value(row),
                last: lasts.value(row),
            });
        }
    }
    Ok(rows)
}

impl Hosts {
    /// `private`, `all`, or networks with commas.
    pub(super) fn parse(text: &str) -> std::result::Result<Self, String> {
        match text {
            "private" => Ok(Self::Private),
            "all" => Ok(Self::All),
            networks => networks.split(',').map(Network::parse).collect::<std::result::Result<_, _>>().map(Self::Of),
        }
    }

    pub(super) fn contain(&self, host: &str) -> bool {
        let Ok(address) = host.parse::<IpAddr>() else { return false };
        match self {
            Self::All => true,
            Self::Private => match address {
                IpAddr::V4(address) => address.is_private(),
                IpAddr::V6(address) => address.is_unique_local(),
            },
            Self::Of(networks) => networks.iter().any(|network| network.contains(address)),
        }
    }
}

impl Network {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let wrong = || format!("`{text}` is no network such as 10.0.0.0/8 or 2001:db8::/32");
        let (address, bits) = text.trim().split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits: u32 = bits.parse().map_err(|_| wrong())?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        if bits_max < bits { Err(wrong()) } else { Ok(Self { address, bits }) }
    }

    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(host: &str, direction: Direction, peer: &str, port: u16) -> Seen {
        let connection = Connection { direction, protocol: "TCP".to_owned(), peer: peer.to_owned(), port };
        Seen { host: host.to_owned(), connection, first: i64::from(port), last: i64::from(port) + 1_000_000_000 }
    }

    #[test]
    fn connections_are_those_of_the_hosts_and_many_peers_become_any() {
        use Direction::{In, Out};
        let seen = [
            one("10.0.0.1", Out, "192.0.2.1", 443),
            one("10.0.0.1", Out, "192.0.2.2", 443),
            one("10.0.0.1", Out, "192.0.2.3", 443),
            one("10.0.0.1", Out, "192.0.2.1", 80),
            one("10.0.0.1", Out, "192.0.2.1", 80),
            one("10.0.0.1", In, "10.0.0.2", 22),
            one("192.0.2.1", In, "10.0.0.1", 443),
        ];
        let baseline = learn(&seen, &Hosts::Private, 2);
        let shown: Vec<String> = baseline
            .hosts
            .iter()
            .flat_map(|(host, of)| {
                of.connections.iter().map(move |c| format!("{host} {} {}:{}", c.direction.name(), c.peer, c.port))
            })
            .collect();
        assert_eq!(shown, ["10.0.0.1 in 10.0.0.2:22", "10.0.0.1 out 192.0.2.1:80", "10.0.0.1 out any:443"]);
        let span = baseline.learned.expect("a span");
        assert_eq!(
            (span.from.as_str(), span.to.as_str()),
            ("1970-01-01T00:00:00.000000022", "1970-01-01T00:00:01.000000443")
        );
        assert_eq!(learn(&seen, &Hosts::All, 2).hosts.len(), 2);
        assert_eq!(learn(&[], &Hosts::All, 2), Baseline::new(Mode::Audit));
    }

    #[test]
    fn hosts_are_private_or_of_networks() {
        let cases = [
            ("private", "10.1.2.3", true),
            ("private", "172.32.0.1", false),
            ("private", "fd77::1", true),
            ("private", "2001:db8::1", false),
            ("all", "8.8.8.8", true),
            ("all", "server", false),
            ("192.0.2.0/24,2001:db8::/32", "192.0.2.255", true),
            ("192.0.2.0/24,2001:db8::/32", "192.0.3.0", false),
            ("192.0.2.0/24,2001:db8::/32", "2001:db8:ffff::1", true),
            ("0.0.0.0/0", "203.0.113.7", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "::1", true),
            ("10.0.0.1/32", "10.0.0.1", true),
            ("10.0.0.1/32", "10.0.0.2", false),
        ];
        for (hosts, host, expected) in cases {
            assert_eq!(Hosts::parse(hosts).expect("hosts").contain(host), expected, "{hosts} {host}");
        }
        for wrong in ["", "public", "10.0.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/8,x/1"] {
            Hosts::parse(wrong).expect_err(wrong);
        }
    }
}
