//! Decisions from all known facts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::assign::{Candidate, KEPT, Placeable, Placement, assign};
use crate::model::DesiredState;
use davy_proto::domain::{Epoch, PipelineId, Release, TaskId, WorkerId};

use super::task::{Lease, Leaving, Stage};
use super::{Action, Cluster, Member, Pipeline};

/// A revocation that is not acknowledged is sent again after this fraction of the lease timeout.
const RESEND_PARTS: u32 = 4;

type Placements = BTreeMap<TaskId, Placement>;

enum Verdict {
    Stay,
    Drain(String),
    Drop(String),
}

impl Cluster {
    /// Returns the messages to send, in this order, and takes them for sent. `next_epoch` gives a greater number each time, also over
    /// restarts.
    pub fn decide(&mut self, now: Duration, next_epoch: &mut dyn FnMut() -> Epoch) -> Vec<Action> {
        self.decided_at = Some(now);
        if self.is_past_startup(now) {
            self.forgotten_early.clear();
        }
        let mut actions = Vec::new();
        self.lose_silent_workers(now);
        self.end_overdue_leases(now, &mut actions);
        let placements = self.assign_tasks(now);
        self.take_away(now, &placements);
        self.send_revocations(now, &mut actions);
        self.revoke_strays(now, &mut actions);
        self.grant(now, &placements, next_epoch, &mut actions);
        self.forget_ended_tasks();
        actions
    }

    /// Whether workers had the time to report what they run.
    fn is_past_startup(&self, now: Duration) -> bool {
        self.options.startup_grace_period <= now.saturating_sub(self.started_at)
    }

    fn lose_silent_workers(&mut self, now: Duration) {
        for member in self.workers.values_mut() {
            let is_silent = self.options.lease_timeout <= now.saturating_sub(member.heard_at);
            if member.lost_at.is_none() && is_silent {
                member.lost_at = Some(now);
                member.has_session = false;
                member.held.clear();
            }
        }
        let forget_after = self.options.forget_after;
        self.workers.retain(|_, member| {
            let is_over = member.lost_at.is_some_and(|at| forget_after <= now.saturating_sub(at));
            let has_left = member.is_draining && !member.has_session && member.held.is_empty();
            !(is_over || has_left)
        });
        let is_there = |worker: &WorkerId| self.workers.get(worker).is_some_and(|member| member.lost_at.is_none());
        for task in self.tasks.values_mut() {
            if let Some(Lease { worker, .. }) = task.lease.as_ref().filter(|lease| !is_there(&lease.worker)) {
                // Its epoch is not over: if no other worker gets the task meanwhile, this one may come back with it.
                task.reason = format!("its worker `{worker}` was lost");
                task.free();
            }
        }
    }

    fn end_overdue_leases(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let options = &self.options;
        // The fate of a grant in a broken session shows when the worker opens another one, or is lost.
        let can_be_reached = |worker: &WorkerId| self.workers.get(worker).is_some_and(|member| member.has_session);
        for (id, task) in &mut self.tasks {
            let Some(Lease { worker, epoch, granted_at, stage, .. }) = &task.lease else { continue };
            let since = |at: Duration| now.saturating_sub(at);
            match stage {
                Stage::Sent if can_be_reached(worker) && options.lease_timeout <= since(*granted_at) => {
                    let (worker, epoch) = (worker.clone(), *epoch);
                    let reason = format!("worker `{worker}` did not start it");
                    actions.push(Action::Revoke {
                        worker: worker.clone(),
                        task: id.clone(),
                        epoch,
                        release: Release::AtOnce,
                        reason: reason.clone(),
                    });
                    task.shun(&worker, now);
                    task.reason = reason;
                    task.free();
                }
                Stage::Starting { since: at } if task.start_timeout(options) <= since(*at) => {
                    let (worker, waited) = (worker.clone(), since(*at).as_secs());
                    let error =
                        format!("it did not start within {waited} s on worker `{worker}`; see that worker's log");
                    task.fail(&worker, error, now, options);
                    task.leave(Release::AtOnce, "it did not start in time");
                }
                Stage::Leaving(Leaving { first_sent_at: Some(at), .. }) if options.drain_timeout <= since(*at) => {
                    task.seize(format!("worker `{worker}` did not give it back in time"));
                }
                Stage::Sent | Stage::Starting { .. } | Stage::Running { .. } | Stage::Leaving(_) => {}
            }
        }
    }

