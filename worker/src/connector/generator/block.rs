//! Makes flows a block at a time: the unit in which randomness begins anew.

use std::ops::Range;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::flow::{Flags, Flow, Label, Protocol};
use super::world::{ACTIVE_TIMEOUT_MS, World};

/// About 4 MiB as text.
pub(super) const BLOCK_ROWS: usize = 8192;

const MS: u64 = 1_000_000;

/// When rows happen. Row `n` of a split ends `n` steps after the start, less its jitter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    pub(super) start_ns: i64,
    pub(super) step_ns: u64,
    pub(super) jitter_ns: u64,
}

impl Timing {
    fn since_start_ns(&self, row: u64) -> u64 {
        row.saturating_mul(self.step_ns)
    }

    fn time_ns(&self, row: u64) -> i64 {
        self.start_ns.saturating_add_unsigned(self.since_start_ns(row))
    }
}

/// Makes blocks, and keeps the last one for the pieces that are smaller.
pub(super) struct Blocks {
    world: Arc<World>,
    timing: Timing,
    n_splits: u64,
    flows: Vec<Flow>,
    /// Split and number of the block in `flows`.
    made: Option<(u64, u64)>,
}

impl Blocks {
    pub(super) fn new(world: Arc<World>, timing: Timing, n_splits: u64) -> Self {
        Self { world, timing, n_splits, flows: Vec::with_capacity(BLOCK_ROWS), made: None }
    }

    /// The flows of a split from row `from` to the end of its block.
    pub(super) fn flows(&mut self, split: u64, from: u64) -> &[Flow] {
        let (block, within) = (from / BLOCK_ROWS as u64, (from % BLOCK_ROWS as u64) as usize);
        if self.made != Some((split, block)) {
            self.make(split, block);
            self.made = Some((split, block));
        }
        &self.flows[within..]
    }

    fn make(&mut self, split: u64, block: u64) {
        let mut random = Random::new(self.world.seed, split, block);
        let first_row = block * BLOCK_ROWS as u64;
        self.flows.clear();
        for row in first_row..first_row + BLOCK_ROWS as u64 {
            let jitter_ns = if self.timing.jitter_ns == 0 { 0 } else { random.below64(self.timing.jitter_ns) };
            let te_ns = self.timing.time_ns(row).saturating_sub_unsigned(jitter_ns);
            self.flows.push(ordinary(&mut random, &self.world, te_ns));
        }
        self.put_miners(split, first_row);
    }

    /// Puts the miners' records of the block's time instead of ordinary flows; where the rate is too low for them all,
    /// half of the rows are theirs and the rest is lost, as on a router whose table is full.
    fn put_miners(&mut self, split: u64, first_row: u64) {
        let period_ns = ACTIVE_TIMEOUT_MS * MS;
        let begin_ns = self.timing.since_start_ns(first_row);
        let end_ns = self.timing.since_start_ns(first_row + BLOCK_ROWS as u64);
        let mut n_left = BLOCK_ROWS / 2;
        for miner in self.world.miners_of(split, self.n_splits) {
            let phase_ns = miner.phase_ms * MS;
            let mut number = begin_ns.saturating_sub(phase_ns).div_ceil(period_ns);
            while n_left > 0 && phase_ns + number * period_ns < end_ns {
                let due_ns = phase_ns + number * period_ns;
                let wanted = ((due_ns - begin_ns) / self.timing.step_ns) as usize;
                let slot = free_slot(&self.flows, wanted);
                self.flows[slot] = miner.record(number, self.flows[slot].te_ns);
                n_left -= 1;
                number += 1;
            }
        }
    }
}

/// The first row from `wanted` on, around the end, that is no miner's; there is one, as miners have half at most.
fn free_slot(flows: &[Flow], wanted: usize) -> usize {
    let mut slot = wanted % flows.len();
    while flows[slot].label == Label::Miner {
        slot = (slot + 1) % flows.len();
    }
    slot
}

/// Random numbers of one block.
struct Random(ChaCha8Rng);

impl Random {
    /// Every block of every split has a stream of its own.
    fn new(seed: u64, split: u64, block: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(split << 48 | block);
        Self(rng)
    }

    fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(n)) >> 32) as u32
    }

    fn below64(&mut self, n: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(n)) >> 64) as u64
    }

    fn within(&mut self, range: Range<u32>) -> u32 {
        range.start + self.below(range.end - range.start)
    }

    /// Heavy-tailed: from `least`, each doubling (up to `n_doublings`) equally likely.
    fn heavy(&mut self, least: u32, n_doublings: u32) -> u32 {
        let scale = least << self.below(n_doublings);
        scale + self.below(scale)
    }

    fn client_port(&mut self) -> u16 {
        self.within(32_768..60_999) as u16
    }
}

/// One flow of the benign mix.
fn ordinary(random: &mut Random, world: &World, te_ns: i64) -> Flow {
    let flow = match random.below(1000) {
        0..430 => web(random, world, te_ns),
        430..760 => datagram(random, world, te_ns, Label::Dns),
        760..800 => datagram(random, world, te_ns, Label::Ntp),
        800..820 => ssh(random, world, te_ns),
        820..830 => bulk(random, world, te_ns),
        830..900 => return scan(random, world, te_ns),
        _ => iot(random, world, te_ns),
    };
    if flow.protocol == Protocol::Tcp && random.below(16) == 0 { flow.reversed() } else { flow }
}

