//! Which faults, in which order: made of a seed, so that a plan can be played again.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::end_to_end::process::{FILE_POINTS, POINTS};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Injection {
    /// It kills itself when it passes a point for the n-th time.
    Point(&'static str, u64),
    /// It is killed so long after its start.
    Kill(Duration),
    /// It gets SIGTERM.
    Terminate,
    /// It is paused for longer than its transactions may be open, and no other process takes over its tasks.
    Freeze(Duration),
    /// It is paused, another process takes over its tasks, and it continues.
    Zombie(Duration),
    /// A second one is started while it runs.
    Second,
    /// Two are started at once.
    Twins,
    /// The broker dies and comes back.
    BrokerKill,
    /// The broker is paused.
    BrokerPause(Duration),
}

impl Injection {
    fn kind(&self) -> &'static str {
        match self {
            Self::Point(point, _) => point,
            Self::Kill(_) => "kill",
            Self::Terminate => "terminate",
            Self::Freeze(_) => "freeze",
            Self::Zombie(_) => "zombie",
            Self::Second => "second",
            Self::Twins => "twins",
            Self::BrokerKill => "broker kill",
            Self::BrokerPause(_) => "broker pause",
        }
    }
}

/// Faults in their order.
#[derive(Clone, Debug)]
pub(super) struct Plan(pub(super) Vec<Injection>);

impl Plan {
    /// Every point early and late, and a few of everything else.
    pub(super) fn matrix(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut faults = Vec::new();
        for point in POINTS.into_iter().chain(FILE_POINTS) {
            faults.extend([1, 2, 7].map(|n| Injection::Point(point, n)));
            faults.push(Injection::Point(point, 10 + u64::from(random.next_u32() % 30)));
        }
        faults.extend((0..20).map(|_| kill(&mut random)));
        faults.extend((0..4).map(|_| Injection::Terminate));
        faults.extend((0..2).flat_map(|_| [Injection::Freeze(FROZEN), Injection::Zombie(FROZEN), Injection::Second]));
        faults.extend([Injection::Zombie(Duration::ZERO), Injection::Twins, Injection::Twins]);
        faults.extend([Injection::BrokerKill, Injection::BrokerPause(FROZEN)]);
        shuffle(&mut faults, &mut random);
        Self(faults)
    }

    /// Around every commit of files, a few times.
    pub(super) fn of_files(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let points = FILE_POINTS.into_iter().chain(["before_begin", "before_commit", "after_commit"]);
        let mut faults: Vec<Injection> = points.flat_map(|point| [1, 6].map(|n| Injection::Point(point, n))).collect();
        faults.extend([Injection::Terminate, Injection::Zombie(FROZEN), Injection::Twins, kill(&mut random)]);
        shuffle(&mut faults, &mut random);
        Self(faults)
    }

    /// Each node of three dies once, with a killed process in between.
    pub(super) fn of_nodes() -> Self {
        let kill = Injection::Kill(Duration::from_millis(500));
        let broker = Injection::BrokerKill;
        Self(vec![broker.clone(), kill, broker.clone(), broker])
    }

    /// `n` faults as chance has it.
    pub(super) fn chaos(seed: u64, n: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        Self((0..n).map(|_| any(&mut random)).collect())
    }
}

/// Longer than transactions may be open, with the second that the broker takes to notice.
const FROZEN: Duration = Duration::from_secs(4);

fn kill(random: &mut ChaCha8Rng) -> Injection {
    Injection::Kill(Duration::from_millis(u64::from(random.next_u32() % 2_500)))
}

fn any(random: &mut ChaCha8Rng) -> Injection {
    let up_to = |random: &mut ChaCha8Rng, ms: u32| Duration::from_millis(u64::from(random.next_u32() % ms));
    match random.next_u32() % 100 {
        0..50 => {
            let points = [&POINTS[..], &FILE_POINTS[..]].concat();
            let point = points[random.next_u32() as usize % points.len()];
            Injection::Point(point, 1 + u64::from(random.next_u32() % 60))
        }
        50..78 => kill(random),
        78..84 => Injection::Terminate,
        84..87 => Injection::Freeze(up_to(random, 6_000)),
        87..91 => Injection::Zombie(up_to(random, 6_000)),
        91..93 => Injection::Second,
        93..95 => Injection::Twins,
        95..97 => Injection::BrokerKill,
        _ => Injection::BrokerPause(up_to(random, 6_000)),
    }
}

fn shuffle(faults: &mut [Injection], random: &mut ChaCha8Rng) {
    for index in (1..faults.len()).rev() {
        faults.swap(index, random.next_u32() as usize % (index + 1));
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
    assert_eq!(Plan::matrix(7).0, Plan::matrix(7).0);
    assert_ne!(Plan::matrix(7).0, Plan::matrix(8).0);
    assert!(60 <= Plan::matrix(0).0.len());
    assert_eq!(Plan::chaos(3, 40).0, Plan::chaos(3, 40).0);
}
