//! The referee sees all: what was granted, what each worker really has, and what the coordinator could know.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::honest_options;
use super::worker::SimWorker;
use crate::cluster::{Action, Cluster, PipelineState};
use crate::model::{DesiredState, PipelineRecord};
use davy_proto::domain::{Epoch, Phase, PipelineId, TaskId, TaskReport, WorkerId};

#[derive(Default)]
pub(super) struct Referee {
    given: BTreeSet<Epoch>,
    /// The last grant of each task.
    last: BTreeMap<TaskId, Given>,
    /// When the coordinator could last know that a worker was alive.
    heard: BTreeMap<WorkerId, Duration>,
}

struct Given {
    worker: WorkerId,
    epoch: Epoch,
    spec_version: u64,
    at: Duration,
    /// The coordinator has heard that the worker has it.
    is_confirmed: bool,
    /// The coordinator has heard that the worker has it no more.
    is_over: bool,
    revoked_at: Option<Duration>,
}

impl Referee {
    pub(super) fn note_heard(&mut self, worker: &WorkerId, reports: &[TaskReport], now: Duration) {
        self.heard.insert(worker.clone(), now);
        for (task, given) in self.last.iter_mut().filter(|(_, given)| given.worker == *worker) {
            let of_it = reports.iter().find(|report| report.task == *task && report.epoch == given.epoch);
            let has_it = of_it.is_some_and(|report| !matches!(report.phase, Phase::Released | Phase::Failed));
            given.is_over |= (given.is_confirmed || of_it.is_some()) && !has_it;
            given.is_confirmed |= has_it;
        }
    }

    /// The new coordinator has to give every worker as much time as if it had been heard of just now.
    pub(super) fn note_restart(&mut self, workers: &[SimWorker], now: Duration) {
        self.heard = workers.iter().map(|worker| (worker.id.clone(), now)).collect();
    }

    /// Tasks of the next pipeline of that name are others, with names of their own on the broker.
    pub(super) fn note_forgotten(&mut self, pipeline: &PipelineId) {
        for (_, given) in self.last.iter_mut().filter(|(task, _)| task.pipeline == *pipeline) {
            given.is_over = true;
        }
    }

    pub(super) fn check(&mut self, action: &Action, workers: &[SimWorker], now: Duration) -> Result<(), String> {
        match action {
            Action::Revoke { worker, task, epoch, .. } => {
                if let Some(given) = self.last.get_mut(task).filter(|g| g.worker == *worker && g.epoch == *epoch) {
                    given.revoked_at.get_or_insert(now);
                }
            }
            Action::Grant { worker, task, epoch, spec_version, .. } => {
                if !self.given.insert(*epoch) {
                    return Err(format!("at {now:?} task {task}: epoch {epoch} was given before"));
                }
                if let Some(given) = self.last.get(task) {
                    self.check_successor(task, given, (worker, *epoch), (workers, now))?;
                }
                self.check_versions(task, *spec_version, (workers, now))?;
                let given = Given {
                    worker: worker.clone(),
                    epoch: *epoch,
                    spec_version: *spec_version,
                    at: now,
                    is_confirmed: false,
                    is_over: false,
                    revoked_at: None,
                };
                self.last.insert(task.clone(), given);
            }
        }
        Ok(())
    }

    /// A task changes hands with a greater epoch, and not while its owner has it, for all that could be known.
    fn check_successor(
        &self,
        task: &TaskId,
        given: &Given,
        (worker, epoch): (&WorkerId, Epoch),
        (workers, now): (&[SimWorker], Duration),
    ) -> Result<(), String> {
        if epoch <= given.epoch {
            return Err(format!("at {now:?} task {task}: epoch {epoch} follows epoch {}", given.epoch));
        }
        let owner = workers.iter().find(|one| one.id == given.worker);
        let has_it = owner.and_then(|owner| owner.tasks.get(task)).is_some_and(|held| held.epoch == given.epoch);
        if has_it && self.is_alive(&given.worker, now) && given.may_go_on(now) {
            return Err(format!(
                "at {now:?} task {task} is granted to {worker} with epoch {epoch}, but {} still has it with epoch {}",
                given.worker, given.epoch
            ));
        }
        Ok(())
    }

