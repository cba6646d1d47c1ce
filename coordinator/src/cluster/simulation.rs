//! A cluster of simulated workers with random faults, checked by a referee that sees all of it.
//!
//! Workers crash, freeze, hang up, come back with old tasks, drain, refuse tasks, are slow to give them back; messages are late or lost;
//! the coordinator restarts and knows only the catalog; people pause, stop, change and forget pipelines. After each step the referee
//! checks what was granted. Then the faults end, and all must come to rest as it is wanted.
//!
//! A seed decides everything. `SEED=17 cargo test -p davy-coordinator simulation` runs that one alone. Deliberately broken coordinators
//! (impatient or forgetful ones) must be caught, else the referee sees nothing.

mod referee;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use referee::Referee;
use worker::SimWorker;

const STEP: Duration = Duration::from_millis(500);
const N_SEEDS: u64 = 100;
const N_SEEDS_UNTIL_CAUGHT: u64 = 200;
const N_STEPS_OF_TROUBLE: u32 = 600;
/// Longer than all time-outs together, and than a task avoids a worker.
const N_STEPS_OF_CALM: u32 = 400;

#[test]
fn under_random_faults_each_task_has_one_owner_and_the_cluster_comes_to_rest() {
    #[expect(clippy::disallowed_methods, reason = "a test is replayed by its seed")]
    let seeds = match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (0..N_SEEDS).collect(),
    };
    for seed in seeds {
        if let Err(wrong) = run(seed, &Flaw::None) {
            panic!("{wrong}; to replay: SEED={seed}");
        }
    }
}

#[test]
fn broken_coordinators_are_caught() {
    for flaw in [Flaw::NoDrain, Flaw::ShortLease, Flaw::NoGracePeriod, Flaw::EpochsBeginAgain, Flaw::NoBalance] {
        let caught = (0..N_SEEDS_UNTIL_CAUGHT).find_map(|seed| run(seed, &flaw).err());
        let caught = caught.unwrap_or_else(|| panic!("no check noticed {flaw:?}"));
        assert!(caught.contains(flaw.noticed_as()), "{flaw:?} was noticed as: {caught}");
    }
}

/// What is wrong with the coordinator.
#[derive(Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// It grants a task elsewhere without waiting for its owner to give it back.
    NoDrain,
    /// It takes workers for lost that are only a little late.
    ShortLease,
    /// After its start it grants tasks before it knows who has them.
    NoGracePeriod,
    /// Its catalog forgets the epochs.
    EpochsBeginAgain,
    /// It never moves a task for balance.
    NoBalance,
}

impl Flaw {
    fn options(&self) -> ClusterOptions {
        let mut options = honest_options();
        match self {
            Self::None | Self::EpochsBeginAgain => {}
            Self::NoDrain => options.drain_timeout = Duration::ZERO,
            Self::ShortLease => options.lease_timeout = Duration::from_secs(3),
            Self::NoGracePeriod => options.startup_grace_period = Duration::ZERO,
            Self::NoBalance => options.move_cool_down = Duration::MAX,
        }
        options
    }

    fn noticed_as(&self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::NoDrain | Self::ShortLease | Self::NoGracePeriod => "still has it",
            Self::EpochsBeginAgain => "epoch",
            Self::NoBalance => "not balanced",
        }
    }
}

fn honest_options() -> ClusterOptions {
    ClusterOptions {
        forget_after: Duration::from_secs(60),
        back_off_max: Duration::from_secs(20),
        ..ClusterOptions::default()
    }
}

/// Runs one seed; an error is what the referee saw.
fn run(seed: u64, flaw: &Flaw) -> Result<(), String> {
    let mut world = World::new(seed, flaw);
    for _ in 0..N_STEPS_OF_TROUBLE {
        world.make_trouble();
        world.step()?;
    }
    world.end_trouble();
    for _ in 0..N_STEPS_OF_CALM {
        world.step()?;
    }
    world.referee.check_rest(&world.cluster, &world.workers, &world.records)
}

struct World<'a> {
    flaw: &'a Flaw,
    random: Random,
    now: Duration,
    cluster: Cluster,
    last_epoch: u64,
    records: BTreeMap<PipelineId, PipelineRecord>,
    workers: Vec<SimWorker>,
    n_workers_ever: u32,
    is_calm: bool,
    referee: Referee,
}

impl<'a> World<'a> {
    fn new(seed: u64, flaw: &'a Flaw) -> Self {
        let now = Duration::ZERO;
        let mut world = Self {
            flaw,
            random: Random(seed),
            now,
            cluster: Cluster::new(flaw.options(), now),
            last_epoch: 0,
            records: BTreeMap::new(),
            workers: Vec::new(),
            n_workers_ever: 0,
            is_calm: false,
            referee: Referee::default(),
        };
        for _ in 0..world.random.between(1, 5) {
            world.add_worker();
        }
        for name in ["p", "q", "r"].into_iter().take(world.random.between(1, 3) as usize) {
            let record = tests::record(name, world.random.between(1, 6) as u32);
            world.cluster.set_pipeline(&record);
            world.records.insert(record.id().clone(), record);
        }
        world
    }

