//! The board that tasks are put on: how full each worker is, and how many tasks of a stage each zone has.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use davy_proto::domain::{PipelineId, TaskId, WorkerId};

use super::Candidate;

/// Tasks of one stage are spread over zones, for they do the same work and fail together.
type StageKey = (PipelineId, u32, u32);

/// Workers with the tasks they have so far.
pub(super) struct Board<'a> {
    /// In order of the workers' ids.
    seats: Vec<Seat<'a>>,
    /// In order of their names.
    zones: Vec<&'a str>,
    stages: BTreeMap<StageKey, usize>,
    /// Tasks by stage and zone.
    n_by_zone: Vec<Vec<u32>>,
}

struct Seat<'a> {
    worker: &'a WorkerId,
    slots: u64,
    zone: usize,
    n_tasks: u64,
    /// By stage, so that a move looks at one task of each.
    tasks: BTreeMap<usize, BTreeSet<TaskId>>,
}

/// Where a task without an owner goes.
pub(super) struct Choice {
    pub(super) seat: usize,
    /// Its zone, if that made the difference.
    pub(super) zone: Option<String>,
}

/// One task that changes its worker.
pub(super) struct Step {
    pub(super) task: TaskId,
    pub(super) from: usize,
    pub(super) to: usize,
    stage: usize,
}

impl<'a> Board<'a> {
    pub(super) fn new(candidates: &'a [Candidate], zone_label: &str) -> Self {
        let zone_of = |candidate: &'a Candidate| candidate.labels.get(zone_label).map_or("", String::as_str);
        let zones: Vec<&str> = candidates.iter().map(zone_of).collect::<BTreeSet<_>>().into_iter().collect();
        let by_id: BTreeMap<&WorkerId, &Candidate> = candidates.iter().map(|one| (&one.id, one)).collect();
        let seat = |candidate: &'a Candidate| Seat {
            worker: &candidate.id,
            slots: u64::from(candidate.slots.max(1)),
            zone: zones.binary_search(&zone_of(candidate)).expect("zones were gathered from the candidates"),
            n_tasks: 0,
            tasks: BTreeMap::new(),
        };
        let seats = by_id.into_values().map(seat).collect();
        Self { seats, zones, stages: BTreeMap::new(), n_by_zone: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.seats.len()
    }

    pub(super) fn find(&self, worker: &WorkerId) -> Option<usize> {
        self.seats.binary_search_by(|seat| seat.worker.cmp(worker)).ok()
    }

    pub(super) fn worker(&self, seat: usize) -> &WorkerId {
        self.seats[seat].worker
    }

    /// Whether there is such a worker, and another to go to.
    pub(super) fn can_avoid(&self, avoid: Option<&WorkerId>) -> bool {
        self.seats.len() > 1 && avoid.is_some_and(|worker| self.find(worker).is_some())
    }

    pub(super) fn put(&mut self, task: &TaskId, seat: usize) {
        let stage = self.stage_of(task);
        let seat = &mut self.seats[seat];
        seat.n_tasks += 1;
        seat.tasks.entry(stage).or_default().insert(task.clone());
        self.n_by_zone[stage][seat.zone] += 1;
    }

    /// The worker whose load would be least with the task; among equals the zone with fewest of its stage, then the worker with fewest of
    /// them, then the first by id.
    pub(super) fn choose(&mut self, task: &TaskId, avoid: Option<&WorkerId>) -> Choice {
        let stage = self.stage_of(task);
        let in_zone = |seat: &Seat| self.n_by_zone[stage][seat.zone];
        let by_load = |a: &Seat, b: &Seat| {
            let is_avoided = |seat: &Seat| Some(seat.worker) == avoid;
            is_avoided(a).cmp(&is_avoided(b)).then_with(|| load_with_one_more(a, b))
        };
        let (index, best) = (self.seats.iter().enumerate())
            .min_by(|(_, a), (_, b)| {
                let by_zone = || in_zone(a).cmp(&in_zone(b));
                by_load(a, b).then_with(by_zone).then_with(|| a.n_of(stage).cmp(&b.n_of(stage)))
            })
            .expect("a board without workers is given no tasks");
        let zone_decided = self.seats.iter().any(|seat| by_load(seat, best).is_eq() && in_zone(seat) > in_zone(best));
        Choice { seat: index, zone: zone_decided.then(|| self.zones[best.zone].to_owned()) }
    }

