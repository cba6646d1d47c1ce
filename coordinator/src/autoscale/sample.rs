//! What the coordinator measures once a second, of the cluster or of one pipeline.
//!
//! Workers count what they have not read in messages, since only reading shows how many rows are in one. Here they become rows, by the
//! measured rows per message: everything after this module is about rows.

use davy_proto::domain::Messages;

/// When a sample is taken, and the workers that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// In milliseconds since 1970.
    pub at_ms: i64,
    /// Workers that take tasks: alive, and not draining.
    pub workers_alive: u32,
    /// Mean over these workers; 0: there is none.
    pub slots_per_worker: u32,
}

/// A task, as its worker last reported it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TaskLoad {
    pub lag: Messages,
    /// How many rows a message holds, as measured; `None` before the task has read one.
    pub rows_per_message: Option<f64>,
    pub rows_per_second: f64,
    /// Share of the time in which the task did not wait, 0 to 1.
    pub busy_ratio: f64,
    /// Event time, in milliseconds since 1970; `None` before the first row.
    pub watermark_ms: Option<i64>,
}

/// The load at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// When, in milliseconds; only differences count, but for the delay of [`Sample::of`].
    pub at_ms: i64,
    /// Workers that take tasks: alive, and not draining.
    pub workers_alive: u32,
    /// Mean over these workers; 0: there is none.
    pub slots_per_worker: u32,
    /// Tasks of pipelines whose desired state is to run, granted or not.
    pub n_tasks: u32,
    /// Rows in the messages that the tasks have not read.
    pub lag_rows: f64,
    pub rows_per_second: f64,
    /// Rows that arrive a second: those read, and by how much the lag grows.
    pub arriving_per_second: f64,
    /// Share of all slots that is busy, 0 and above.
    pub busy_ratio: f64,
    /// Tasks with more lag than they read in ten seconds.
    pub tasks_behind: u32,
    /// Slots that the tasks could fill: one for each that is behind, for the others twice as much as they are busy. A task
    /// is one thread, so that more slots than this do not help.
    pub usable_slots: f64,
    /// How far the slowest task's event time is behind, in seconds; `None`: not known.
    pub delay_s: Option<f64>,
}

/// A lag of fewer seconds of reading is no backlog.
const BEHIND_S: f64 = 10.0;

impl Sample {
    /// A sample from the tasks' reports. The sample before it gives the lag's growth; without one, rows are taken to arrive as fast as
    /// they are read.
    pub fn of(setting: Setting, tasks: &[TaskLoad], before: Option<&Self>) -> Self {
        let Setting { at_ms, workers_alive, slots_per_worker } = setting;
        let usual = usual_rows_per_message(tasks);
        let lag_rows: f64 = tasks.iter().map(|task| task.lag_rows(usual)).sum();
        let rows_per_second: f64 = tasks.iter().map(|task| task.rows_per_second).sum();
        let busy_slots: f64 = tasks.iter().map(|task| task.busy_ratio).sum();
        let slots = f64::from(workers_alive) * f64::from(slots_per_worker);
        let behind = |task: &&TaskLoad| is_behind(task, usual);
        let slowest = tasks.iter().filter_map(|task| task.watermark_ms).min();
        Self {
            at_ms,
            workers_alive,
            slots_per_worker,
            n_tasks: u32::try_from(tasks.len()).unwrap_or(u32::MAX),
            lag_rows,
            rows_per_second,
            arriving_per_second: (rows_per_second + growth(at_ms, lag_rows, before)).max(0.0),
            busy_ratio: if slots > 0.0 { busy_slots / slots } else { 0.0 },
            tasks_behind: u32::try_from(tasks.iter().filter(behind).count()).unwrap_or(u32::MAX),
            usable_slots: tasks.iter().map(|task| usable(task, usual)).sum(),
            #[expect(clippy::cast_precision_loss, reason = "a delay for people")]
            delay_s: slowest.map(|watermark| at_ms.saturating_sub(watermark).max(0) as f64 / 1_000.0),
        }
    }

    /// The busy slots, in workers.
    pub(super) fn busy_workers(&self) -> f64 {
        self.busy_ratio * f64::from(self.workers_alive)
    }
}

/// The mean over the tasks that have read messages; 1 when none has. It stands for tasks that have read none yet.
fn usual_rows_per_message(tasks: &[TaskLoad]) -> f64 {
    let measured: Vec<f64> = tasks.iter().filter_map(|task| task.rows_per_message).collect();
    let n_measured = f64::from(u32::try_from(measured.len()).unwrap_or(u32::MAX));
    if measured.is_empty() { 1.0 } else { measured.iter().sum::<f64>() / n_measured }
}

impl TaskLoad {
    /// Rows in the messages that the task has not read.
    #[expect(clippy::cast_precision_loss, reason = "messages are counted to sixteen digits")]
    fn lag_rows(&self, usual_rows_per_message: f64) -> f64 {
        self.lag.0 as f64 * self.rows_per_message.unwrap_or(usual_rows_per_message)
    }
}

fn is_behind(task: &TaskLoad, usual_rows_per_message: f64) -> bool {
    task.lag_rows(usual_rows_per_message) > task.rows_per_second * BEHIND_S
}

/// Slots that a task could fill. One that keeps up is taken to have room for twice its present load, which is a guess.
fn usable(task: &TaskLoad, usual_rows_per_message: f64) -> f64 {
    if is_behind(task, usual_rows_per_message) { 1.0 } else { (2.0 * task.busy_ratio).min(1.0) }
}

/// By how many rows a second the lag grows.
#[expect(clippy::cast_precision_loss, reason = "milliseconds between two samples are few")]
fn growth(at_ms: i64, lag_rows: f64, before: Option<&Sample>) -> f64 {
    match before {
        Some(before) if before.at_ms < at_ms => {
            (lag_rows - before.lag_rows) * 1_000.0 / at_ms.saturating_sub(before.at_ms) as f64
        }
        _ => 0.0,
    }
}
