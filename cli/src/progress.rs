//! Progress while a pipeline runs, and the summary when it has.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use davy_engine::metrics::{FunctionMetrics, Metrics};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::output::say;

/// A spinner with flows and flows/s on a terminal; nothing where standard error is no terminal.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    metrics: Arc<Metrics>,
}

impl Progress {
    /// Starts drawing, unless `quiet`.
    pub(crate) fn start(metrics: Arc<Metrics>, quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{spinner} {elapsed}  {human_pos} flows  {per_sec}  {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = ProgressBar::new_spinner().with_style(style);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, metrics }
    }

    /// Shows the counters as they are now.
    pub(crate) fn update(&self) {
        let Some(bar) = &self.bar else { return };
        bar.set_position(self.metrics.source_rows.get());
        bar.set_message(format!("{} windows closed", HumanCount(self.metrics.windows_closed.get())));
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// One line: what was read, what came of it, how fast.
#[expect(clippy::disallowed_methods, reason = "a summary says how long the run took")]
pub(crate) fn summarize(metrics: &Metrics, begun: Instant) {
    let took = begun.elapsed();
    let n_flows = metrics.source_rows.get();
    let seconds = took.as_secs_f64();
    let rate = if 0.0 < seconds { n_flows as f64 / seconds } else { 0.0 };
    let mut line = format!(
        "{} flows read, {} windows closed, {} rows out ({:.2} s, {} flows/s)",
        HumanCount(n_flows),
        HumanCount(metrics.windows_closed.get()),
        HumanCount(metrics.sink_rows.get()),
        seconds,
        HumanCount(rate as u64),
    );
    let late = metrics.late_rows.get();
    if 0 < late {
        line.push_str(&format!("; {} late rows", HumanCount(late)));
    }
    for (reason, n) in metrics.bad_records() {
        line.push_str(&format!("; {} bad records ({})", HumanCount(n), reason.label()));
    }
    for ((reason, policy), n) in metrics.expression_errors() {
        let outcome = if policy == "null" { "failures made null" } else { "failing rows to the dead letters" };
        line.push_str(&format!("; {} {outcome} ({})", HumanCount(n), reason.label()));
    }
    say(&line);
    let n_commits = metrics.commit_seconds.get_sample_count();
    if 0 < n_commits {
        let restarts = metrics.task_restarts.get();
        let restarts = if restarts == 0 { String::new() } else { format!("; tasks started again {restarts} times") };
        let ms = |quantile| metrics.commit_seconds_quantile(quantile) * 1e3;
        say(&format!("{} commits, p50 {:.1} ms, p99 {:.1} ms{restarts}", HumanCount(n_commits), ms(0.5), ms(0.99)));
    }
}

/// One line for a function of the script: rows, what had no result, how fast.
pub(crate) fn summarize_function(function: &FunctionMetrics) {
    let n_rows = function.rows.get();
    if n_rows == 0 {
        return;
    }
    let seconds = function.seconds.get();
    let mut line =
        format!("{}: {} rows in {} calls", function.name, HumanCount(n_rows), HumanCount(function.batches.get()));
    if 0.0 < seconds {
        line.push_str(&format!(" ({} rows/s)", HumanCount((n_rows as f64 / seconds) as u64)));
    }
    let (n_null, n_failed) = (function.null_rows.get(), function.errors.get());
    if 0 < n_null {
        line.push_str(&format!("; {} rows without a result", HumanCount(n_null)));
    }
    if 0 < n_failed {
        line.push_str(&format!("; {} calls failed", HumanCount(n_failed)));
        if let Some(why) = function.first_error.get() {
            line.push_str(&format!(", the first because: {why}"));
        }
    }
    say(&line);
}

#[expect(clippy::disallowed_methods, reason = "a summary says how long the run took")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
