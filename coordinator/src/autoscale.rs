//! How many workers are needed, and why: one pure step from measurements to a decision.
//!
//! A worker that is busy all the time reads a measured number of rows per second. The need is the number of such workers for the rows
//! that arrive per second, plus the backlog divided by the time in which it should be gone. Without a backlog that is the busy share of
//! the workers over the target.
//!
//! | the need | is compared with | so that |
//! |---|---|---|
//! | rises | its least over fifteen seconds | one odd sample starts no worker |
//! | falls | its most over the scale-down cool-down | a lull stops no worker that is needed again soon |
//!
//! Left out: the clock, and starting workers. The same function serves the cluster and each pipeline alone, with a state each. The
//! event-time delay is shown, but decides nothing: a replay of old rows is late, and healthy.

mod history;
mod sample;
mod words;

use std::time::Duration;

pub use self::history::State;
pub use self::sample::{Sample, Setting, TaskLoad};

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Never fewer workers. Default: 1.
    pub workers_min: u32,
    /// Never more workers. Default: 16.
    pub workers_max: u32,
    /// The share of its slots that a worker should be busy, above 0 to 1: the rest is for peaks. Default: 0.7.
    pub target_utilisation: f64,
    /// How fast a backlog should be gone. Default: 5 minutes.
    pub catch_up: Duration,
    /// After any change, no more workers for so long. Default: 30 seconds.
    pub up_cool_down: Duration,
    /// After any change, no fewer workers for so long; and so long must fewer have been enough. Default: 5 minutes.
    pub down_cool_down: Duration,
    /// A need that differs from what is there by less changes nothing, 0 to below 1. Default: 0.1.
    pub tolerance: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers_min: 1,
            workers_max: 16,
            target_utilisation: 0.7,
            catch_up: Duration::from_secs(300),
            up_cool_down: Duration::from_secs(30),
            down_cool_down: Duration::from_secs(300),
            tolerance: 0.1,
        }
    }
}

