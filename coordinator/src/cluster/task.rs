//! One task: who has its lease, what became of it, and when it may be granted again.

use std::time::Duration;

use davy_proto::domain::{Epoch, WorkerId};

use super::{ClusterOptions, Phase, Report};

/// Doublings after which no wait grows any more.
const DOUBLINGS_MAX: u32 = 6;

/// What is known of a task, wanted or not.
#[derive(Debug)]
pub(super) struct Task {
    /// Reports of epochs below this are of owners whose time is over.
    pub(super) floor: Epoch,
    pub(super) lease: Option<Lease>,
    /// Where it was granted last, or is to go next.
    pub(super) home: Option<WorkerId>,
    /// Why it is where it is, for people.
    pub(super) reason: String,
    pub(super) trouble: Trouble,
    pub(super) meter: Meter,
}

/// Somebody's right to a task.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) worker: WorkerId,
    pub(super) epoch: Epoch,
    pub(super) spec_version: u64,
    pub(super) granted_at: Duration,
    /// The worker has said once that it has the task with this epoch.
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

/// A lease that its worker is to give back.
#[derive(Debug)]
pub(super) struct Leaving {
    /// After a last commit; else at once.
    pub(super) drain: bool,
    pub(super) reason: String,
    /// When the worker was first told: `drain_timeout` counts from here.
    pub(super) told_at: Option<Duration>,
    /// When it was last told on this call.
    pub(super) said_at: Option<Duration>,
    /// It has said that it drains.
    pub(super) is_heard: bool,
}

/// What went wrong, and what follows.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// In a row; forgiven once the task ran for long.
    n_in_a_row: u32,
    /// Since this coordinator leads.
    pub(super) n_failures: u32,
    pub(super) error: Option<String>,
    /// Not to be granted before.
    pub(super) retry_at: Duration,
    /// Where it failed last, and when.
    avoid: Option<(WorkerId, Duration)>,
}

/// What its owner measured.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) lag: u64,
    pub(super) rows_per_second: f64,
    pub(super) busy_ratio: f64,
    pub(super) watermark_ms: Option<i64>,
    pub(super) restarts: u32,
    /// Epoch, time and rows of the last report.
    last: Option<(Epoch, Duration, u64)>,
}

impl Task {
    pub(super) fn new(floor: Epoch) -> Self {
        Self {
            floor,
            lease: None,
            home: None,
            reason: "not placed yet".to_owned(),
            trouble: Trouble::default(),
            meter: Meter::default(),
        }
    }

    /// Its next owner has this epoch or a greater one. A present owner is not cut off: it may still give the task back.
    pub(super) fn raise(&mut self, floor: Epoch) {
        if self.lease.is_none() {
            self.floor = self.floor.max(floor);
        }
    }

    /// Notes a report. One of an epoch that is over changes nothing here; the worker is told so elsewhere.
    pub(super) fn hear(&mut self, worker: &WorkerId, report: &Report, now: Duration, options: &ClusterOptions) {
        if report.epoch < self.floor {
            return;
        }
        if report.phase.is_held() {
            if self.has(worker, report.epoch) || self.adopt(worker, report, now) {
                self.advance(report.phase, now);
                self.meter.read(report, now);
            }
            return;
        }
        if report.phase == Phase::Failed {
            let error = report.error.clone().unwrap_or_else(|| "it failed and did not say why".to_owned());
            self.fail(worker, error, now, options);
        } else {
            "given back by its worker".clone_into(&mut self.reason);
        }
        self.floor = after(report.epoch);
        self.free();
    }

    /// The worker does not report the task any more, though it did.
    pub(super) fn vanish(&mut self, worker: &WorkerId, now: Duration, options: &ClusterOptions) {
        let Some(lease) = self.lease.as_ref().filter(|lease| lease.worker == *worker && lease.is_confirmed) else {
            return;
        };
        self.floor = after(lease.epoch);
        if !lease.is_leaving() {
            self.fail(worker, format!("worker `{worker}` has it no more and did not say why"), now, options);
        }
        self.free();
    }