    /// No reachable worker runs another version of the same pipeline than the task's owner.
    fn check_versions(
        &self,
        task: &TaskId,
        spec_version: u64,
        (workers, now): (&[SimWorker], Duration),
    ) -> Result<(), String> {
        let of_pipeline = self.last.iter().filter(|(id, _)| id.pipeline == task.pipeline);
        for (id, given) in of_pipeline.filter(|(_, given)| given.spec_version != spec_version) {
            let owner = workers.iter().find(|one| one.id == given.worker);
            let has_it = owner.and_then(|owner| owner.tasks.get(id)).is_some_and(|held| held.epoch == given.epoch);
            if has_it && self.is_alive(&given.worker, now) && given.may_go_on(now) {
                return Err(format!(
                    "at {now:?} task {task} is granted with version {spec_version}, but {} still has it as {} of {id}",
                    given.worker, given.spec_version
                ));
            }
        }
        Ok(())
    }

    fn is_alive(&self, worker: &WorkerId, now: Duration) -> bool {
        self.heard.get(worker).is_some_and(|at| now - *at < honest_options().lease_timeout)
    }

    /// After the faults: each wanted task runs on one worker, nothing else runs, and load is balanced.
    pub(super) fn check_rest(
        &self,
        cluster: &Cluster,
        workers: &[SimWorker],
        records: &BTreeMap<PipelineId, PipelineRecord>,
    ) -> Result<(), String> {
        let running = records.values().filter(|record| record.desired_state == DesiredState::Run);
        let wanted: BTreeMap<TaskId, u64> = running
            .flat_map(|record| record.tasks().into_iter().map(|task| (task, record.spec.spec_version)))
            .collect();
        let mut found = BTreeMap::new();
        for (worker, (id, task)) in workers.iter().flat_map(|one| one.tasks.iter().map(move |task| (one, task))) {
            if task.phase != Phase::Running
                || worker.is_draining
                || found.insert(id.clone(), task.spec_version).is_some()
            {
                return Err(format!("at rest {} has {id} as {:?}, or another has it too", worker.id, task.phase));
            }
        }
        if found != wanted {
            return Err(format!("at rest {found:?} runs, {wanted:?} is wanted; {:#?}", cluster.tasks(None)));
        }
        let load =
            || workers.iter().filter(|one| !one.is_draining).map(|one| (one.tasks.len() as u64, u64::from(one.slots)));
        if !load().all(|(n_a, slots_a)| load().all(|(n_b, slots_b)| (n_b + 1) * slots_a >= n_a * slots_b)) {
            return Err(format!("at rest load is not balanced: {:?} (tasks, slots)", load().collect::<Vec<_>>()));
        }
        for record in records.values() {
            let state = cluster.status(record.id()).map(|status| status.state);
            let expected = match record.desired_state {
                DesiredState::Run => PipelineState::Running,
                DesiredState::Pause => PipelineState::Paused,
                DesiredState::Stop | DesiredState::StopNow => PipelineState::Stopped,
            };
            if state != Some(expected) {
                return Err(format!("at rest {} is {state:?}, not {expected:?}", record.id()));
            }
        }
        Ok(())
    }
}

impl Given {
    /// The coordinator has no reason to think that its time is over.
    fn may_go_on(&self, now: Duration) -> bool {
        let options = honest_options();
        let was_waited_for = self.revoked_at.is_some_and(|at| options.drain_timeout <= now - at);
        let was_lost = !self.is_confirmed && options.lease_timeout <= now - self.at;
        !(self.is_over || was_waited_for || was_lost)
    }
}