    /// The worker for each task that should run. A worker without a session cannot be reached: it keeps its tasks for now.
    fn assign_tasks(&self, now: Duration) -> Placements {
        let candidates: Vec<Candidate> = (self.workers.values().filter(|member| member.is_candidate()))
            .map(|Member { info, .. }| Candidate {
                id: info.id.clone(),
                slots: info.slots,
                labels: info.labels.clone(),
            })
            .collect();
        let is_away =
            |worker: &WorkerId| self.workers.get(worker).is_some_and(|m| m.lost_at.is_none() && !m.has_session);
        let mut tasks = Vec::new();
        for pipeline in self.pipelines.values().filter(|pipeline| pipeline.record.desired_state == DesiredState::Run) {
            for (id, task) in pipeline.tasks.iter().filter_map(|id| Some((id, self.tasks.get(id)?))) {
                if !task.lease.as_ref().is_some_and(|lease| is_away(&lease.worker)) {
                    let avoid = task.avoid(now, &self.options).cloned();
                    tasks.push(Placeable { task: id.clone(), owner: task.home.clone(), avoid });
                }
            }
        }
        assign(&candidates, &tasks, &self.options.zone_label)
    }

    fn take_away(&mut self, now: Duration, placements: &Placements) {
        let may_balance = self.is_past_startup(now);
        for (id, task) in &mut self.tasks {
            let Some(lease) = &task.lease else { continue };
            let pipeline = self.pipelines.get(&id.pipeline);
            let is_draining = self.workers.get(&lease.worker).is_some_and(|member| member.is_draining);
            let placement = placements.get(id);
            let is_cool = self.options.move_cool_down <= now.saturating_sub(lease.granted_at);
            let may_move = may_balance && is_cool && matches!(lease.stage, Stage::Running { .. });
            let verdict = match pipeline {
                None => Verdict::Drop("its pipeline is gone".to_owned()),
                Some(pipeline) => judge(id, lease, pipeline, is_draining, placement.filter(|_| may_move)),
            };
            match verdict {
                Verdict::Stay => {}
                Verdict::Drop(reason) => task.leave(Release::AtOnce, &reason),
                Verdict::Drain(reason) if !lease.is_leaving() => {
                    if let Some(placement) = placement {
                        task.home = Some(placement.worker.clone());
                    }
                    task.leave(Release::Drain, &reason);
                }
                Verdict::Drain(_) => {}
            }
        }
    }

    /// Revokes leases that must end, and does so again when a worker does not acknowledge it.
    fn send_revocations(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let resend_after = self.options.lease_timeout / RESEND_PARTS;
        for (id, task) in &mut self.tasks {
            let Some(Lease { worker, epoch, stage: Stage::Leaving(leaving), .. }) = &mut task.lease else { continue };
            let can_be_reached = self.workers.get(worker).is_some_and(|member| member.has_session);
            if can_be_reached && !leaving.is_acknowledged && is_due(leaving.last_sent_at, now, resend_after) {
                leaving.first_sent_at.get_or_insert(now);
                leaving.last_sent_at = Some(now);
                actions.push(Action::Revoke {
                    worker: worker.clone(),
                    task: id.clone(),
                    epoch: *epoch,
                    release: leaving.release,
                    reason: leaving.reason.clone(),
                });
            }
        }
    }

    /// Revokes tasks that workers have and do not own.
    fn revoke_strays(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let resend_after = self.options.lease_timeout / RESEND_PARTS;
        for (worker, member) in self.workers.iter_mut().filter(|(_, member)| member.has_session) {
            for (id, held) in &mut member.held {
                let lease = self.tasks.get(id).and_then(|task| task.lease.as_ref());
                // Its own newer grant, on its way, makes it drop the older one.
                let is_own = lease.is_some_and(|lease| lease.worker == *worker);
                if is_own || !is_due(held.last_sent_at, now, resend_after) {
                    continue;
                }
                held.first_sent_at.get_or_insert(now);
                held.last_sent_at = Some(now);
                let reason = match lease {
                    Some(lease) => format!("worker `{}` owns it with epoch {}", lease.worker, lease.epoch),
                    None => format!("epoch {} is over", held.epoch),
                };
                let (worker, task, epoch) = (worker.clone(), id.clone(), held.epoch);
                actions.push(Action::Revoke { worker, task, epoch, release: Release::AtOnce, reason });
            }
        }
    }