    /// The move that helps most, if any does: from a fullest worker to an emptiest, and among those the one that spreads a stage best over
    /// zones, then over workers: tasks of one stage are busy at the same time.
    pub(super) fn next_move(&self) -> Option<Step> {
        let fullest = self.seats.iter().max_by(|a, b| load(a, b))?;
        let emptiest = self.seats.iter().min_by(|a, b| load_with_one_more(a, b))?;
        if !helps(fullest, emptiest) {
            return None;
        }
        let mut best: Option<((i64, i64, TaskId), Step)> = None;
        for (to, receiver) in self.first_of_each_zone(emptiest) {
            for (from, giver) in self.seats.iter().enumerate().filter(|(_, seat)| load(seat, fullest).is_eq()) {
                for (&stage, tasks) in &giver.tasks {
                    let Some(task) = tasks.first() else { continue };
                    let in_zone = |seat: &Seat| i64::from(self.n_by_zone[stage][seat.zone]);
                    let crowding = if giver.zone == receiver.zone { -1 } else { in_zone(receiver) - in_zone(giver) };
                    let gathering = receiver.n_of(stage) as i64 - giver.n_of(stage) as i64;
                    let is_better = |(other, also, least): &(i64, i64, TaskId)| {
                        (crowding, gathering, task) < (*other, *also, least)
                    };
                    if best.as_ref().is_none_or(|(key, _)| is_better(key)) {
                        let step = Step { task: task.clone(), from, to, stage };
                        best = Some(((crowding, gathering, task.clone()), step));
                    }
                }
            }
        }
        best.map(|(_, step)| step)
    }

    pub(super) fn shift(&mut self, step: &Step) {
        let giver = &mut self.seats[step.from];
        giver.n_tasks -= 1;
        if let Some(tasks) = giver.tasks.get_mut(&step.stage) {
            tasks.remove(&step.task);
            if tasks.is_empty() {
                giver.tasks.remove(&step.stage);
            }
        }
        self.n_by_zone[step.stage][giver.zone] -= 1;
        self.put(&step.task, step.to);
    }

    pub(super) fn describe(&self, seat: usize) -> String {
        let Seat { worker, slots, n_tasks, .. } = &self.seats[seat];
        format!("worker `{worker}` had {n_tasks} tasks for {slots} slots")
    }

    /// Of the workers as empty as `emptiest`, the first in each zone: for a move they differ by their zone only.
    fn first_of_each_zone(&self, emptiest: &Seat) -> Vec<(usize, &Seat<'a>)> {
        let mut firsts: Vec<(usize, &Seat)> = Vec::new();
        for (index, seat) in self.seats.iter().enumerate() {
            let is_new = firsts.iter().all(|(_, other)| other.zone != seat.zone);
            if is_new && load_with_one_more(seat, emptiest).is_eq() {
                firsts.push((index, seat));
            }
        }
        firsts
    }

    fn stage_of(&mut self, task: &TaskId) -> usize {
        let next = self.n_by_zone.len();
        let stage = *self.stages.entry((task.pipeline.clone(), task.dataflow, task.stage)).or_insert(next);
        if stage == next {
            self.n_by_zone.push(vec![0; self.zones.len()]);
        }
        stage
    }
}

impl Seat<'_> {
    /// How many tasks of a stage it has.
    fn n_of(&self, stage: usize) -> usize {
        self.tasks.get(&stage).map_or(0, BTreeSet::len)
    }
}

/// Whether a task that goes from `giver` to `receiver` leaves the fuller of the two less full than the fuller was.
fn helps(giver: &Seat, receiver: &Seat) -> bool {
    (receiver.n_tasks + 1) * giver.slots < giver.n_tasks * receiver.slots
}

/// Compares fractions without rounding.
fn load(a: &Seat, b: &Seat) -> Ordering {
    (a.n_tasks * b.slots).cmp(&(b.n_tasks * a.slots))
}

fn load_with_one_more(a: &Seat, b: &Seat) -> Ordering {
    ((a.n_tasks + 1) * b.slots).cmp(&((b.n_tasks + 1) * a.slots))
}
