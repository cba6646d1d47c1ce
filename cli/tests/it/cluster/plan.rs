//! Which faults, in which order: made of a seed, so that a plan can be played again.

use std::collections::BTreeMap;
use std::fmt;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::end_to_end::process::{FILE_POINTS, POINTS};
use davy_testkit::proxy::Cut;

/// What happens to a cluster. Which worker it hits is chosen by the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A worker is killed.
    Kill,
    /// The only worker kills itself when it passes a point for the n-th time, and others come.
    Crash(&'static str, u64),
    /// A worker is paused until others have its tasks, and wakes up.
    Freeze,
    /// Workers are started, or stopped with SIGTERM, until there are so many.
    Scale(usize),
    /// The coordinator is killed, and comes back with the same catalog.
    Restart,
    /// The coordinator is killed while another one stands by.
    Failover,
    /// The coordinator is paused for longer than a lease, but not for so long that another one could lead.
    Doze,
    /// The coordinator is paused until another one leads, and wakes up.
    FrozenLeader,
    /// The coordinator loses the broker until another one leads.
    BrokerlessLeader(Cut),
    /// A worker loses its coordinator until others have its tasks, but not the broker.
    Lost(Cut),
    /// A worker's connection to its coordinator breaks; the next one comes about at once.
    Hiccup,
    /// A worker loses the broker for a while, but not its coordinator.
    Brokerless(Cut),
    /// The pipeline rests, and goes on.
    Pause,
    /// What stands above the windows is replaced.
    Update,
}

impl Fault {
    fn kind(&self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Crash(point, _) => point,
            Self::Freeze => "freeze",
            Self::Scale(_) => "scale",
            Self::Restart => "restart of the coordinator",
            Self::Failover => "failover",
            Self::Doze => "doze",
            Self::FrozenLeader => "frozen leader",
            Self::BrokerlessLeader(_) => "leader cut from the broker",
            Self::Lost(_) => "cut from the coordinator",
            Self::Hiccup => "hiccup",
            Self::Brokerless(_) => "cut from the broker",
            Self::Pause => "pause",
            Self::Update => "update",
        }
    }
}

/// Faults in their order.
#[derive(Clone, Debug)]
pub(super) struct Plan(pub(super) Vec<Fault>);

impl Plan {
    /// `n` faults as chance has it.
    pub(super) fn chaos(seed: u64, n: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        Self((0..n).map(|_| any(&mut random)).collect())
    }
}

fn any(random: &mut ChaCha8Rng) -> Fault {
    let cut = if random.next_u32().is_multiple_of(2) { Cut::Silent } else { Cut::Broken };
    match random.next_u32() % 100 {
        0..15 => Fault::Kill,
        15..25 => {
            let points = [&POINTS[..], &FILE_POINTS[..]].concat();
            let point = points[random.next_u32() as usize % points.len()];
            Fault::Crash(point, 1 + u64::from(random.next_u32() % 30))
        }
        25..35 => Fault::Freeze,
        35..50 => Fault::Scale(1 + random.next_u32() as usize % 4),
        50..60 => Fault::Restart,
        60..65 => Fault::Failover,
        65..67 => Fault::Doze,
        67..69 => Fault::FrozenLeader,
        69..70 => Fault::BrokerlessLeader(cut),
        70..76 => Fault::Lost(cut),
        76..82 => Fault::Hiccup,
        82..90 => Fault::Brokerless(cut),
        90..95 => Fault::Pause,
        _ => Fault::Update,
    }
}

impl fmt::Display for Plan {
    /// How many of each kind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        self.0.iter().for_each(|fault| *kinds.entry(fault.kind()).or_default() += 1);
        let shown: Vec<String> = kinds.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        write!(f, "{}", shown.join(", "))
    }
}

#[test]
fn a_plan_is_the_same_for_the_same_seed() {
    assert_eq!(Plan::chaos(3, 40).0, Plan::chaos(3, 40).0);
    assert_ne!(Plan::chaos(3, 40).0, Plan::chaos(4, 40).0);
}
