//! Runs planned scripts with everything left to chance: which task is next, how input is cut, when a commit or a crash comes,
//! and owners that live on after they have been replaced.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use davy_engine::Error;
use davy_engine::connector::Share;
use davy_engine::log::memory::MemoryLog;
use davy_engine::log::{Commit, ExchangeId, Source};
use davy_engine::metrics::Metrics;
use davy_engine::operator::spill::{Budget, MemorySpill};
use davy_engine::plan::{Dataflow, StageInput};
use davy_engine::task::{Step, Task, TaskParts};

use super::Rng;
use super::canary::{Broken, BrokenCommit, BrokenSource};
use super::schedule::{Commits, Crashes, Schedule};
use super::scripts::Planned;
use super::source::SplitSource;
use super::stream::{Input, Row};
use crate::support::{FittedCommit, sorted_lines};

/// What a run left behind.
#[derive(Debug)]
pub struct Run {
    pub rows: BTreeMap<String, Vec<String>>,
    pub metrics: Arc<Metrics>,
    /// Points at which a crash could have come.
    pub n_points: usize,
    /// Commits by owners that had been replaced, refused.
    pub n_fenced: usize,
}

/// More turns than this, and the run hangs.
const MAX_TURNS: usize = 20_000;

struct Slot {
    dataflow: Arc<Dataflow>,
    number: usize,
    stage: usize,
    index: u32,
    n_tasks: Arc<[u32]>,
    task: Option<Task>,
    n_steps: usize,
    zombies: Vec<Task>,
}

struct Rig<'a> {
    planned: &'a Planned,
    input: &'a Input,
    schedule: Schedule,
    rng: Rng,
    log: MemoryLog,
    metrics: Arc<Metrics>,
    budget: Budget,
    n_points: usize,
    n_crashes: usize,
    n_fenced: usize,
}

/// Runs to the end over a new log.
pub fn run(planned: &Planned, input: &Input, schedule: Schedule) -> Result<Run, String> {
    run_over(planned, input, schedule, &MemoryLog::keeping_rows())
}

/// Runs to the end over a log that may have been written before.
pub fn run_over(planned: &Planned, input: &Input, schedule: Schedule, log: &MemoryLog) -> Result<Run, String> {
    let budget = Budget::new(planned.memory_bytes, Arc::new(MemorySpill)).unwrap();
    let budget = Budget { state_bytes: crate::support::state_bytes(schedule.seed, budget.state_bytes), ..budget };
    let mut rig = Rig {
        planned,
        input,
        schedule,
        rng: Rng::new(schedule.seed),
        log: log.clone(),
        metrics: Arc::default(),
        budget,
        n_points: 0,
        n_crashes: 0,
        n_fenced: 0,
    };
    let outcome = rig.run().map_err(|problem| format!("{problem}\n{schedule:?}\n{}", planned.text));
    outcome.map(|()| rig.finish())
}

