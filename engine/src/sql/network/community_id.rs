//! `community_id(sa, da, sp, dp, pr [, seed])`: the Community ID v1 of a flow, the same for both directions.
//!
//! Zeek, Suricata, Wireshark, Elastic and others compute it too, so it joins a flow to what they know of it. It is `1:` and the base64 of
//! SHA-1 over seed, addresses, protocol and ports, with the lesser end first. [github.com/corelight/community-id-spec]
//!
//! ICMP has type and code in place of ports. nfdump writes 0 as source port and type * 256 + code as destination port; where the source
//! port is not 0, the two ports are taken as type and code themselves.

use core::net::IpAddr;
use std::sync::Arc;

use arrow::array::{Array, StringBuilder};
use arrow::datatypes::DataType;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use datafusion::common::{Result as DfResult, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use sha1::{Digest, Sha1};

use super::{Argument, integers, refuse, texts};

const NAME: &str = "community_id";
const ARGUMENTS: [&str; 6] = ["sa", "da", "sp", "dp", "pr", "seed"];

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP6: u8 = 58;
const SCTP: u8 = 132;

/// Protocols by the names that collectors print, in lower case.
const PROTOCOLS: [(&str, u8); 26] = [
    ("ah", 51),
    ("dccp", 33),
    ("egp", 8),
    ("eigrp", 88),
    ("esp", 50),
    ("gre", 47),
    ("icmp", ICMP),
    ("icmp6", ICMP6),
    ("icmpv6", ICMP6),
    ("igmp", 2),
    ("igp", 9),
    ("ipcomp", 108),
    ("ipip", 4),
    ("ipv4", 4),
    ("ipv6", 41),
    ("ipv6-icmp", ICMP6),
    ("l2tp", 115),
    ("ospf", 89),
    ("ospfigp", 89),
    ("pim", 103),
    ("rsvp", 46),
    ("sctp", SCTP),
    ("tcp", TCP),
    ("udp", UDP),
    ("udplite", 136),
    ("vrrp", 112),
];

/// Types of ICMP that answer each other.
const ICMP_PAIRS: [(u8, u8); 5] = [(0, 8), (9, 10), (13, 14), (15, 16), (17, 18)];
const ICMP6_PAIRS: [(u8, u8); 6] = [(128, 129), (130, 131), (133, 134), (135, 136), (139, 140), (144, 145)];

/// A protocol by number or name.
pub(in crate::sql) fn protocol_number(text: &str) -> Option<u8> {
    let text = text.trim();
    let of_name = || PROTOCOLS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, number)| *number);
    text.parse().ok().or_else(of_name)
}

struct Flow {
    source: IpAddr,
    destination: IpAddr,
    ports: Option<(u16, u16)>,
    protocol: u8,
    /// Whether the direction counts, because nothing answers.
    is_one_way: bool,
}

impl Flow {
    fn new(addresses: (&str, &str), ports: (Option<i64>, Option<i64>), protocol: &str) -> Option<Self> {
        let source: IpAddr = addresses.0.trim().parse().ok()?;
        let destination: IpAddr = addresses.1.trim().parse().ok()?;
        if source.is_ipv4() != destination.is_ipv4() {
            return None;
        }
        let protocol = protocol_number(protocol)?;
        let given = || Some((u16::try_from(ports.0?).ok()?, u16::try_from(ports.1?).ok()?));
        let (ports, is_one_way) = match protocol {
            TCP | UDP | SCTP => (Some(given()?), false),
            ICMP => of_icmp(given()?, &ICMP_PAIRS),
            ICMP6 => of_icmp(given()?, &ICMP6_PAIRS),
            // Zeek and Suricata leave ports out where a protocol has none.
            _ => (None, false),
        };
        Some(Self { source, destination, ports, protocol, is_one_way })
    }

    fn id(&self, seed: u16) -> String {
        let there = (self.source, self.ports.map(|ports| ports.0));
        let back = (self.destination, self.ports.map(|ports| ports.1));
        let (first, second) = if self.is_one_way || there <= back { (there, back) } else { (back, there) };
        let mut hash = Sha1::new();
        hash.update(seed.to_be_bytes());
        for address in [first.0, second.0] {
            match address {
                IpAddr::V4(address) => hash.update(address.octets()),
                IpAddr::V6(address) => hash.update(address.octets()),
            }
        }
        hash.update([self.protocol, 0]);
        for port in [first.1, second.1].into_iter().flatten() {
            hash.update(port.to_be_bytes());
        }
        format!("1:{}", BASE64_STANDARD.encode(hash.finalize()))
    }
}