    fn grant(
        &mut self,
        now: Duration,
        placements: &Placements,
        next_epoch: &mut dyn FnMut() -> Epoch,
        actions: &mut Vec<Action>,
    ) {
        let is_past_startup = self.is_past_startup(now);
        let held_up = self.pipelines_held_up(now);
        for (id, placement) in placements {
            let Some(pipeline) = self.pipelines.get(&id.pipeline) else { continue };
            let Some(task) = self.tasks.get_mut(id).filter(|task| task.lease.is_none()) else { continue };
            let must_wait = !is_past_startup && !pipeline.is_new;
            if must_wait || now < task.trouble.retry_at || held_up.contains(&id.pipeline) {
                continue;
            }
            let epoch = next_epoch();
            if epoch < task.floor {
                task.trouble.error = Some(format!(
                    "its last owner had an epoch below {}, but the catalog gives out {epoch}: it has forgotten what it gave out; \
                     raise its ceiling",
                    task.floor
                ));
                continue;
            }
            self.epoch_seen = self.epoch_seen.max(epoch);
            let Placement { worker, reason } = placement.clone();
            // The task was moving there already: the reason for that says more.
            let reason = if reason == KEPT { task.reason.clone() } else { reason };
            let spec_version = pipeline.record.spec.spec_version;
            let lease = Lease {
                worker: worker.clone(),
                epoch,
                spec_version,
                granted_at: now,
                is_confirmed: false,
                stage: Stage::Sent,
            };
            task.grant(lease, reason.clone());
            actions.push(Action::Grant { worker, task: id.clone(), epoch, spec_version, reason });
        }
    }

    /// Pipelines of which some tasks still run another version: granting the new one now would let both write. The wait for a worker that
    /// does not give a revoked task back ends after the drain timeout.
    fn pipelines_held_up(&self, now: Duration) -> BTreeSet<PipelineId> {
        let is_other = |id: &TaskId, version: u64| {
            self.pipelines.get(&id.pipeline).is_some_and(|pipeline| pipeline.record.spec.spec_version != version)
        };
        let leases = self.tasks.iter().filter_map(|(id, task)| Some((id, task.lease.as_ref()?.spec_version)));
        let is_waited_for = |first_sent_at: Option<Duration>| {
            first_sent_at.is_none_or(|at| now.saturating_sub(at) < self.options.drain_timeout)
        };
        let strays = (self.workers.values().flat_map(|member| &member.held))
            .filter(|(_, held)| is_waited_for(held.first_sent_at))
            .map(|(id, held)| (id, held.spec_version));
        leases.chain(strays).filter(|(id, version)| is_other(id, *version)).map(|(id, _)| id.pipeline.clone()).collect()
    }

    fn forget_ended_tasks(&mut self) {
        let pipelines = &self.pipelines;
        let is_listed = |id: &TaskId| pipelines.get(&id.pipeline).is_some_and(|p| p.tasks.binary_search(id).is_ok());
        self.tasks.retain(|id, task| task.lease.is_some() || is_listed(id));
    }
}

/// The verdict on a lease; `placement` is the task's worker for balance, if it may move for balance.
fn judge(id: &TaskId, lease: &Lease, pipeline: &Pipeline, is_draining: bool, placement: Option<&Placement>) -> Verdict {
    match pipeline.record.desired_state {
        DesiredState::StopNow => return Verdict::Drop("its pipeline was stopped at once".to_owned()),
        DesiredState::Stop => return Verdict::Drain("its pipeline was stopped".to_owned()),
        DesiredState::Pause => return Verdict::Drain("its pipeline was paused".to_owned()),
        DesiredState::Run => {}
    }
    let wanted = pipeline.record.spec.spec_version;
    if lease.spec_version != wanted || !pipeline.wants(id) {
        return Verdict::Drain(format!("it runs version {} of its pipeline, {wanted} is wanted", lease.spec_version));
    }
    if is_draining {
        return Verdict::Drain(format!("worker `{}` leaves", lease.worker));
    }
    match placement {
        Some(placement) if placement.worker != lease.worker => Verdict::Drain(placement.reason.clone()),
        Some(_) | None => Verdict::Stay,
    }
}

fn is_due(last_sent_at: Option<Duration>, now: Duration, resend_after: Duration) -> bool {
    last_sent_at.is_none_or(|at| resend_after <= now.saturating_sub(at))
}