    /// Messages arrive, workers work, the coordinator decides, and the referee looks.
    fn step(&mut self) -> Result<(), String> {
        self.now += STEP;
        for worker in &mut self.workers {
            worker.step(self.now, &mut self.random, self.is_calm);
            for message in worker.take_sent(self.now) {
                // Who was lost has to register first: what it says before is not listened to.
                if message.clone().deliver(worker, &mut self.cluster, self.now) {
                    self.referee.note_heard(&worker.id, message.reports(), self.now);
                }
            }
        }
        let last_epoch = &mut self.last_epoch;
        let actions = self.cluster.decide(self.now, &mut || {
            *last_epoch += 1;
            Epoch(*last_epoch)
        });
        for action in actions {
            self.referee.check(&action, &self.workers, self.now)?;
            let (Action::Grant { worker, .. } | Action::Revoke { worker, .. }) = &action;
            let is_lost = !self.is_calm && self.random.one_in(40);
            let late = Duration::from_millis(self.random.between(0, 1500));
            if let Some(worker) = self.workers.iter_mut().find(|one| one.id == *worker && !is_lost) {
                worker.send(action, self.now + late);
            }
        }
        Ok(())
    }

    fn make_trouble(&mut self) {
        if self.random.one_in(150) {
            self.restart_coordinator();
        }
        if self.random.one_in(60) {
            self.change_a_pipeline();
        }
        if self.workers.len() < 6 && self.random.one_in(40) {
            self.add_worker();
        }
        if self.random.one_in(80) && !self.workers.is_empty() {
            let which = self.random.between(0, self.workers.len() as u64 - 1) as usize;
            let crashed = self.workers.remove(which);
            self.cluster.close_session(&crashed.id);
        }
        for worker in &mut self.workers {
            match self.random.between(0, 600) {
                0 => worker.is_draining = true,
                1..=4 => worker.frozen_until = self.now + Duration::from_secs(self.random.between(1, 25)),
                5..=12 => {
                    worker.break_call(self.now + Duration::from_secs(self.random.between(0, 20)));
                    self.cluster.close_session(&worker.id);
                }
                _ => {}
            }
        }
        // A draining worker ends when it has no task left.
        let has_left = |worker: &SimWorker| worker.is_draining && worker.tasks.is_empty() && worker.ended.is_empty();
        for worker in self.workers.extract_if(.., |worker| has_left(worker)) {
            self.cluster.close_session(&worker.id);
        }
    }

    fn end_trouble(&mut self) {
        self.is_calm = true;
        for worker in &mut self.workers {
            worker.frozen_until = self.now;
        }
        if self.workers.iter().all(|worker| worker.is_draining) {
            self.add_worker();
        }
    }

    fn add_worker(&mut self) {
        self.n_workers_ever += 1;
        let zone = ["a", "b"][self.random.between(0, 1) as usize];
        let slots = self.random.between(1, 4) as u32;
        self.workers.push(SimWorker::new(&format!("w{:03}", self.n_workers_ever), slots, zone));
    }

    /// Another one begins; it knows the catalog only.
    fn restart_coordinator(&mut self) {
        self.cluster = Cluster::new(self.flaw.options(), self.now);
        for record in self.records.values() {
            self.cluster.set_pipeline(record);
        }
        if *self.flaw == Flaw::EpochsBeginAgain {
            self.last_epoch /= 2;
        }
        for worker in &mut self.workers {
            worker.break_call(self.now + Duration::from_millis(self.random.between(0, 6000)));
        }
        self.referee.note_restart(&self.workers, self.now);
    }

    fn change_a_pipeline(&mut self) {
        let ids: Vec<PipelineId> = self.records.keys().cloned().collect();
        let id = &ids[self.random.between(0, ids.len() as u64 - 1) as usize];
        let Some(record) = self.records.get_mut(id) else { return };
        match self.random.between(0, 9) {
            0 | 1 => record.desired_state = DesiredState::Pause,
            2 => record.desired_state = DesiredState::Stop,
            3 => record.desired_state = DesiredState::StopNow,
            4..=6 => record.desired_state = DesiredState::Run,
            7 | 8 => Arc::make_mut(&mut record.spec).spec_version += 1,
            _ => {
                // Forgotten, and submitted anew: it begins with version 1 again.
                let fresh = tests::record(&id.name, self.random.between(1, 6) as u32);
                *record = fresh;
                self.cluster.forget_pipeline(id);
                self.referee.note_forgotten(id);
            }
        }
        self.cluster.set_pipeline(record);
    }
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `[least, most]`.
    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.between(1, n) == 1
    }
}
