//! A simulated worker: it carries out most orders, after random delays.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Random;
use crate::cluster::{Action, Cluster, WorkerInfo};
use davy_proto::domain::{Epoch, Messages, Phase, Release, Rows, TaskId, TaskReport, WorkerId};

const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct SimWorker {
    pub(super) id: WorkerId,
    pub(super) slots: u32,
    zone: &'static str,
    pub(super) tasks: BTreeMap<TaskId, SimTask>,
    /// Since its last heartbeat.
    pub(super) ended: Vec<TaskReport>,
    pub(super) is_draining: bool,
    /// It neither reads nor writes before.
    pub(super) frozen_until: Duration,
    has_session: bool,
    /// When it tries to call again.
    calls_at: Duration,
    beats_at: Duration,
    to_worker: VecDeque<(Duration, Action)>,
    from_worker: VecDeque<(Duration, Message)>,
}

pub(super) struct SimTask {
    pub(super) epoch: Epoch,
    pub(super) spec_version: u64,
    pub(super) phase: Phase,
    /// When it does what comes next.
    changes_at: Duration,
}

#[derive(Clone)]
pub(super) enum Message {
    Register(Vec<TaskReport>),
    Heartbeat(Vec<TaskReport>, bool),
}

impl SimWorker {
    pub(super) fn new(id: &str, slots: u32, zone: &'static str) -> Self {
        Self {
            id: WorkerId(id.into()),
            slots,
            zone,
            tasks: BTreeMap::new(),
            ended: Vec::new(),
            is_draining: false,
            frozen_until: Duration::ZERO,
            has_session: false,
            calls_at: Duration::ZERO,
            beats_at: Duration::ZERO,
            to_worker: VecDeque::new(),
            from_worker: VecDeque::new(),
        }
    }

    /// What was on its way is lost.
    pub(super) fn break_call(&mut self, calls_at: Duration) {
        self.has_session = false;
        self.calls_at = calls_at;
        self.to_worker.clear();
        self.from_worker.clear();
    }

    /// Messages of one call arrive in order.
    pub(super) fn send(&mut self, action: Action, arrives_at: Duration) {
        if self.has_session {
            self.to_worker.push_back((arrives_at, action));
        }
    }

    /// What arrives at the coordinator by now.
    pub(super) fn take_sent(&mut self, now: Duration) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some((_, message)) = self.from_worker.pop_front_if(|(arrives_at, _)| *arrives_at <= now) {
            messages.push(message);
        }
        messages
    }

    pub(super) fn step(&mut self, now: Duration, random: &mut Random, is_calm: bool) {
        if now < self.frozen_until {
            return;
        }
        while let Some((_, action)) = self.to_worker.pop_front_if(|(arrives_at, _)| *arrives_at <= now) {
            self.obey(action, now, random, is_calm);
        }
        self.work(now, random, is_calm);
        self.speak(now, random, is_calm);
    }

    fn obey(&mut self, action: Action, now: Duration, random: &mut Random, is_calm: bool) {
        match action {
            Action::Grant { task, epoch, spec_version, .. } => {
                if self.tasks.get(&task).is_none_or(|held| held.epoch < epoch) {
                    let is_slow = !is_calm && random.one_in(30);
                    let changes_at = now + Duration::from_secs(random.between(0, if is_slow { 100 } else { 3 }));
                    self.tasks.insert(task, SimTask { epoch, spec_version, phase: Phase::Starting, changes_at });
                }
            }
            Action::Revoke { task, epoch, release, .. } => {
                let Some(held) = self.tasks.get_mut(&task).filter(|held| held.epoch <= epoch) else { return };
                if release == Release::AtOnce {
                    self.ended.extend(self.tasks.remove(&task).map(|held| held.report(&task, Phase::Released)));
                } else if held.phase != Phase::Draining {
                    let is_slow = !is_calm && random.one_in(10);
                    held.phase = Phase::Draining;
                    held.changes_at = now + Duration::from_secs(random.between(0, if is_slow { 30 } else { 3 }));
                }
            }
        }
    }

    fn work(&mut self, now: Duration, random: &mut Random, is_calm: bool) {
        let mut over = Vec::new();
        for (id, task) in self.tasks.iter_mut().filter(|(_, task)| task.changes_at <= now) {
            match task.phase {
                Phase::Starting if !is_calm && random.one_in(8) => over.push((id.clone(), Phase::Failed)),
                Phase::Starting => task.phase = Phase::Running,
                Phase::Running if !is_calm && random.one_in(400) => over.push((id.clone(), Phase::Failed)),
                Phase::Running => {}
                Phase::Draining | Phase::Released | Phase::Failed => over.push((id.clone(), Phase::Released)),
            }
        }
        for (id, phase) in over {
            self.ended.extend(self.tasks.remove(&id).map(|task| task.report(&id, phase)));
        }
    }

    fn speak(&mut self, now: Duration, random: &mut Random, is_calm: bool) {
        let message = if !self.has_session && self.calls_at <= now {
            self.has_session = true;
            Message::Register(self.reports())
        } else if self.has_session && self.beats_at <= now {
            Message::Heartbeat(self.reports(), self.is_draining)
        } else {
            return;
        };
        self.beats_at = now + HEARTBEAT_INTERVAL;
        self.ended.clear();
        let is_lost = !is_calm && random.one_in(30) && matches!(message, Message::Heartbeat(..));
        if !is_lost {
            let earliest = self.from_worker.back().map_or(now, |(arrives_at, _)| *arrives_at);
            let late = if is_calm { 0 } else { random.between(0, 1500) };
            self.from_worker.push_back((earliest.max(now + Duration::from_millis(late)), message));
        }
    }

    fn reports(&self) -> Vec<TaskReport> {
        let held = self.tasks.iter().map(|(id, task)| task.report(id, task.phase));
        self.ended.iter().cloned().chain(held).collect()
    }
}

impl SimTask {
    fn report(&self, task: &TaskId, phase: Phase) -> TaskReport {
        TaskReport {
            task: task.clone(),
            epoch: self.epoch,
            spec_version: self.spec_version,
            phase,
            error: (phase == Phase::Failed).then(|| "the disk is full".to_owned()),
            lag: Messages(0),
            messages: Messages(0),
            rows: Rows(0),
            busy_ratio: 0.0,
            watermark: None,
            restarts: 0,
        }
    }
}

impl Message {
    pub(super) fn reports(&self) -> &[TaskReport] {
        let (Self::Register(reports) | Self::Heartbeat(reports, _)) = self;
        reports
    }

    /// Does what the coordinator's server does with it; says whether the cluster took it.
    pub(super) fn deliver(self, worker: &mut SimWorker, cluster: &mut Cluster, now: Duration) -> bool {
        match self {
            Self::Register(reports) => {
                let info = WorkerInfo {
                    id: worker.id.clone(),
                    name: worker.id.to_string(),
                    version: "1".to_owned(),
                    slots: worker.slots,
                    labels: [("zone".to_owned(), worker.zone.to_owned())].into(),
                };
                cluster.register(info, reports, now);
                true
            }
            Self::Heartbeat(reports, is_draining) => {
                let is_known = cluster.heartbeat(&worker.id, reports, is_draining, now).is_ok();
                if !is_known {
                    worker.break_call(now);
                }
                is_known
            }
        }
    }
}
