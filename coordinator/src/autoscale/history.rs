//! The state from sample to sample: smoothed rates, the needs of the last minutes, and the last change.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Options, Sample};

/// Time constant of the averages: heartbeats arrive at odd times, and lag and rows come with different ones.
const SMOOTHING_MS: f64 = 5_000.0;

/// A need must last so long before workers are added: longer than a burst of a second or two stays in the averages.
const UP_WINDOW_MS: i64 = 15_000;

/// A falling need sinks slowly through the averages. A step down at its first sign would be too small, and the next one would have to wait.
const FALLING_MS: i64 = 30_000;

/// Busy for less than this, in workers, says nothing about how fast a busy worker is.
const BUSY_WORKERS_MIN: f64 = 0.02;

/// What [`super::decide`] remembers between samples; empty by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Workers, by the last decision; `None` before the first.
    pub(super) desired: Option<u32>,
    /// When the last decision differed from the one before it.
    pub(super) changed_at_ms: Option<i64>,
    first_at_ms: Option<i64>,
    last_at_ms: Option<i64>,
    read: f64,
    /// Rows that arrive a second, smoothed.
    pub(super) arriving: f64,
    busy_workers: f64,
    speed: Option<f64>,
    now: f64,
    /// Of the last fifteen seconds, oldest first, each less than those after it: the first is the least.
    lows: VecDeque<(i64, f64)>,
    /// Of the scale-down cool-down and `FALLING_MS` before it, oldest first, each more than those after it: the first is the most.
    peaks: VecDeque<(i64, f64)>,
}

impl State {
    /// Takes a sample into the averages.
    pub(super) fn observe(&mut self, sample: &Sample) {
        let weight = self.weight(sample.at_ms);
        let blend = |old: f64, new: f64| old + weight * (new - old);
        self.read = blend(self.read, sample.rows_per_second);
        self.arriving = blend(self.arriving, sample.arriving_per_second);
        self.busy_workers = blend(self.busy_workers, sample.busy_workers());
        if self.busy_workers >= BUSY_WORKERS_MIN && self.read > 0.0 {
            self.speed = Some(self.read / self.busy_workers);
        }
        self.first_at_ms.get_or_insert(sample.at_ms);
        self.last_at_ms = Some(sample.at_ms);
    }

    /// How much a sample counts: more after a long silence, and all of it when it is the first.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds between two samples are few")]
    fn weight(&self, at_ms: i64) -> f64 {
        match self.last_at_ms {
            Some(last) => 1.0 - (-(at_ms.saturating_sub(last).max(0) as f64) / SMOOTHING_MS).exp(),
            None => 1.0,
        }
    }

    /// Rows a second of a worker that is busy all the time; `None`: none has been seen at work.
    pub(super) fn rows_per_busy_worker(&self) -> Option<f64> {
        self.speed
    }

    /// Takes a need, in workers, into the windows.
    pub(super) fn remember(&mut self, options: &Options, at_ms: i64, need: f64) {
        self.now = need;
        while self.lows.back().is_some_and(|&(_, other)| other >= need) {
            self.lows.pop_back();
        }
        while self.peaks.back().is_some_and(|&(_, other)| other <= need) {
            self.peaks.pop_back();
        }
        self.lows.push_back((at_ms, need));
        self.peaks.push_back((at_ms, need));
        forget(&mut self.lows, at_ms.saturating_sub(UP_WINDOW_MS));
        forget(&mut self.peaks, at_ms.saturating_sub(peaks_ms(options)));
    }

    pub(super) fn need_now(&self) -> f64 {
        self.now
    }

    pub(super) fn need_min(&self) -> f64 {
        self.lows.front().map_or(self.now, |&(_, need)| need)
    }

    /// The most of the scale-down cool-down and `FALLING_MS` before it: whether fewer workers are enough.
    pub(super) fn need_max(&self) -> f64 {
        self.peaks.front().map_or(self.now, |&(_, need)| need)
    }

    /// The most of the scale-down cool-down alone: how many are enough.
    pub(super) fn need_max_of_cool_down(&self, now_ms: i64, options: &Options) -> f64 {
        let since = now_ms.saturating_sub(millis(options.down_cool_down));
        self.peaks.iter().find(|&&(at, _)| since <= at).map_or(self.now, |&(_, need)| need)
    }

    /// Wait until workers may be added: after the last change, and after the first sample for as long as a need must last.
    pub(super) fn wait_ms(&self, now_ms: i64, cool_down: Duration) -> i64 {
        let after_change = self.changed_at_ms.map_or(0, |at| left(at, now_ms, millis(cool_down)));
        let after_first = self.first_at_ms.map_or(0, |at| left(at, now_ms, UP_WINDOW_MS));
        after_change.max(after_first)
    }

    /// Wait until workers may be removed: before that, too few peaks are known.
    pub(super) fn wait_down_ms(&self, now_ms: i64, cool_down: Duration) -> i64 {
        self.changed_at_ms.max(self.first_at_ms).map_or(0, |at| left(at, now_ms, millis(cool_down)))
    }

    /// How long until the last need that keeps `current` workers is forgotten.
    pub(super) fn peak_fades_ms(&self, now_ms: i64, options: &Options, current: u32) -> i64 {
        let keeps = |need: f64| need / (1.0 - options.tolerance) > f64::from(current.saturating_sub(1));
        let last = self.peaks.iter().rev().find(|&&(_, need)| keeps(need));
        // A window's end is in it: one millisecond more.
        last.map_or(0, |&(at, _)| left(at, now_ms, peaks_ms(options)) + 1)
    }
}

fn peaks_ms(options: &Options) -> i64 {
    millis(options.down_cool_down).saturating_add(FALLING_MS)
}

fn forget(window: &mut VecDeque<(i64, f64)>, before_ms: i64) {
    while window.front().is_some_and(|&(at, _)| at < before_ms) {
        window.pop_front();
    }
}

fn left(since_ms: i64, now_ms: i64, length_ms: i64) -> i64 {
    length_ms.saturating_sub(now_ms.saturating_sub(since_ms)).clamp(0, length_ms)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
