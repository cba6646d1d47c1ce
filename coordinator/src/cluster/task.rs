//! One task: its lease, its failures, and when it may be granted again.

use std::time::Duration;

use davy_proto::domain::{Epoch, EventTime, Messages, Phase, Release, Rows, TaskReport, WorkerId};

use super::ClusterOptions;

/// Doublings after which a wait stops growing.
const DOUBLINGS_MAX: u32 = 6;

/// A task, whether it should run or not.
#[derive(Debug)]
pub(super) struct Task {
    /// Epochs below this are over.
    pub(super) floor: Epoch,
    pub(super) lease: Option<Lease>,
    /// Where it was granted last, or goes next.
    pub(super) home: Option<WorkerId>,
    /// Why it is at this worker, for people.
    pub(super) reason: String,
    /// What its worker reports of its input while it runs.
    pub(super) notice: Option<String>,
    pub(super) trouble: Trouble,
    pub(super) meter: Meter,
}

/// A worker's right to run a task.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) worker: WorkerId,
    pub(super) epoch: Epoch,
    pub(super) spec_version: u64,
    pub(super) granted_at: Duration,
    /// The worker has reported the task with this epoch.
    pub(super) is_confirmed: bool,
    pub(super) stage: Stage,
}

#[derive(Debug)]
pub(super) enum Stage {
    Sent,
    Starting { since: Duration },
    Running { since: Duration },
    Leaving(Leaving),
}

/// A lease that its worker must give back.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) release: Release,
    pub(super) reason: String,
    /// When the revocation was first sent: `drain_timeout` counts from here.
    pub(super) first_sent_at: Option<Duration>,
    /// When it was last sent in this session.
    pub(super) last_sent_at: Option<Duration>,
    /// The worker has reported that it drains.
    pub(super) is_acknowledged: bool,
}

/// Failures, and the back-off that follows.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// Reset when the task has run for long.
    n_in_a_row: u32,
    /// Since this coordinator leads.
    pub(super) n_failures: u32,
    pub(super) error: Option<String>,
    /// The task is not granted before this time.
    pub(super) retry_at: Duration,
    /// Where it failed last, and when.
    avoid: Option<(WorkerId, Duration)>,
}

#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) lag: Messages,
    /// `None` until the owner has read a message.
    pub(super) rows_per_message: Option<f64>,
    pub(super) rows_per_second: f64,
    pub(super) busy_ratio: f64,
    pub(super) watermark: Option<EventTime>,
    pub(super) restarts: u32,
    last: Option<Reading>,
}

/// Counters of a report; they begin anew with each epoch.
#[derive(Clone, Copy, Debug)]
struct Reading {
    epoch: Epoch,
    at: Duration,
    rows: Rows,
}

impl Task {
    pub(super) fn new(floor: Epoch) -> Self {
        Self {
            floor,
            lease: None,
            home: None,
            reason: "not placed yet".to_owned(),
            notice: None,
            trouble: Trouble::default(),
            meter: Meter::default(),
        }
    }

    /// Its next owner gets this epoch or a greater one. The present owner keeps its lease: it may still give the task back.
    pub(super) fn raise(&mut self, floor: Epoch) {
        if self.lease.is_none() {
            self.floor = self.floor.max(floor);
        }
    }

    /// Notes a report. One of an epoch that is over changes nothing here; `decide` revokes the task.
    pub(super) fn hear(&mut self, worker: &WorkerId, report: &TaskReport, now: Duration, options: &ClusterOptions) {
        if report.epoch < self.floor {
            return;
        }
        if report.phase.is_held() {
            if self.has(worker, report.epoch) || self.adopt(worker, report, now) {
                self.advance(report.phase, now);
                self.meter.read(report, now);
                self.notice = report.error.clone().filter(|_| report.phase == Phase::Running);
            }
            return;
        }
        if report.phase == Phase::Failed {
            let error = report.error.clone().unwrap_or_else(|| "it failed without an error message".to_owned());
            self.fail(worker, error, now, options);
        } else {
            "given back by its worker".clone_into(&mut self.reason);
        }
        self.floor = after(report.epoch);
        self.free();
    }