impl Rig<'_> {
    fn run(&mut self) -> Result<(), String> {
        let mut slots = self.slots()?;
        for _ in 0..MAX_TURNS {
            let running: Vec<usize> = (0..slots.len()).filter(|&index| slots[index].task.is_some()).collect();
            if running.is_empty() {
                return Ok(());
            }
            let next = *self.rng.pick(&running);
            let n_crashes = self.n_crashes;
            self.turn(&mut slots[next])?;
            if n_crashes < self.n_crashes
                && matches!(self.schedule.crashes, Crashes::Random(..))
                && self.rng.percent(30)
            {
                slots.iter_mut().try_for_each(|slot| self.replace(slot))?;
            }
            if self.schedule.zombies {
                let slot = self.rng.below(slots.len());
                self.wake_zombie(&mut slots[slot])?;
            }
        }
        let waiting: Vec<String> = slots
            .iter()
            .filter(|slot| slot.task.is_some())
            .map(|slot| format!("{}/{}", slot.stage, slot.index))
            .collect();
        Err(format!("the run does not end: tasks {waiting:?} go on for ever after {} crashes", self.n_crashes))
    }

    fn finish(self) -> Run {
        let rows = |name: &Arc<str>| (name.to_string(), sorted_lines(&self.log.rows(name)));
        Run {
            rows: self.planned.sinks.keys().map(rows).collect(),
            metrics: self.metrics,
            n_points: self.n_points,
            n_fenced: self.n_fenced,
        }
    }

    fn slots(&mut self) -> Result<Vec<Slot>, String> {
        let mut slots = Vec::new();
        for (number, dataflow) in self.planned.dataflows.iter().enumerate() {
            let n_tasks: Arc<[u32]> = dataflow
                .stages
                .iter()
                .map(|stage| if matches!(stage.input, StageInput::Table(_)) { self.schedule.source_tasks } else { 1 })
                .collect();
            for stage in 0..dataflow.stages.len() {
                for index in 0..n_tasks[stage] {
                    let (dataflow, n_tasks) = (Arc::clone(dataflow), Arc::clone(&n_tasks));
                    let mut slot =
                        Slot { dataflow, number, stage, index, n_tasks, task: None, n_steps: 0, zombies: Vec::new() };
                    slot.task = Some(self.recover(&slot)?);
                    slots.push(slot);
                }
            }
        }
        Ok(slots)
    }

    /// A new owner of a slot's task.
    fn recover(&mut self, slot: &Slot) -> Result<Task, String> {
        let name = format!("{}/{}/{}", slot.number, slot.stage, slot.index);
        let source: Box<dyn Source> = match &slot.dataflow.stages[slot.stage].input {
            StageInput::Table(plan) => {
                let rows = self.input.0.get(&*plan.table.name).map_or(&[] as &[Row], Vec::as_slice);
                let count = self.schedule.source_tasks as usize;
                let seed = self.rng.next();
                let source = SplitSource::new(rows, Share { index: slot.index as usize, count }, self.schedule, seed);
                Box::new(BrokenSource::new(source, self.schedule.broken))
            }
            StageInput::Exchanges(inputs) => {
                let exchanges: Vec<ExchangeId> = inputs.iter().map(|input| input.aggregate.exchange.clone()).collect();
                Box::new(self.log.source_of(&exchanges, 0))
            }
        };
        let commit: Box<dyn Commit> = Box::new(FittedCommit {
            inner: BrokenCommit::new(self.log.commit_for(&name), self.schedule.broken, Rng::new(self.rng.next())),
            sinks: self.planned.sinks.clone(),
        });
        let parts = TaskParts {
            name: name.as_str().into(),
            dataflow: Arc::clone(&slot.dataflow),
            stage: slot.stage,
            n_tasks: Arc::clone(&slot.n_tasks),
            index: slot.index,
            source,
            commit,
            budget: self.budget.clone(),
            metrics: Arc::clone(&self.metrics),
            n_partitions: 1,
            board: Arc::default(),
            run_start: 0,
            rows_per_advance: self.schedule.rows_per_advance,
            probe: |_| (),
        };
        Task::recover(parts, Duration::ZERO).map_err(|error| format!("task {name} does not recover: {error}"))
    }

    fn crashes(&mut self) -> bool {
        let point = self.n_points;
        self.n_points += 1;
        let crashes = match self.schedule.crashes {
            Crashes::Never => false,
            Crashes::At(at) => point == at,
            Crashes::Random(percent, n_max) => self.n_crashes < n_max && self.rng.percent(percent),
        };
        self.n_crashes += usize::from(crashes);
        crashes
    }

    fn replace(&mut self, slot: &mut Slot) -> Result<(), String> {
        let new = self.recover(slot)?;
        let old = slot.task.replace(new);
        if self.schedule.zombies {
            slot.zombies.extend(old);
        }
        Ok(())
    }

    /// A step, and a commit when one is due. There are three points to crash at: after a step, before its commit, and after
    /// the commit, whose answer is then lost.
    fn turn(&mut self, slot: &mut Slot) -> Result<(), String> {
        let Some(task) = slot.task.as_mut() else { return Ok(()) };
        let step = task.step(Duration::ZERO).map_err(|error| format!("a step failed: {error}"))?;
        if self.crashes() {
            return self.replace(slot);
        }
        slot.n_steps += 1;
        let is_due = match self.schedule.commits {
            Commits::Every(steps) => slot.n_steps.is_multiple_of(steps),
            Commits::Random(percent) => self.rng.percent(percent),
        };
        if !is_due && step != Step::Ended {
            return Ok(());
        }
        if self.crashes() {
            return self.replace(slot);
        }
        match task.commit() {
            Ok(()) => {}
            // Only broken commits say so: half of it is in the log.
            Err(Error::Unavailable(_)) => return self.replace(slot),
            Err(error) => return Err(format!("a commit failed: {error}")),
        }
        if self.crashes() {
            return self.replace(slot);
        }
        if step == Step::Ended {
            slot.task = None;
        }
        Ok(())
    }

    /// A replaced owner goes on until a commit fails with `Fenced`.
    fn wake_zombie(&mut self, slot: &mut Slot) -> Result<(), String> {
        if slot.zombies.is_empty() || self.rng.percent(50) {
            return Ok(());
        }
        let which = self.rng.below(slot.zombies.len());
        if self.rng.percent(60) {
            // Its input may be gone already; that it fails is no harm.
            if slot.zombies[which].step(Duration::ZERO).is_err() {
                slot.zombies.remove(which);
            }
            return Ok(());
        }
        match slot.zombies[which].commit() {
            Err(Error::Fenced(_)) => self.n_fenced += 1,
            Ok(()) if self.schedule.broken == Broken::NoFencing => {}
            other => return Err(format!("a replaced owner's commit gave {other:?}")),
        }
        // The commit fails, and the owner stops; now and then it ignores the error.
        if self.rng.percent(70) {
            slot.zombies.remove(which);
        }
        Ok(())
    }
}