    /// Whatever was said on the worker's earlier call may be lost.
    pub(super) fn begin_call(&mut self, worker: &WorkerId) {
        if let Some(Lease { stage: Stage::Leaving(leaving), .. }) = self.lease.as_mut().filter(|l| l.worker == *worker)
        {
            leaving.said_at = None;
        }
    }

    /// A grant that the worker does not know of when it begins a call was lost with the call before.
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

    /// It goes rather elsewhere for a while.
    pub(super) fn shun(&mut self, worker: &WorkerId, now: Duration) {
        self.trouble.avoid = Some((worker.clone(), now));
    }

    /// Where it failed not long ago.
    pub(super) fn avoid(&self, now: Duration, options: &ClusterOptions) -> Option<&WorkerId> {
        let is_recent = |at: Duration| now.saturating_sub(at) < options.forget_after;
        self.trouble.avoid.as_ref().filter(|(_, at)| is_recent(*at)).map(|(worker, _)| worker)
    }

    /// How long it may take to start: twice as long after each failure, for a state that is slow to rebuild must get there in the end.
    pub(super) fn start_timeout(&self, options: &ClusterOptions) -> Duration {
        doubled(options.start_timeout, self.trouble.n_in_a_row)
    }

    /// Its worker is to give it back. A drain turns into the end at once, never the other way round.
    pub(super) fn leave(&mut self, drain: bool, reason: &str) {
        let Some(lease) = self.lease.as_mut() else { return };
        let told_at = match &lease.stage {
            Stage::Leaving(leaving) if !leaving.drain || drain => return,
            Stage::Leaving(leaving) => leaving.told_at,
            Stage::Sent | Stage::Starting { .. } | Stage::Running { .. } => None,
        };
        let leaving = Leaving { drain, reason: reason.to_owned(), told_at, said_at: None, is_heard: false };
        lease.stage = Stage::Leaving(leaving);
        reason.clone_into(&mut self.reason);
    }

    /// Takes the lease away from whoever does not give it back: his epoch is over.
    pub(super) fn seize(&mut self, reason: String) {
        if let Some(lease) = &self.lease {
            self.floor = after(lease.epoch);
            self.reason = reason;
            self.free();
        }
    }

    /// Nobody has it. Its rows stay unread, so its lag is still of interest.
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

    /// Takes a worker that has the task for its owner, unless somebody newer, or just as new, is known.
    fn adopt(&mut self, worker: &WorkerId, report: &Report, now: Duration) -> bool {
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
        self.grant(lease, "kept where it ran already".to_owned());
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
            (Stage::Leaving(leaving), Phase::Draining) => leaving.is_heard = true,
            (Stage::Sent | Stage::Starting { .. } | Stage::Running { .. }, Phase::Draining) => {
                let reason = "its worker gives it back".to_owned();
                let leaving = Leaving { drain: true, reason, told_at: Some(now), said_at: Some(now), is_heard: true };
                lease.stage = Stage::Leaving(leaving);
            }
            // A worker may restart a running task by itself; it is the same owner, and as new a start.
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
    fn read(&mut self, report: &Report, now: Duration) {
        if let Some((epoch, at, rows)) = self.last
            && epoch == report.epoch
            && at < now
        {
            self.rows_per_second = report.rows.saturating_sub(rows) as f64 / (now - at).as_secs_f64();
        }
        self.last = Some((report.epoch, now, report.rows));
        self.lag = report.lag;
        self.busy_ratio = if report.busy_ratio.is_finite() { report.busy_ratio.max(0.0) } else { 0.0 };
        self.watermark_ms = report.watermark_ms;
        self.restarts = report.restarts;
    }
}

/// The first epoch that is newer.
pub(super) fn after(epoch: Epoch) -> Epoch {
    Epoch(epoch.0.saturating_add(1))
}

fn doubled(wait: Duration, times: u32) -> Duration {
    wait.saturating_mul(1 << times.min(DOUBLINGS_MAX))
}