    /// The worker no longer reports the task.
    pub(super) fn vanish(&mut self, worker: &WorkerId, now: Duration, options: &ClusterOptions) {
        let Some(lease) = self.lease.as_ref().filter(|lease| lease.worker == *worker && lease.is_confirmed) else {
            return;
        };
        self.floor = after(lease.epoch);
        if !lease.is_leaving() {
            self.fail(worker, format!("worker `{worker}` no longer has it, without an error message"), now, options);
        }
        self.free();
    }

    /// A revocation of the worker's earlier session may be lost.
    pub(super) fn begin_session(&mut self, worker: &WorkerId) {
        if let Some(Lease { stage: Stage::Leaving(leaving), .. }) = self.lease.as_mut().filter(|l| l.worker == *worker)
        {
            leaving.last_sent_at = None;
        }
    }

    /// A grant that the worker does not report when it opens a session was lost with the session before.
    pub(super) fn drop_lost_grant(&mut self, worker: &WorkerId) {
        if self.lease.as_ref().is_some_and(|lease| lease.worker == *worker && !lease.is_confirmed) {
            self.free();
        }
    }

    /// Notes that a worker could not run it.
    pub(super) fn fail(&mut self, worker: &WorkerId, error: String, now: Duration, options: &ClusterOptions) {
        if let Some(Lease { stage: Stage::Running { since }, .. }) = &self.lease
            && options.back_off_max <= now.saturating_sub(*since)
        {
            self.trouble.n_in_a_row = 0;
        }
        let trouble = &mut self.trouble;
        trouble.retry_at = now + doubled(options.back_off_min, trouble.n_in_a_row).min(options.back_off_max);
        trouble.n_in_a_row += 1;
        trouble.n_failures += 1;
        self.reason = format!("it failed on worker `{worker}`");
        trouble.error = Some(error);
        self.shun(worker, now);
    }

    /// For a while, other workers are preferred.
    pub(super) fn shun(&mut self, worker: &WorkerId, now: Duration) {
        self.trouble.avoid = Some((worker.clone(), now));
    }

    /// The worker where it failed recently.
    pub(super) fn avoid(&self, now: Duration, options: &ClusterOptions) -> Option<&WorkerId> {
        let is_recent = |at: Duration| now.saturating_sub(at) < options.forget_after;
        self.trouble.avoid.as_ref().filter(|(_, at)| is_recent(*at)).map(|(worker, _)| worker)
    }

    /// How long it may take to start: twice as long after each failure, so that a state that is slow to rebuild is rebuilt in the end.
    pub(super) fn start_timeout(&self, options: &ClusterOptions) -> Duration {
        doubled(options.start_timeout, self.trouble.n_in_a_row)
    }

    /// Its worker must give it back. A drain can become a release at once, never the other way round.
    pub(super) fn leave(&mut self, release: Release, reason: &str) {
        let Some(lease) = self.lease.as_mut() else { return };
        let first_sent_at = match &lease.stage {
            Stage::Leaving(leaving) if leaving.release == Release::AtOnce || release == Release::Drain => return,
            Stage::Leaving(leaving) => leaving.first_sent_at,
            Stage::Sent | Stage::Starting { .. } | Stage::Running { .. } => None,
        };
        let leaving =
            Leaving { release, reason: reason.to_owned(), first_sent_at, last_sent_at: None, is_acknowledged: false };
        lease.stage = Stage::Leaving(leaving);
        reason.clone_into(&mut self.reason);
    }

    /// Takes the lease away from a worker that does not give it back, and ends its epoch.
    pub(super) fn seize(&mut self, reason: String) {
        if let Some(lease) = &self.lease {
            self.floor = after(lease.epoch);
            self.reason = reason;
            self.free();
        }
    }