impl Options {
    /// Refuses options that make no sense. [`decide`] expects options that passed.
    pub fn check(&self) -> Result<(), String> {
        if self.workers_max == 0 || self.workers_max < self.workers_min {
            let (min, max) = (self.workers_min, self.workers_max);
            return Err(format!("option `workers_max = {max}` must be at least 1 and at least `workers_min = {min}`"));
        }
        if !(self.target_utilisation > 0.0 && self.target_utilisation <= 1.0) {
            let target = self.target_utilisation;
            return Err(format!("option `target_utilisation = {target}` must be above 0 and at most 1, such as 0.7"));
        }
        if !(0.0..1.0).contains(&self.tolerance) {
            return Err(format!("option `tolerance = {}` must be at least 0 and below 1, such as 0.1", self.tolerance));
        }
        if self.catch_up < Duration::from_secs(1) {
            return Err("option `catch_up` must be at least one second, such as 5m".to_owned());
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// In all, not in addition.
    pub desired_workers: u32,
    /// The measurements that led to the number, as `davy scaling` prints them.
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whether a pipeline should run; without one KEDA may stop the last worker.
    pub is_active: bool,
    pub desired_workers: u32,
}

/// The load's need, before any cool-down.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Need {
    /// There is no worker to measure.
    NoWorkers,
    /// Rows wait, but no task has read one yet, so that a worker's speed is unknown.
    UnknownSpeed,
    /// Number of workers at the target utilisation.
    Workers(f64),
    /// More workers would be needed, but each task that is behind has a slot already: this many workers are useful.
    HotTasks(f64),
}

/// One step: state and sample give a decision and the next state.
pub fn decide(options: &Options, state: &State, sample: &Sample) -> (State, Decision) {
    let mut state = state.clone();
    let current = *state.desired.get_or_insert_with(|| bounds(options, sample).apply(sample.workers_alive));
    state.observe(sample);
    let need = need(options, &state, sample, current);
    let (wanted, why) = match need {
        Need::NoWorkers => (current, words::no_workers(sample)),
        Need::UnknownSpeed => (current, words::unknown_speed(sample)),
        Need::Workers(workers) | Need::HotTasks(workers) => {
            state.remember(options, sample.at_ms, workers);
            let why = words::load(options, &state, sample, need);
            apply_cool_downs(options, &state, sample, &why)
        }
    };
    let bounds = bounds(options, sample);
    let desired_workers = bounds.apply(wanted);
    if desired_workers != current {
        state.changed_at_ms = Some(sample.at_ms);
    }
    state.desired = Some(desired_workers);
    let reason = why + &bounds.words(wanted);
    (state, Decision { desired_workers, reason })
}

fn need(options: &Options, state: &State, sample: &Sample, current: u32) -> Need {
    if sample.n_tasks == 0 {
        return Need::Workers(0.0);
    }
    if sample.workers_alive == 0 {
        return Need::NoWorkers;
    }
    let rows_per_second = state.arriving + sample.lag_rows / options.catch_up.as_secs_f64();
    let all = match state.rows_per_busy_worker() {
        Some(speed) => rows_per_second / (speed * options.target_utilisation),
        None if rows_per_second > 0.0 => return Need::UnknownSpeed,
        None => 0.0,
    };
    let usable = sample.usable_slots / f64::from(sample.slots_per_worker.max(1));
    let tasks_limit_it = usable < f64::from(bounds(options, sample).max);
    let current = f64::from(current);
    if all > current && all > usable && tasks_limit_it {
        Need::HotTasks(usable.max(current))
    } else {
        Need::Workers(all)
    }
}

/// Changes the number of workers only when the need lasts, and no change was made recently.
fn apply_cool_downs(options: &Options, state: &State, sample: &Sample, why: &str) -> (u32, String) {
    let now_ms = sample.at_ms;
    let current = state.desired.unwrap_or(options.workers_min);
    let lasting = state.need_min();
    if lasting > f64::from(current) * (1.0 + options.tolerance) {
        let wanted = whole(lasting);
        return match state.wait_ms(now_ms, options.up_cool_down) {
            0 => (wanted, format!("{why}: {}", words::workers(wanted))),
            wait => (current, format!("{why}: {wanted} would do; {}", words::wait_up(wait))),
        };
    }
    let min = bounds(options, sample).min;
    let enough = |need| enough(options, need).max(min);
    let wait = state.wait_down_ms(now_ms, options.down_cool_down);
    if enough(state.need_max()) < current && wait == 0 {
        let wanted = enough(state.need_max_of_cool_down(now_ms, options));
        return (wanted, format!("{why}: {}", words::workers(wanted)));
    }
    let now_enough = enough(state.need_now());
    if now_enough < current {
        let wait = wait.max(state.peak_fades_ms(now_ms, options, current));
        return (current, format!("{why}: {now_enough} would do; {}", words::wait_down(wait)));
    }
    (current, format!("{why}: {}", words::workers(current)))
}

/// Where going down ends: a need at the brink of a whole number must not go down only to come up again.
fn enough(options: &Options, need: f64) -> u32 {
    whole(need / (1.0 - options.tolerance))
}

/// Workers come whole. The small share less keeps a need of 3.0000001, which is rounding, from becoming 4.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and a need is not negative"
)]
fn whole(need: f64) -> u32 {
    (need - 1e-6).ceil().max(0.0) as u32
}

/// The least and the most workers that make sense at present.
struct Bounds {
    min: u32,
    max: u32,
    max_because: MaxBecause,
}

enum MaxBecause {
    Option,
    Tasks { n_tasks: u32 },
}

fn bounds(options: &Options, sample: &Sample) -> Bounds {
    let for_tasks = sample.n_tasks.div_ceil(sample.slots_per_worker.max(1));
    // While there are tasks, one worker has to be there to run them.
    let min = options.workers_min.max(u32::from(sample.n_tasks > 0));
    // Without workers, the number of slots per worker is unknown.
    let slots_are_known = sample.slots_per_worker > 0;
    if slots_are_known && for_tasks.max(min) < options.workers_max {
        return Bounds { min, max: for_tasks.max(min), max_because: MaxBecause::Tasks { n_tasks: sample.n_tasks } };
    }
    Bounds { min, max: options.workers_max, max_because: MaxBecause::Option }
}

impl Bounds {
    fn apply(&self, workers: u32) -> u32 {
        workers.clamp(self.min, self.max)
    }

    fn words(&self, wanted: u32) -> String {
        match self.max_because {
            _ if wanted < self.min => format!("; at least {}", words::workers(self.min)),
            _ if wanted <= self.max => String::new(),
            MaxBecause::Option => format!("; no more than `workers_max = {}`", self.max),
            MaxBecause::Tasks { n_tasks } => {
                format!("; {n_tasks} tasks fill no more than {}", words::workers(self.max))
            }
        }
    }
}

#[cfg(test)]
mod tests;
