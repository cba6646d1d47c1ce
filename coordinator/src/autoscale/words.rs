//! Reasons, for people.

use super::history::State;
use super::{Need, Options, Sample};

pub(super) fn no_workers(sample: &Sample) -> String {
    format!("no worker is there, and {} wait: as many as before", rows(sample.lag_rows))
}

pub(super) fn unknown_speed(sample: &Sample) -> String {
    format!(
        "{} wait, and none has been read yet that would say how fast a worker is: as many as before",
        rows(sample.lag_rows)
    )
}

pub(super) fn load(options: &Options, state: &State, sample: &Sample, need: Need) -> String {
    if sample.n_tasks == 0 {
        return "nothing to run".to_owned();
    }
    let late = sample.delay_s.filter(|delay| *delay >= 60.0);
    let late = late.map(|delay| format!(" (results are {} late)", duration(delay))).unwrap_or_default();
    if matches!(need, Need::HotTasks(_)) {
        let (behind, all) = (sample.tasks_behind, sample.n_tasks);
        let verb = if behind == 1 { "is" } else { "are" };
        return format!(
            "lag of {}{late}, but only {behind} of {all} tasks {verb} behind, and a task fills one slot: more workers cannot help, \
             more partitions or an evener key would",
            rows(sample.lag_rows)
        );
    }
    let extra = sample.lag_rows / options.catch_up.as_secs_f64();
    let lag_counts = extra > options.tolerance * state.arriving.max(1.0);
    if lag_counts {
        let time = duration(options.catch_up.as_secs_f64());
        return format!("lag of {}{late} needs {time} at {}/s more", rows(sample.lag_rows), rows(extra));
    }
    let (busy, target) = (percent(sample.busy_ratio), percent(options.target_utilisation));
    let relation = match sample.busy_ratio {
        _ if busy == target => "as it should be".to_owned(),
        ratio if ratio < options.target_utilisation => format!("below {target}"),
        _ => format!("above {target}"),
    };
    format!("busy {busy} of {}, {relation}{late}", workers(sample.workers_alive))
}

pub(super) fn wait_up(wait_ms: i64) -> String {
    format!("waiting {} before scaling up", seconds(wait_ms))
}

pub(super) fn wait_down(wait_ms: i64) -> String {
    format!("waiting {} before scaling down", seconds(wait_ms))
}

pub(super) fn workers(n: u32) -> String {
    if n == 1 { "1 worker".to_owned() } else { format!("{n} workers") }
}

fn seconds(ms: i64) -> String {
    format!("{} s", ms.saturating_add(999) / 1_000)
}

fn percent(ratio: f64) -> String {
    format!("{:.0} %", ratio * 100.0)
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    }
}

/// `1.2 M rows`, `4,000 rows`.
fn rows(n: f64) -> String {
    match n {
        n if n >= 1e9 => format!("{:.1} G rows", n / 1e9),
        n if n >= 1e6 => format!("{:.1} M rows", n / 1e6),
        n if n >= 1e3 => format!("{:.0},{:03.0} rows", (n.round() / 1e3).floor(), n.round() % 1e3),
        n => format!("{n:.0} rows"),
    }
}