    /// Frees the task. Its lag is kept: the messages stay unread.
    pub(super) fn free(&mut self) {
        self.lease = None;
        self.meter.rows_per_second = 0.0;
        self.meter.busy_ratio = 0.0;
    }

    pub(super) fn grant(&mut self, lease: Lease, reason: String) {
        assert!(self.floor <= lease.epoch, "a task's epochs only grow");
        assert!(self.lease.is_none(), "a task has one owner");
        self.floor = lease.epoch;
        self.home = Some(lease.worker.clone());
        self.reason = reason;
        self.lease = Some(lease);
    }

    pub(super) fn has(&self, worker: &WorkerId, epoch: Epoch) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.worker == *worker && lease.epoch == epoch)
    }

    /// Gives the lease to a worker that reports the task, unless a lease of the same or a greater epoch exists.
    fn adopt(&mut self, worker: &WorkerId, report: &TaskReport, now: Duration) -> bool {
        if self.lease.as_ref().is_some_and(|lease| report.epoch <= lease.epoch) {
            return false;
        }
        self.lease = None;
        let lease = Lease {
            worker: worker.clone(),
            epoch: report.epoch,
            spec_version: report.spec_version,
            granted_at: now,
            is_confirmed: true,
            stage: Stage::Starting { since: now },
        };
        self.grant(lease, "kept where it was running".to_owned());
        true
    }

    fn advance(&mut self, phase: Phase, now: Duration) {
        let Some(lease) = self.lease.as_mut() else { return };
        lease.is_confirmed = true;
        if phase == Phase::Running {
            self.trouble.error = None;
        }
        match (&mut lease.stage, phase) {
            (Stage::Sent, Phase::Starting) => lease.stage = Stage::Starting { since: now },
            (Stage::Sent | Stage::Starting { .. }, Phase::Running) => lease.stage = Stage::Running { since: now },
            (Stage::Leaving(leaving), Phase::Draining) => leaving.is_acknowledged = true,
            (Stage::Sent | Stage::Starting { .. } | Stage::Running { .. }, Phase::Draining) => {
                let reason = "its worker gives it back".to_owned();
                let leaving = Leaving {
                    release: Release::Drain,
                    reason,
                    first_sent_at: Some(now),
                    last_sent_at: Some(now),
                    is_acknowledged: true,
                };
                lease.stage = Stage::Leaving(leaving);
            }
            // A worker may restart a running task by itself: the owner stays, and the start time is new.
            (Stage::Running { .. }, Phase::Starting) => lease.stage = Stage::Starting { since: now },
            (Stage::Starting { .. }, Phase::Starting)
            | (Stage::Running { .. }, Phase::Running)
            | (Stage::Leaving(_), Phase::Starting | Phase::Running)
            | (_, Phase::Released | Phase::Failed) => {}
        }
    }
}

impl Lease {
    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.stage, Stage::Leaving(_))
    }
}

impl Meter {
    fn read(&mut self, report: &TaskReport, now: Duration) {
        if let Some(Reading { epoch, at, rows }) = self.last
            && epoch == report.epoch
            && at < now
        {
            self.rows_per_second = report.rows.since(rows).0 as f64 / (now - at).as_secs_f64();
        }
        self.last = Some(Reading { epoch: report.epoch, at: now, rows: report.rows });
        if report.messages > Messages(0) {
            self.rows_per_message = Some(report.rows.0 as f64 / report.messages.0 as f64);
        }
        self.lag = report.lag;
        self.busy_ratio = if report.busy_ratio.is_finite() { report.busy_ratio.max(0.0) } else { 0.0 };
        self.watermark = report.watermark;
        self.restarts = report.restarts;
    }
}

pub(super) fn after(epoch: Epoch) -> Epoch {
    Epoch(epoch.0.saturating_add(1))
}

fn doubled(wait: Duration, times: u32) -> Duration {
    wait.saturating_mul(1 << times.min(DOUBLINGS_MAX))
}