/// Type and code as ports: the type that answers takes the place of the code.
fn of_icmp(ports: (u16, u16), pairs: &[(u8, u8)]) -> (Option<(u16, u16)>, bool) {
    let (kind, code) = if ports.0 == 0 { (ports.1 >> 8, ports.1 & 0xff) } else { ports };
    let answer = pairs.iter().find_map(|(a, b)| match kind {
        _ if kind == u16::from(*a) => Some(u16::from(*b)),
        _ if kind == u16::from(*b) => Some(u16::from(*a)),
        _ => None,
    });
    (Some((kind, answer.unwrap_or(code))), answer.is_none())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CommunityId {
    signature: Signature,
}

pub(super) fn function() -> Arc<ScalarUDF> {
    let signature = Signature::new(TypeSignature::UserDefined, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(CommunityId { signature }))
}

impl ScalarUDFImpl for CommunityId {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, given: &[DataType]) -> DfResult<Vec<DataType>> {
        if !(5..=6).contains(&given.len()) {
            return refuse(
                format!("`{NAME}` takes 5 or 6 arguments (sa, da, sp, dp, pr [, seed]), not {}", given.len()),
                "give addresses as TEXT, ports as integers, and the protocol by name or number".to_owned(),
            );
        }
        let wanted = given.iter().zip(ARGUMENTS).map(|(given, name)| {
            let argument = Argument { function: NAME, name };
            match name {
                "sa" | "da" => argument.text(given),
                "pr" if !given.is_integer() => argument.text(given),
                "pr" => Ok(DataType::Utf8),
                _ => argument.integer(given),
            }
        });
        wanted.collect()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let (sources, destinations, protocols) = (texts(&args, 0)?, texts(&args, 1)?, texts(&args, 4)?);
        let (source_ports, destination_ports) = (integers(&args, 2)?, integers(&args, 3)?);
        let seeds = if args.args.len() == 6 { Some(integers(&args, 5)?) } else { None };
        let mut made = StringBuilder::with_capacity(args.number_rows, args.number_rows * 30);
        for row in 0..args.number_rows {
            let is_null = [&sources, &destinations, &protocols].iter().any(|column| column.is_null(row));
            let port = |ports: &arrow::array::Int64Array| ports.is_valid(row).then(|| ports.value(row));
            let seed = match &seeds {
                None => Some(0),
                Some(seeds) if seeds.is_null(row) => None,
                Some(seeds) => match u16::try_from(seeds.value(row)) {
                    Ok(seed) => Some(seed),
                    Err(_) => return exec_err!("{NAME}: the seed {} is not from 0 to 65535", seeds.value(row)),
                },
            };
            let flow = (!is_null).then(|| {
                let addresses = (sources.value(row), destinations.value(row));
                Flow::new(addresses, (port(&source_ports), port(&destination_ports)), protocols.value(row))
            });
            made.append_option(flow.flatten().zip(seed).map(|(flow, seed)| flow.id(seed)));
        }
        Ok(ColumnarValue::Array(Arc::new(made.finish())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(sa: &str, sp: i64, da: &str, dp: i64, pr: &str) -> Option<String> {
        Flow::new((sa, da), (Some(sp), Some(dp)), pr).map(|flow| flow.id(0))
    }

    /// From Zeek's tests and the specification's examples.
    #[test]
    fn published_flows_have_their_published_ids() {
        let v6 = ("fe80:0001:0203:0405:0607:0809:0a0b:0c0d", "fe80:1011:1213:1415:1617:1819:1a1b:1c1d");
        let cases = [
            ("1.2.3.4", 1122, "5.6.7.8", 3344, "tcp", "1:wCb3OG7yAFWelaUydu0D+125CLM="),
            ("1.2.3.4", 1122, "5.6.7.8", 3344, "udp", "1:0Mu9InQx6z4ZiCZM/7HXi2WMhOg="),
            ("1.2.3.4", 8, "5.6.7.8", 0, "icmp", "1:crodRHL2FEsHjbv3UkRrfbs4bZ0="),
            ("1.2.3.4", 0, "5.6.7.8", 8 << 8, "ICMP", "1:crodRHL2FEsHjbv3UkRrfbs4bZ0="),
            ("5.6.7.8", 0, "1.2.3.4", 0, "1", "1:crodRHL2FEsHjbv3UkRrfbs4bZ0="),
            (v6.0, 128, v6.1, 129, "icmp6", "1:0bf7hyMJUwt3fMED7z8LIfRpBeo="),
            (v6.1, 0, v6.0, 129 << 8, "IPv6-ICMP", "1:0bf7hyMJUwt3fMED7z8LIfRpBeo="),
            ("128.232.110.120", 34855, "66.35.250.204", 80, "TCP", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
            ("66.35.250.204", 80, "128.232.110.120", 34855, " 6 ", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        ];
        for (sa, sp, da, dp, pr, expected) in cases {
            assert_eq!(id(sa, sp, da, dp, pr).as_deref(), Some(expected), "{sa} {sp} {da} {dp} {pr}");
        }
        let seeded = Flow::new(("1.2.3.4", "5.6.7.8"), (Some(1122), Some(3344)), "tcp").map(|flow| flow.id(1));
        assert_eq!(seeded.as_deref(), Some("1:HhA1B+6CoLbiKPEs5nhNYN4XWfk="));
    }

    #[test]
    fn what_is_no_flow_has_no_id() {
        let cases = [
            ("host", 1, "5.6.7.8", 2, "tcp"),
            ("1.2.3.4", 1, "", 2, "tcp"),
            ("1.2.3.4", 1, "::1", 2, "tcp"),
            ("1.2.3.4", -1, "5.6.7.8", 2, "tcp"),
            ("1.2.3.4", 1, "5.6.7.8", 65536, "udp"),
            ("1.2.3.4", 1, "5.6.7.8", 2, "256"),
            ("1.2.3.4", 1, "5.6.7.8", 2, "nonsense"),
        ];
        for (sa, sp, da, dp, pr) in cases {
            assert_eq!(id(sa, sp, da, dp, pr), None, "{sa} {sp} {da} {dp} {pr}");
        }
        assert!(Flow::new(("1.2.3.4", "5.6.7.8"), (None, Some(1)), "tcp").is_none(), "TCP has ports");
        assert!(Flow::new(("1.2.3.4", "5.6.7.8"), (None, None), "gre").is_some(), "GRE has none");
    }
}
