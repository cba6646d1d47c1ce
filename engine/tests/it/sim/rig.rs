//! One run: a broker, owners of tasks, and a generator that decides what happens next.
//!
//! Everything happens in one thread. While an owner is paused in the middle of a commit (see [`FaultInjector::pause`]), other owners
//! step, commit and take over within that call; then the owner continues.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::kafka::{Broker, Fate, FaultInjector, Network, Refusal, Request, Response, Rules};
use davy_engine::log::offset_metadata::{OffsetMetadata, SplitMetadata, SplitState};
use davy_engine::log::{Position, SplitId};
use davy_engine::metrics::Metrics;
use davy_engine::operator::spill::Budget;

use super::case::Case;
use super::check::Reader;
use super::disk::Disk;
use super::faults::{Broken, Faults, Plan};
use super::owners::Slot;
use super::producer::Producer;
use super::trace;
use crate::random::Rng;

/// What changes while a run goes on.
pub struct State {
    pub rng: Rng,
    pub slots: Vec<Slot>,
    pub trace: Vec<String>,
    /// None: faults have stopped.
    pub faults: Option<Faults>,
    pub now: Duration,
    pub producer: Producer,
    pub reader: Reader,
    pub n_owners: u64,
    /// How many owners are paused in the middle of a request.
    pub n_paused: usize,
    /// Damage that was noticed.
    pub n_refused: usize,
    /// The first thing that went wrong.
    pub problem: Option<String>,
}

pub struct Rig {
    pub case: Arc<Case>,
    pub plan: Plan,
    pub network: Arc<Network>,
    pub budget: Budget,
    pub disk: Arc<Disk>,
    pub metrics: Arc<Metrics>,
    state: Mutex<State>,
}

/// What a run left behind.
pub struct Outcome {
    pub result: Result<(), String>,
    pub trace: Vec<String>,
    pub n_refused: usize,
}

/// Plays a case; a panic of the engine is a problem like any other.
pub fn run(case: &Arc<Case>, plan: Plan) -> Outcome {
    let rig = Rig::new(case, plan);
    let result = catch_unwind(AssertUnwindSafe(|| rig.play()))
        .unwrap_or_else(|panic| Err(format!("a panic: {:?}", panic.downcast_ref::<String>())));
    let mut state = rig.state();
    Outcome { result, trace: std::mem::take(&mut state.trace), n_refused: state.n_refused }
}

/// Draws the network's faults from the run's generator.
struct RandomFaults(Weak<Rig>);

impl FaultInjector for RandomFaults {
    fn fate(&self, owner: u64, request: &Request) -> Fate {
        let Some(rig) = self.0.upgrade() else { return Fate::Deliver };
        let comes_late = {
            let mut state = rig.state();
            let percent = state.faults.map_or(0, |faults| faults.deliver_late);
            state.rng.percent(percent)
        };
        if comes_late {
            rig.deliver_late();
        }
        let mut state = rig.state();
        let fate = draw(&mut state, request);
        if fate != Fate::Deliver {
            state.trace.push(format!("owner {owner}: {fate:?} {}", trace::request(request)));
        }
        fate
    }

    fn pause(&self, owner: u64) {
        let Some(rig) = self.0.upgrade() else { return };
        let n_turns = {
            let mut state = rig.state();
            state.n_paused += 1;
            5 + state.rng.below(40)
        };
        for _ in 0..n_turns {
            rig.turn();
        }
        let mut state = rig.state();
        state.n_paused -= 1;
        state.trace.push(format!("owner {owner} goes on"));
    }

    fn answered(&self, owner: u64, request: &Request, answer: &Result<Response, Refusal>) {
        let Some(rig) = self.0.upgrade() else { return };
        let line = format!("owner {owner}: {} → {}", trace::request(request), trace::answer(answer));
        rig.state().trace.push(line);
    }
}

