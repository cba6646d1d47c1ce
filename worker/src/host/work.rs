//! Steps one task and commits, until its input ends or a stop is requested.

use std::sync::atomic::Ordering;
use std::time::Duration;

use davy_engine::Result;
use davy_engine::task::{Finding, Step, Task};
use tracing::{info, warn};

use super::commit_rows::CommitRows;
use super::control::{Control, Phase};
use super::{Ending, HostOptions, Shared};
use crate::clock;

/// What a task's loop needs beside the task. The log under the task decides the last three.
pub(super) struct Work<'a> {
    pub(super) name: &'a str,
    pub(super) shared: &'a Shared,
    pub(super) control: &'a Control,
    /// Whether the next stage is so far behind that this one waits.
    pub(super) is_blocked: &'a dyn Fn() -> bool,
    /// How long a task rests after a step that found nothing; none where the source itself waits for input.
    pub(super) idle_rest: Duration,
    /// How many rows its commits may have.
    pub(super) commit_rows: &'a CommitRows,
    /// How a task ends that was requested to stop.
    pub(super) on_stop: Ending,
}

impl Work<'_> {
    pub(super) fn run(&self, task: &mut Task) -> Result<Ending> {
        let mut last_commit = clock::since(self.shared.begun);
        loop {
            if self.control.give_up.load(Ordering::Relaxed) {
                return Ok(self.on_stop);
            }
            if self.control.stop.load(Ordering::Relaxed) {
                self.control.report(Phase::Draining, None);
                task.commit_last()?;
                info!(task = self.name, "stopped after its last commit");
                return Ok(self.on_stop);
            }
            if (self.is_blocked)() {
                clock::rest(self.idle_rest);
                continue;
            }
            let elapsed = clock::since(self.shared.begun);
            task.limit_rows(self.commit_rows.rows_max());
            let step = task.step(elapsed)?;
            self.show(task, step);
            if step == Step::Ended {
                task.commit()?;
                return Ok(Ending::Complete);
            }
            // An idle task commits too: its watermark may have moved, and the next stage waits for it.
            let since_last = elapsed.saturating_sub(last_commit);
            let commit_rows = self.commit_rows();
            if task.is_full() || is_commit_due(&self.shared.options, commit_rows, since_last, task.uncommitted()) {
                self.commit(task)?;
                last_commit = elapsed;
            } else if step == Step::Idle {
                clock::rest(self.idle_rest);
            }
        }
    }

    /// How many uncommitted rows make a commit due.
    fn commit_rows(&self) -> usize {
        self.shared.options.commit_rows.min(self.commit_rows.due_after())
    }

    /// Shows how far the task has come.
    fn show(&self, task: &mut Task, step: Step) {
        if let Step::Worked(n_rows) = step {
            self.control.rows.fetch_add(n_rows as u64, Ordering::Relaxed);
        }
        self.control.messages.fetch_add(task.take_messages(), Ordering::Relaxed);
        self.control.show_work(clock::on_core());
        self.control.lag.store(task.lag(), Ordering::Relaxed);
        self.control.watermark.store(task.watermark().unwrap_or(i64::MIN), Ordering::Relaxed);
        for notice in task.take_notices() {
            warn!(task = self.name, notice, "notice");
        }
        match task.take_finding() {
            None => {}
            Some(Finding::AllBad(finding)) => {
                warn!(task = self.name, finding, "no record of the input can be read");
                self.control.report(Phase::Running, Some(finding));
            }
            Some(Finding::Recovered) => {
                info!(task = self.name, "records of the input can be read again");
                self.control.report(Phase::Running, None);
            }
        }
    }

    /// Commits what has changed, and counts how long that took.
    pub(super) fn commit(&self, task: &mut Task) -> Result<()> {
        let (begun, on_core) = (clock::now(), clock::on_core());
        let n_rows = task.uncommitted();
        let committed = task.commit_changes();
        let took = clock::since(begun);
        match committed {
            Ok(_) => self.commit_rows.note(n_rows, took),
            Err(_) => self.commit_rows.note_failure(n_rows, took),
        }
        let has_committed = committed?;
        if has_committed {
            self.shared.metrics.commit_seconds.observe(took.as_secs_f64());
        }
        // The core was free meanwhile, but the task could not go on.
        self.control.add_waiting(took.saturating_sub(clock::on_core().saturating_sub(on_core)));
        Ok(())
    }
}

fn is_commit_due(options: &HostOptions, commit_rows: usize, since_last: Duration, uncommitted_rows: usize) -> bool {
    options.commit_interval <= since_last || commit_rows <= uncommitted_rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_due_after_the_interval_or_enough_rows() {
        let options = HostOptions { commit_interval: Duration::from_secs(1), ..HostOptions::default() };
        let cases = [
            (Duration::ZERO, 0, false),
            (Duration::from_millis(999), 99, false),
            (Duration::from_secs(1), 0, true),
            (Duration::ZERO, 100, true),
        ];
        for (since_last, rows, expected) in cases {
            assert_eq!(is_commit_due(&options, 100, since_last, rows), expected, "{since_last:?}, {rows} rows");
        }
    }
}
