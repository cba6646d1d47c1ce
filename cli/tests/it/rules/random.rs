//! Random rules over random flows: the imported script gives what an evaluator gives that knows Falco's rules and no SQL.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::{flow, rows};
use crate::run::{davy, folder, text};

/// One end of a flow.
#[derive(Clone, Copy, Debug)]
struct End {
    address: IpAddr,
    port: u16,
}

#[derive(Clone, Copy, Debug)]
struct Flow {
    ends: [End; 2],
    protocol: &'static str,
}

/// Which end of a flow a field is about: `r` and `s` are the server, `l` and `c` the client, nothing is any.
const SIDES: [&str; 5] = ["s", "r", "c", "l", ""];

#[derive(Clone, Debug)]
enum Rule {
    And(Vec<Rule>),
    Or(Vec<Rule>),
    Not(Box<Rule>),
    Port { side: &'static str, operator: &'static str, value: u16 },
    PortIn { side: &'static str, values: Vec<u16>, list: bool },
    Net { field: &'static str, side: &'static str, operator: &'static str, values: Vec<&'static str>, list: bool },
    Name { side: &'static str, list: bool },
    Protocol { operator: &'static str, value: &'static str },
}

const PORTS: [u16; 6] = [22, 80, 443, 3333, 4444, 40000];
const ADDRESSES: [&str; 8] =
    ["10.0.0.1", "10.1.0.1", "127.0.0.1", "192.168.1.1", "203.0.113.9", "203.0.113.10", "2001:db8::1", "fd00::1"];
const NETWORKS: [&str; 8] = [
    "10.0.0.0/8",
    "10.1.0.0/16",
    "127.0.0.0/8",
    "203.0.113.9",
    "203.0.113.8/29",
    "2001:db8::/32",
    "0.0.0.0/0",
    "fc00::/7",
];
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "icmp"];
const LIST_PORTS: [u16; 2] = [3333, 4444];
const LIST_NETWORKS: [&str; 3] = ["10.0.0.0/8", "192.168.0.0/16", "fc00::/7"];
/// The addresses of the names in the list, and of `one.example`.
const LIST_NAMES: [&str; 2] = ["203.0.113.9", "2001:db8::1"];
const ONE_NAME: &str = "203.0.113.10";

struct Dice(ChaCha8Rng);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        (self.0.next_u64() % n as u64) as usize
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn some<T: Copy>(&mut self, of: &[T]) -> Vec<T> {
        (0..=self.below(3)).map(|_| self.one(of)).collect()
    }

    fn rule(&mut self, depth: usize) -> Rule {
        let side = self.one(&SIDES);
        match self.below(if depth == 0 { 5 } else { 9 }) {
            0 => Rule::Port { side, operator: self.one(&["=", "!=", "<", "<=", ">", ">="]), value: self.one(&PORTS) },
            1 => Rule::PortIn { side, values: self.some(&PORTS), list: self.below(2) == 0 },
            2 => {
                let operator = self.one(&["=", "!=", "in"]);
                let values = if operator == "in" { self.some(&NETWORKS) } else { vec![self.one(&NETWORKS)] };
                let list = operator == "in" && self.below(2) == 0;
                Rule::Net { field: self.one(&["ip", "net"]), side, operator, values, list }
            }
            3 => Rule::Name { side, list: self.below(2) == 0 },
            4 => Rule::Protocol { operator: self.one(&["=", "!="]), value: self.one(&PROTOCOLS) },
            5 => Rule::Not(Box::new(self.rule(depth - 1))),
            6 | 7 => Rule::And((0..2 + self.below(2)).map(|_| self.rule(depth - 1)).collect()),
            _ => Rule::Or((0..2 + self.below(2)).map(|_| self.rule(depth - 1)).collect()),
        }
    }

    fn flow(&mut self) -> Flow {
        let mut end = || End { address: self.one(&ADDRESSES).parse().expect("an address"), port: self.one(&PORTS) };
        Flow { ends: [end(), end()], protocol: self.one(&PROTOCOLS) }
    }
}

/// A rule as Falco's text.
fn show(rule: &Rule) -> String {
    let join = |parts: &[Rule], word: &str| {
        format!("({})", parts.iter().map(show).collect::<Vec<_>>().join(&format!(" {word} ")))
    };
    let values = |values: Vec<String>, list: Option<&str>| {
        let all: Vec<String> = values.into_iter().chain(list.map(str::to_owned)).collect();
        format!("({})", all.join(", "))
    };
    match rule {
        Rule::And(parts) => join(parts, "and"),
        Rule::Or(parts) => join(parts, "or"),
        Rule::Not(inner) => format!("not {}", show(inner)),
        Rule::Port { side, operator, value } => format!("fd.{side}port {operator} {value}"),
        Rule::PortIn { side, values: ports, list } => {
            let ports = ports.iter().map(u16::to_string).collect();
            format!("fd.{side}port in {}", values(ports, list.then_some("ports")))
        }
        Rule::Net { field, side, operator, values: networks, list } => {
            let quoted: Vec<String> = networks.iter().map(|network| format!("\"{network}\"")).collect();
            match *operator {
                "in" => format!("fd.{side}{field} in {}", values(quoted, list.then_some("networks"))),
                operator => format!("fd.{side}{field}{operator}{}", quoted[0]),
            }
        }
        Rule::Name { side, list: true } => format!("fd.{side}ip.name in (names)"),
        Rule::Name { side, list: false } => format!("fd.{side}ip.name=\"one.example\""),
        Rule::Protocol { operator, value } => format!("fd.l4proto{operator}{value}"),
    }
}