fn draw(state: &mut State, request: &Request) -> Fate {
    let Some(faults) = state.faults else { return Fate::Deliver };
    let can_pause = state.n_paused < 2;
    let mut number = state.rng.below(1_000);
    let crashes = [faults.crash / 2, faults.crash.div_ceil(2)];
    let pauses = if can_pause { [faults.pause / 2, faults.pause.div_ceil(2)] } else { [0, 0] };
    let is_last = matches!(request, Request::EndTxn { .. } | Request::TxnOffsetCommit { .. });
    let delay = if is_last { faults.delay + faults.delay_last } else { faults.delay };
    let table = [
        (faults.lose_request, Fate::LoseRequest),
        (faults.lose_answer, Fate::LoseAnswer),
        (delay, Fate::Delay),
        (crashes[0], Fate::CrashBefore),
        (crashes[1], Fate::CrashAfter),
        (pauses[0], Fate::PauseBefore),
        (pauses[1], Fate::PauseAfter),
    ];
    for (weight, fate) in table {
        if number < weight {
            return fate;
        }
        number -= weight;
    }
    Fate::Deliver
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Owner,
    Producer,
    Look,
    Marker,
    DeliverLate,
    Kill,
    Duplicate,
    TimeJump,
    Join,
    Purge,
    Disk,
}

impl Rig {
    /// What is there when a run has come to its end.
    pub fn after_a_run(case: &Arc<Case>, plan: Plan) -> Result<Arc<Self>, String> {
        let rig = Self::new(case, plan);
        rig.play().map(|()| rig)
    }

