//! Owners of tasks: they take over, step, commit, and stop or start again depending on the error.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::kafka::{Broker, Choice, ExchangeSource, SimClient, TableSource, TableSourceOptions, TextRows};
use davy_engine::Error;
use davy_engine::connector::Share;
use davy_engine::log::memory::exchange_split;
use davy_engine::log::transactions::{Destination, TransactionalCommit, TransactionalOptions};
use davy_engine::log::wire::Wire;
use davy_engine::log::{Source, SplitId};
use davy_engine::operator::partial::WindowedAggregate;
use davy_engine::plan::{Dataflow, Output, StageInput};
use davy_engine::task::{Step, Task, TaskParts};

use super::canary::{BrokenClient, damage};
use super::case::Case;
use super::faults::{Broken, Plan};
use super::producer::message_timestamp;
use super::rig::Rig;
use crate::random::Rng;

/// Tasks of each stage.
const N_TASKS: u32 = 2;

pub struct Owner {
    pub id: u64,
    /// None while it runs.
    pub task: Option<Task>,
}

/// A task and its owners, current and former; the last one is the newest.
pub struct Slot {
    pub dataflow: Arc<Dataflow>,
    pub stage: usize,
    pub index: u32,
    pub name: Arc<str>,
    pub group: Arc<str>,
    /// The topics it reads.
    pub topics: Vec<Arc<str>>,
    pub owners: Vec<Owner>,
}

impl Slot {
    /// Every task of the case, without owners; makes the exchanges' topics.
    pub fn all(case: &Case, plan: &Plan, broker: &mut Broker) -> Vec<Self> {
        let mut slots = Vec::new();
        for (number, dataflow) in case.planned.dataflows.iter().enumerate() {
            for (stage, of) in dataflow.stages.iter().enumerate() {
                let topics: Vec<Arc<str>> = match &of.input {
                    StageInput::Table(plan) => vec![plan.table.name.clone()],
                    StageInput::Exchanges(inputs) => {
                        inputs.iter().map(|input| input.aggregate.exchange.0.clone()).collect()
                    }
                };
                if matches!(of.input, StageInput::Exchanges(_)) {
                    topics.iter().for_each(|topic| broker.make_topic(topic, plan.n_exchange_partitions as usize));
                }
                for index in 0..N_TASKS {
                    let (dataflow, topics, owners) = (Arc::clone(dataflow), topics.clone(), Vec::new());
                    let (name, group) = (format!("{number}/{stage}/{index}"), format!("group {number}/{stage}"));
                    let (name, group) = (name.into(), group.into());
                    slots.push(Self { dataflow, stage, index, name, group, topics, owners });
                }
            }
        }
        slots
    }
}

fn wire(aggregate: &WindowedAggregate) -> Wire {
    let schema = aggregate.partial_schema().expect("a planned aggregate has a schema");
    Wire::new(schema).expect("a planned aggregate can be regrouped")
}

fn choice(mut rng: Rng) -> Choice {
    Box::new(move |end| rng.below(end))
}

impl Rig {
    /// Starts a new owner of a task; one that does not start is started again later.
    pub fn start(&self, slot: usize) {
        let (owner, parts, now) = self.parts(slot);
        self.say(format!("owner {owner} takes over {}", parts.name));
        match Task::recover(parts, now) {
            Ok(task) => self.state().slots[slot].owners.push(Owner { id: owner, task: Some(task) }),
            Err(Error::Unavailable(_) | Error::Fenced(_)) => self.say(format!("owner {owner} does not start")),
            Err(error) => self.fail(format!("owner {owner} does not recover: {error}")),
        }
    }