/// Whether an address is in a network, bit by bit.
fn is_in(address: IpAddr, network: &str) -> bool {
    let (first, length) = network.split_once('/').unwrap_or((network, ""));
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let (address, first) = (bits(address), bits(first.parse().expect("an address")));
    let length = length.parse().unwrap_or(8 * first.len());
    let bit = |bytes: &[u8], index: usize| bytes[index / 8] >> (7 - index % 8) & 1;
    address.len() == first.len() && (0..length).all(|index| bit(&address, index) == bit(&first, index))
}

/// Whether a rule is true of a flow whose first end is the client.
fn holds(rule: &Rule, [client, server]: [End; 2], protocol: &str) -> bool {
    let ends = |side: &str| match side {
        "s" | "r" => vec![server],
        "c" | "l" => vec![client],
        _ => vec![client, server],
    };
    let inner = |rule: &Rule| holds(rule, [client, server], protocol);
    match rule {
        Rule::And(parts) => parts.iter().all(inner),
        Rule::Or(parts) => parts.iter().any(inner),
        Rule::Not(rule) => !inner(rule),
        Rule::Port { side, operator, value } => {
            let mut ports = ends(side).into_iter().map(|end| end.port);
            match *operator {
                "=" => ports.any(|port| port == *value),
                "!=" => ports.all(|port| port != *value),
                "<" => ports.any(|port| port < *value),
                "<=" => ports.any(|port| port <= *value),
                ">" => ports.any(|port| *value < port),
                _ => ports.any(|port| *value <= port),
            }
        }
        Rule::PortIn { side, values, list } => {
            ends(side).into_iter().any(|end| values.contains(&end.port) || (*list && LIST_PORTS.contains(&end.port)))
        }
        Rule::Net { side, operator, values, list, .. } => {
            let more: &[&str] = if *list { &LIST_NETWORKS } else { &[] };
            let lies_in = |end: End| values.iter().chain(more).any(|network| is_in(end.address, network));
            if *operator == "!=" { !ends(side).into_iter().any(lies_in) } else { ends(side).into_iter().any(lies_in) }
        }
        Rule::Name { side, list } => {
            let names: &[&str] = if *list { &LIST_NAMES } else { &[ONE_NAME] };
            ends(side).into_iter().any(|end| names.iter().any(|address| is_in(end.address, address)))
        }
        Rule::Protocol { operator, value } => (protocol == *value) == (*operator == "="),
    }
}

const N_RULES: usize = 12;
const N_FLOWS: usize = 150;

fn check(seed: u64) {
    let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
    let rules: Vec<Rule> = (0..N_RULES).map(|_| dice.rule(3)).collect();
    let flows: Vec<Flow> = (0..N_FLOWS).map(|_| dice.flow()).collect();
    let mut yaml = format!(
        "- list: ports\n  items: {LIST_PORTS:?}\n- list: networks\n  items: {LIST_NETWORKS:?}\n- list: names\n  items: [a.example]\n"
    );
    for (number, rule) in rules.iter().enumerate() {
        writeln!(yaml, "- rule: r{number}\n  condition: >\n    {}\n  output: x", show(rule)).expect("a string");
    }
    let line = |(number, flow): (usize, &Flow)| {
        let [a, b] = flow.ends;
        let (minute, second) = (number / 60, number % 60);
        let protocol = flow.protocol.to_uppercase();
        self::flow(&format!("10:{minute:02}:{second:02} {} {} {} {} {protocol}", a.address, a.port, b.address, b.port))
    };
    let csv: String = flows.iter().enumerate().map(line).collect();
    let folder = folder(&[("rules.yaml", &yaml), ("flows.csv", &csv)]);
    let imported = davy(folder.path(), &["rules", "import", "rules.yaml", "--out", "out"]);
    let said = text(&imported.stderr);
    assert!(imported.status.success(), "SEED={seed}\n{said}\n{yaml}");
    for (list, addresses) in [("names.csv", LIST_NAMES.as_slice()), ("own_names.csv", &[ONE_NAME])] {
        let path = folder.path().join("out").join(list);
        if path.exists() {
            let entries: String = addresses.iter().map(|address| format!("{address},name,\n")).collect();
            std::fs::write(path, format!("address,name,expires\n{entries}")).expect("written");
        }
    }
    let found = rows(folder.path());
    let mut found: Vec<String> = found
        .iter()
        .map(|row| {
            let cell = |name: &str| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned);
            let (client, server) = (cell("client"), cell("server"));
            format!(
                "{} {} {client} {} {server} {}",
                cell("rule"),
                &cell("te")[14..19],
                cell("client_port"),
                cell("server_port")
            )
        })
        .collect();
    found.sort();
    let mut wanted = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        for (index, flow) in flows.iter().enumerate() {
            let [a, b] = flow.ends;
            for [client, server] in [[a, b], [b, a]] {
                if holds(rule, [client, server], flow.protocol) {
                    let (minute, second) = (index / 60, index % 60);
                    wanted.push(format!(
                        "r{number} {minute:02}:{second:02} {} {} {} {}",
                        client.address, client.port, server.address, server.port
                    ));
                }
            }
        }
    }
    wanted.sort();
    let differing: BTreeSet<&String> = found
        .iter()
        .filter(|row| !wanted.contains(row))
        .chain(wanted.iter().filter(|row| !found.contains(row)))
        .collect();
    assert!(found == wanted, "SEED={seed}\n{differing:?}\n{yaml}\n{csv}");
}

#[test]
fn imported_rules_give_what_an_evaluator_gives() {
    #[expect(clippy::disallowed_methods, reason = "a seed to play again")]
    let given = std::env::var("SEED");
    if let Ok(seed) = given {
        return check(seed.parse().expect("a number"));
    }
    (0..8).for_each(check);
}