    fn new(case: &Arc<Case>, plan: Plan) -> Arc<Self> {
        let rules = Rules { checks_epochs: plan.broken != Broken::NoFencing, ..Rules::default() };
        let disk = Arc::new(Disk::new(plan.broken == Broken::LosesSpilled));
        let budget = Budget::new(case.planned.memory_bytes, disk.clone()).unwrap();
        let budget = Budget { state_bytes: crate::support::state_bytes(plan.seed, budget.state_bytes), ..budget };
        let mut broker = Broker::new(rules);
        let producer = Producer::new(&case.input, &mut broker);
        for sink in case.planned.sinks.keys() {
            broker.make_topic(sink, 2);
        }
        let slots = Slot::all(case, &plan, &mut broker);
        let state = State {
            rng: Rng::new(plan.seed ^ 0x51e0),
            slots,
            trace: Vec::new(),
            faults: Some(plan.faults),
            now: Duration::ZERO,
            producer,
            reader: Reader::default(),
            n_owners: 0,
            n_paused: 0,
            n_refused: 0,
            problem: None,
        };
        Arc::new_cyclic(|rig| Self {
            case: Arc::clone(case),
            plan,
            network: Arc::new(Network::new(broker, Arc::new(RandomFaults(rig.clone())))),
            budget,
            disk,
            metrics: Arc::default(),
            state: Mutex::new(state),
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn say(&self, line: String) {
        self.state().trace.push(line);
    }

    pub fn fail(&self, problem: String) {
        self.state().problem.get_or_insert(problem);
    }

    fn play(&self) -> Result<(), String> {
        for _ in 0..self.plan.n_turns {
            self.turn();
            if let Some(problem) = self.state().problem.take() {
                return Err(problem);
            }
        }
        self.quiet()
    }

    fn turn(&self) {
        if self.state().problem.is_some() {
            return;
        }
        match self.next_event() {
            Event::Owner => self.some_owner(),
            Event::Producer => self.producer(),
            Event::Look => self.look(),
            Event::Marker => {
                self.network.broker().write_marker();
            }
            Event::DeliverLate => self.deliver_late(),
            Event::Kill => self.kill(),
            Event::Duplicate => self.duplicate(),
            Event::TimeJump => self.pass(Duration::from_secs(11)),
            Event::Join => {
                let mut state = self.state();
                if !state.producer.has_joined {
                    state.trace.push("a partition joins `flows`".into());
                    state.producer.join(&mut self.network.broker());
                }
            }
            Event::Purge => self.purge(),
            Event::Disk => {
                let is_full = !self.disk.is_full();
                self.disk.set_full(is_full);
                self.say(format!("the disk {}", if is_full { "is full" } else { "has room again" }));
            }
        }
    }

    fn next_event(&self) -> Event {
        let faults = self.plan.faults;
        let table = [
            (70, Event::Owner),
            (20, Event::Producer),
            (4, Event::Look),
            (4, Event::Marker),
            (faults.deliver_late, Event::DeliverLate),
            (faults.kill, Event::Kill),
            (faults.duplicate, Event::Duplicate),
            (faults.time_jump, Event::TimeJump),
            (faults.join, Event::Join),
            (faults.purge, Event::Purge),
            (faults.disk, Event::Disk),
        ];
        let mut state = self.state();
        let passed = Duration::from_millis(state.rng.below(300) as u64);
        state.now += passed;
        let all: usize = table.iter().map(|(weight, _)| weight).sum();
        let mut number = state.rng.below(all);
        for (weight, event) in table {
            if number < weight {
                return event;
            }
            number -= weight;
        }
        Event::Owner
    }

    fn producer(&self) {
        let mut state = self.state();
        let state = &mut *state;
        if let Some(line) = state.producer.write_some(&mut state.rng, &mut self.network.broker()) {
            state.trace.push(line);
        }
    }

    /// A reader looks at what is committed.
    pub fn look(&self) {
        let mut state = self.state();
        let looked = state.reader.poll(&self.case, &self.network.broker());
        match looked {
            Ok(n_new) => state.trace.push(format!("a reader sees {n_new} rows more")),
            Err(problem) => {
                state.problem.get_or_insert(problem);
            }
        }
    }

    fn deliver_late(&self) {
        let n_late = self.network.n_late();
        if 0 < n_late {
            let index = self.state().rng.below(n_late);
            self.say("a late request arrives".into());
            self.network.deliver_late(index);
        }
    }

    pub fn pass(&self, time: Duration) {
        let mut state = self.state();
        state.now += time;
        let n_expired = self.network.broker().advance(state.now);
        let line = format!("{} s pass, {n_expired} transactions expire", time.as_secs());
        state.trace.push(line);
    }

    /// Deletes what no recovery needs any more.
    fn purge(&self) {
        let mut state = self.state();
        let mut broker = self.network.broker();
        let readers: Vec<(Arc<str>, Arc<str>)> = state
            .slots
            .iter()
            .flat_map(|slot| slot.topics.iter().map(|topic| (slot.group.clone(), topic.clone())))
            .collect();
        for topic_partition in broker.topic_partitions() {
            let split = SplitId::from(topic_partition.to_string().as_str());
            let of_topic: Vec<&Arc<str>> =
                readers.iter().filter(|(_, topic)| *topic == topic_partition.topic).map(|(group, _)| group).collect();
            let needed =
                |group: &&Arc<str>| broker.committed(group, &split).map_or(Position(0), |one| needed_from(&one));
            let Some(from) = of_topic.iter().copied().map(|group| needed(&group)).min() else { continue };
            if broker.bounds(&topic_partition).expect("listed").first < from {
                state.trace.push(format!("{topic_partition} is purged below {}", from.0));
                broker.delete_before(&topic_partition, from).expect("listed");
            }
        }
    }
}

fn needed_from((position, text): &(Position, String)) -> Position {
    match SplitMetadata::decode(text) {
        OffsetMetadata::Valid(SplitMetadata { state: SplitState::Windows { replay_from, .. }, .. }) => replay_from,
        OffsetMetadata::Valid(_) => *position,
        OffsetMetadata::Erased | OffsetMetadata::Unreadable(_) => Position(0),
    }
}