    pub fn parts(&self, slot: usize) -> (u64, TaskParts, std::time::Duration) {
        let mut state = self.state();
        state.n_owners += 1;
        let (owner, now) = (state.n_owners, state.now);
        let mut seed = || Rng::new(state.rng.next());
        let (choices, damages) = (seed(), seed());
        let slot = &state.slots[slot];
        let source = self.source(slot, choices, damages);
        let client = SimClient::new(&self.network, owner, &slot.name, &slot.group);
        let client = BrokenClient::new(client, self.plan.broken);
        let commit = TransactionalCommit::new(client, self.options(slot, owner));
        let parts = TaskParts {
            name: Arc::clone(&slot.name),
            dataflow: Arc::clone(&slot.dataflow),
            stage: slot.stage,
            n_tasks: vec![N_TASKS; slot.dataflow.stages.len()].into(),
            index: slot.index,
            n_partitions: self.plan.n_exchange_partitions,
            source,
            commit: Box::new(commit),
            budget: self.budget.clone(),
            metrics: Arc::clone(&self.metrics),
            board: Arc::default(),
            run_start: 0,
            rows_per_advance: self.plan.rows_per_advance,
            probe: |_| (),
        };
        (owner, parts, now)
    }

    fn source(&self, slot: &Slot, choices: Rng, damages: Rng) -> Box<dyn Source> {
        match &slot.dataflow.stages[slot.stage].input {
            StageInput::Table(_) => Box::new(TableSource::new(
                &self.network,
                TableSourceOptions {
                    topic: Arc::clone(&slot.topics[0]),
                    share: Share { index: slot.index as usize, count: N_TASKS as usize },
                    messages_per_poll: self.plan.messages_per_poll,
                    choice: choice(choices),
                    timestamp: match self.plan.broken {
                        Broken::NoTimestamps => |_| -1,
                        _ => message_timestamp,
                    },
                },
            )),
            StageInput::Exchanges(inputs) => {
                let wires: BTreeMap<Arc<str>, Wire> =
                    inputs.iter().map(|input| (input.aggregate.exchange.0.clone(), wire(&input.aggregate))).collect();
                let own = (slot.index..self.plan.n_exchange_partitions).step_by(N_TASKS as usize);
                let splits: Vec<SplitId> = own
                    .flat_map(|partition| {
                        inputs.iter().map(move |input| exchange_split(&input.aggregate.exchange, partition))
                    })
                    .collect();
                let source = ExchangeSource::new(&self.network, wires, splits, choice(choices));
                Box::new(source.damaged(damage(&self.plan, damages)))
            }
        }
    }

    fn options(&self, slot: &Slot, owner: u64) -> TransactionalOptions {
        let mut exchanges = HashMap::new();
        for branch in &slot.dataflow.stages[slot.stage].branches {
            if let Output::Exchange(aggregate) = &branch.output {
                exchanges.insert(aggregate.exchange.clone(), (aggregate.exchange.0.clone(), wire(aggregate)));
            }
        }
        let sink = |(name, sink): (&Arc<str>, &davy_engine::plan::SinkPlan)| {
            let rows = TextRows::new(Arc::clone(name), sink.clone());
            (Arc::clone(name), Destination::Inside(Box::new(rows)))
        };
        TransactionalOptions {
            name: Arc::clone(&slot.name),
            task: slot.index,
            n_tasks: N_TASKS,
            owner,
            exchanges,
            sinks: self.case.planned.sinks.iter().map(sink).collect(),
            record_bytes_max: self.plan.record_bytes_max,
        }
    }

    /// Takes an owner's task out to run it, unless it is running already.
    fn take(&self, slot: usize, owner: u64) -> Option<Task> {
        let mut state = self.state();
        state.slots[slot].owners.iter_mut().find(|one| one.id == owner)?.task.take()
    }

