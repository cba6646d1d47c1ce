//! Who is on the network: hosts, the servers they talk to, and the miners with their habits.

use std::ops::Range;

use super::flow::{Flags, Flow, Label, Protocol};

/// Routers cut long flows here.
pub(super) const ACTIVE_TIMEOUT_MS: u64 = 300_000;

/// Ports that pools listen on; 443 among them, since port lists alone must not be enough.
const POOL_PORTS: [u16; 8] = [3333, 4444, 5555, 7777, 14444, 14433, 10128, 443];

/// How many addresses of each kind there are.
const N_WEB: u32 = 2048;
const N_RESOLVERS: u32 = 4;
const N_CLOCKS: u32 = 8;
const N_SHELLS: u32 = 64;
const N_CLOUDS: u32 = 32;
const N_SCANNERS: u32 = 16;
const N_POOLS: u32 = 24;

/// The network; does not change while rows are made.
#[derive(Debug)]
pub(super) struct World {
    pub(super) seed: u64,
    /// Every address as text; flows hold indices.
    addresses: Vec<Box<str>>,
    pub(super) hosts: Range<u32>,
    pub(super) web: Range<u32>,
    pub(super) resolvers: Range<u32>,
    pub(super) clocks: Range<u32>,
    pub(super) shells: Range<u32>,
    pub(super) clouds: Range<u32>,
    pub(super) scanners: Range<u32>,
    miners: Vec<Miner>,
}

impl World {
    /// The share is of the hosts; a share above zero has at least one miner.
    pub(super) fn new(seed: u64, n_hosts: u32, miner_share: f64) -> Self {
        let mut addresses = Vec::new();
        let hosts = extend(&mut addresses, n_hosts, |n| format!("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255));
        let web = extend(&mut addresses, N_WEB, |n| format!("198.18.{}.{}", n >> 8, n & 255));
        let resolvers = extend(&mut addresses, N_RESOLVERS, |n| format!("10.255.0.{}", n + 1));
        let clocks = extend(&mut addresses, N_CLOCKS, |n| format!("198.51.100.{}", n + 1));
        let shells = extend(&mut addresses, N_SHELLS, |n| format!("198.19.0.{}", n + 1));
        let clouds = extend(&mut addresses, N_CLOUDS, |n| format!("198.19.1.{}", n + 1));
        let scanners = extend(&mut addresses, N_SCANNERS, |n| format!("192.0.2.{}", n + 1));
        let pools = extend(&mut addresses, N_POOLS, |n| format!("203.0.113.{}", n + 1));
        let n_miners = (f64::from(n_hosts) * miner_share).ceil() as u64;
        let host_of = |miner: u64| (miner * u64::from(n_hosts) / n_miners) as u32;
        let miners = (0..n_miners).map(|miner| Miner::new(seed, miner, host_of(miner), &pools)).collect();
        Self { seed, addresses, hosts, web, resolvers, clocks, shells, clouds, scanners, miners }
    }

    pub(super) fn address(&self, index: u32) -> &str {
        &self.addresses[index as usize]
    }

    /// The miners whose records come in the split: a host's exporter writes into one split only.
    pub(super) fn miners_of(&self, split: u64, n_splits: u64) -> impl Iterator<Item = &Miner> {
        let (skip, step) = (usize::try_from(split), usize::try_from(n_splits));
        self.miners.iter().skip(skip.unwrap_or(usize::MAX)).step_by(step.unwrap_or(usize::MAX))
    }
}

fn extend(addresses: &mut Vec<Box<str>>, n: u32, name: impl Fn(u32) -> String) -> Range<u32> {
    let start = addresses.len() as u32;
    addresses.extend((0..n).map(|index| name(index).into_boxed_str()));
    start..start + n
}

/// A host that keeps a Stratum session open and reopens it some hours later.
#[derive(Debug)]
pub(super) struct Miner {
    /// Everything about it that varies comes from here.
    id: u64,
    host: u32,
    pool: u32,
    pool_port: u16,
    /// When, within the active timeout, its records are cut.
    pub(super) phase_ms: u64,
    /// Records in a session: one to twelve hours.
    n_records_per_session: u64,
    packets_per_minute: f64,
}

impl Miner {
    fn new(seed: u64, number: u64, host: u32, pools: &Range<u32>) -> Self {
        let id = mixed(mixed(seed) ^ number);
        let mut dice = Dice(id);
        Self {
            id,
            host,
            pool: dice.pick(pools),
            pool_port: POOL_PORTS[dice.below(POOL_PORTS.len() as u64) as usize],
            phase_ms: dice.below(ACTIVE_TIMEOUT_MS),
            n_records_per_session: 12 + dice.below(133),
            packets_per_minute: 10.0 + 17.0 * dice.unit(),
        }
    }

    /// Its record number `number`, which ends at `te_ns`.
    ///
    /// Both directions together: 8 to 30 packets a minute, 50 to 130 bytes a packet.
    pub(super) fn record(&self, number: u64, te_ns: i64) -> Flow {
        // Sessions began before the first record: at a time zero, not all connect at once.
        let number = number + self.id % self.n_records_per_session;
        let (session, in_session) = (number / self.n_records_per_session, number % self.n_records_per_session);
        let mut dice = Dice(mixed(self.id ^ number));
        let td_ms = (ACTIVE_TIMEOUT_MS - dice.below(20_000)) as u32;
        let packets_per_minute = self.packets_per_minute + 3.0 * (dice.unit() - 0.5);
        let packets = (packets_per_minute * f64::from(td_ms) / 60_000.0).round() as u64;
        let ipkt = (packets as f64 * (0.45 + 0.1 * dice.unit())).round() as u64;
        let opkt = packets - ipkt;
        let flow = Flow {
            te_ns,
            td_ms,
            sa: self.host,
            da: self.pool,
            sp: 32_768 + (mixed(self.id ^ !session) % 28_000) as u16,
            dp: self.pool_port,
            protocol: Protocol::Tcp,
            flags: self.flags(in_session, dice.below(10)),
            label: Label::Miner,
            ipkt,
            ibyt: ipkt * (56 + dice.below(45)),
            opkt,
            obyt: opkt * (62 + dice.below(65)),
        };
        if dice.below(16) == 0 { flow.reversed() } else { flow }
    }

    fn flags(&self, in_session: u64, roll: u64) -> Flags {
        if in_session == 0 {
            return Flags::Opened;
        }
        if in_session + 1 == self.n_records_per_session {
            return Flags::Closed;
        }
        if roll == 0 { Flags::Ack } else { Flags::AckPush }
    }
}

/// Random numbers from a number (splitmix64): small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.0)
    }

    fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn pick(&mut self, range: &Range<u32>) -> u32 {
        range.start + self.below(u64::from(range.end - range.start)) as u32
    }
}

/// The finaliser of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn mixed(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}