/// A TCP flow whose sizes are to be filled in.
fn tcp(random: &mut Random, world: &World, te_ns: i64, label: Label) -> Flow {
    Flow {
        te_ns,
        td_ms: 0,
        sa: random.within(world.hosts.clone()),
        da: world.web.start,
        sp: random.client_port(),
        dp: 443,
        protocol: Protocol::Tcp,
        flags: Flags::AckPush,
        label,
        ipkt: 0,
        ibyt: 0,
        opkt: 0,
        obyt: 0,
    }
}

/// Pages and their parts: mostly short, some connections kept for minutes.
fn web(random: &mut Random, world: &World, te_ns: i64) -> Flow {
    let is_long = random.below(5) == 0;
    let (td_ms, ipkt) = if is_long {
        (random.within(60_000..300_000), random.heavy(20, 6))
    } else {
        (random.heavy(40, 9), random.heavy(5, 5))
    };
    let opkt = ipkt + random.below(ipkt);
    let flags = match random.below(10) {
        _ if is_long => Flags::AckPush,
        0..7 => Flags::OpenedClosed,
        7 => Flags::OpenedReset,
        _ => Flags::Opened,
    };
    Flow {
        td_ms,
        da: random.within(world.web.clone()),
        dp: if random.below(8) == 0 { 80 } else { 443 },
        flags,
        ipkt: ipkt.into(),
        ibyt: u64::from(ipkt) * u64::from(random.within(60..220)),
        opkt: opkt.into(),
        obyt: u64::from(opkt) * u64::from(random.within(180..1400)),
        ..tcp(random, world, te_ns, Label::Web)
    }
}

/// A question and its answer: DNS or NTP.
fn datagram(random: &mut Random, world: &World, te_ns: i64, label: Label) -> Flow {
    let is_dns = label == Label::Dns;
    let n_packets = if random.below(20) == 0 { 2 } else { 1 };
    let (request, answer) = if is_dns { (random.within(54..96), random.within(80..520)) } else { (76, 76) };
    let servers = if is_dns { &world.resolvers } else { &world.clocks };
    Flow {
        td_ms: random.heavy(1, 8),
        da: random.within(servers.clone()),
        dp: if is_dns { 53 } else { 123 },
        protocol: Protocol::Udp,
        flags: Flags::None,
        ipkt: n_packets,
        ibyt: n_packets * u64::from(request),
        opkt: 1,
        obyt: u64::from(answer),
        ..tcp(random, world, te_ns, label)
    }
}

/// An interactive session: a person typing, or a program that behaves like one.
fn ssh(random: &mut Random, world: &World, te_ns: i64) -> Flow {
    let ipkt = random.heavy(15, 7);
    Flow {
        td_ms: random.heavy(800, 8),
        da: random.within(world.shells.clone()),
        dp: 22,
        flags: if random.below(2) == 0 { Flags::OpenedClosed } else { Flags::AckPush },
        ipkt: ipkt.into(),
        ibyt: u64::from(ipkt) * u64::from(random.within(60..160)),
        opkt: ipkt.into(),
        obyt: u64::from(ipkt) * u64::from(random.within(70..320)),
        ..tcp(random, world, te_ns, Label::Ssh)
    }
}

fn bulk(random: &mut Random, world: &World, te_ns: i64) -> Flow {
    let opkt = random.heavy(2000, 9);
    Flow {
        td_ms: random.within(4_000..300_000),
        da: random.within(world.web.clone()),
        flags: Flags::AckPush,
        ipkt: u64::from(opkt) / 2,
        ibyt: u64::from(opkt) / 2 * u64::from(random.within(52..66)),
        opkt: opkt.into(),
        obyt: u64::from(opkt) * u64::from(random.within(1300..1500)),
        ..tcp(random, world, te_ns, Label::Bulk)
    }
}

/// A probe from outside, mostly unanswered.
fn scan(random: &mut Random, world: &World, te_ns: i64) -> Flow {
    let is_answered = random.below(8) == 0;
    let n_back = u64::from(is_answered);
    Flow {
        td_ms: if is_answered { random.below(200) } else { 0 },
        sa: random.within(world.scanners.clone()),
        da: random.within(world.hosts.clone()),
        dp: random.within(1..10_000) as u16,
        flags: if is_answered { Flags::SynReset } else { Flags::Syn },
        ipkt: 1,
        ibyt: if random.below(2) == 0 { 40 } else { 60 },
        opkt: n_back,
        obyt: n_back * 40,
        ..tcp(random, world, te_ns, Label::Scan)
    }
}

/// Keep-alives once a minute: the benign traffic that looks most like a miner.
fn iot(random: &mut Random, world: &World, te_ns: i64) -> Flow {
    let ipkt = random.within(3..14);
    Flow {
        td_ms: random.within(180_000..300_000),
        da: random.within(world.clouds.clone()),
        dp: if random.below(2) == 0 { 8883 } else { 443 },
        flags: if random.below(4) == 0 { Flags::Ack } else { Flags::AckPush },
        ipkt: ipkt.into(),
        ibyt: u64::from(ipkt) * u64::from(random.within(52..110)),
        opkt: ipkt.into(),
        obyt: u64::from(ipkt) * u64::from(random.within(52..120)),
        ..tcp(random, world, te_ns, Label::Iot)
    }
}