    /// Returns the task to its owner; after an error, removes the owner and starts another if needed. Returns whether the owner remains.
    fn keep_or_drop_owner(&self, slot: usize, owner: u64, task: Task, problem: Option<Error>) -> bool {
        let Some(error) = problem else {
            let mut state = self.state();
            if let Some(one) = state.slots[slot].owners.iter_mut().find(|one| one.id == owner) {
                one.task = Some(task);
            }
            return true;
        };
        drop(task);
        let damages = 0 < self.plan.faults.damage && self.plan.broken != Broken::NoChecksum;
        let starts_again = match error {
            Error::Unavailable(_) => true,
            Error::Fenced(_) => false,
            Error::Invalid(_) if damages && error.to_string().contains("its checksum is wrong") => {
                self.state().n_refused += 1;
                true
            }
            other => {
                self.fail(format!("owner {owner}: {other}"));
                false
            }
        };
        let is_alone = {
            let mut state = self.state();
            state.slots[slot].owners.retain(|one| one.id != owner);
            state.trace.push(format!("owner {owner} {}", if starts_again { "starts again" } else { "stops" }));
            state.slots[slot].owners.is_empty()
        };
        if starts_again || is_alone {
            self.start(slot);
        }
        false
    }

    /// Some owner of some task takes a few steps and may commit.
    pub fn some_owner(&self) {
        let (slot, owner) = {
            let mut state = self.state();
            let state = &mut *state;
            let slot = state.rng.below(state.slots.len());
            let takes_any = state.rng.percent(self.plan.faults.any_owner);
            let owners = &state.slots[slot].owners;
            let owner = if takes_any && !owners.is_empty() {
                Some(state.rng.pick(owners).id)
            } else {
                owners.last().map(|owner| owner.id)
            };
            (slot, owner)
        };
        let Some(owner) = owner else { return self.start(slot) };
        let (n_steps, commits, commits_changes, now) = {
            let mut state = self.state();
            let n_steps = 1 + state.rng.below(4);
            (n_steps, state.rng.percent(self.plan.commit_percent), state.rng.percent(50), state.now)
        };
        for _ in 0..n_steps {
            match self.step(slot, owner, now) {
                Some(Step::Worked(_)) => {}
                Some(Step::Idle | Step::Ended) => break,
                None => return,
            }
        }
        if commits {
            self.commit(slot, owner, commits_changes);
        }
    }

    /// A step; None when the owner is gone.
    pub fn step(&self, slot: usize, owner: u64, now: std::time::Duration) -> Option<Step> {
        let mut task = self.take(slot, owner)?;
        let step = task.step(now);
        let outcome = match &step {
            Ok(step) => format!("{step:?}"),
            Err(error) => error.to_string(),
        };
        self.say(format!("owner {owner} steps: {outcome}"));
        match step {
            Ok(step) => self.keep_or_drop_owner(slot, owner, task, None).then_some(step),
            Err(error) => {
                self.keep_or_drop_owner(slot, owner, task, Some(error));
                None
            }
        }
    }

    /// A commit; returns whether there was anything to commit, or None when the owner is gone.
    pub fn commit(&self, slot: usize, owner: u64, only_changes: bool) -> Option<bool> {
        let mut task = self.take(slot, owner)?;
        self.say(format!("owner {owner} commits"));
        let done = if only_changes { task.commit_changes() } else { task.commit().map(|()| true) };
        match done {
            Ok(done) => self.keep_or_drop_owner(slot, owner, task, None).then_some(done),
            Err(error) => {
                self.say(format!("owner {owner}: {error}"));
                self.keep_or_drop_owner(slot, owner, task, Some(error));
                None
            }
        }
    }

    /// An owner dies between two steps; now and then without an immediate successor.
    pub fn kill(&self) {
        let (slot, starts) = {
            let mut state = self.state();
            let state = &mut *state;
            let slot = state.rng.below(state.slots.len());
            let owners = &mut state.slots[slot].owners;
            let idle: Vec<usize> = (0..owners.len()).filter(|&index| owners[index].task.is_some()).collect();
            if idle.is_empty() {
                return;
            }
            let dead = owners.remove(*state.rng.pick(&idle));
            state.trace.push(format!("owner {} is killed", dead.id));
            (slot, state.rng.percent(70))
        };
        if starts {
            self.start(slot);
        }
    }

    /// Starts a second owner while the first one runs on.
    pub fn duplicate(&self) {
        let slot = {
            let mut state = self.state();
            let n_slots = state.slots.len();
            state.rng.below(n_slots)
        };
        self.start(slot);
    }
}
