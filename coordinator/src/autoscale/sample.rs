//! What is seen once a second, of the cluster or of one pipeline.

/// A task as its worker told of it last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TaskLoad {
    /// Rows not yet read.
    pub lag_rows: u64,
    /// Rows read a second.
    pub rows_per_second: f64,
    /// Share of the time in which it worked, 0 to 1.
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
    /// Slots of one of them; 0: none has told yet.
    pub slots_per_worker: u32,
    /// Tasks that should run.
    pub n_tasks: u32,
    /// Rows not yet read.
    pub lag_rows: f64,
    /// Rows read a second.
    pub rows_per_second: f64,
    /// Rows that arrive a second: those read, and by how much the lag grows.
    pub arriving_per_second: f64,
    /// Share of all slots that is busy, 0 and above.
    pub busy_ratio: f64,
    /// Tasks with more lag than they read in ten seconds.
    pub tasks_behind: u32,
    /// Slots that the tasks could fill: one for each that is behind, for the others twice as much as they are busy. A task
    /// is one thread, so that more slots than this help nobody.
    pub usable_slots: f64,
    /// How far the slowest task's event time is behind, in seconds; `None`: not known.
    pub delay_s: Option<f64>,
}

/// Lag of fewer seconds of reading is what is on its way, not a backlog.
const BEHIND_S: f64 = 10.0;

impl Sample {
    /// A sample from what the tasks tell. The sample before it gives the lag's growth; without one, what is read is taken for what
    /// arrives. `at_ms` is in milliseconds since 1970.
    pub fn of(at_ms: i64, workers: (u32, u32), tasks: &[TaskLoad], before: Option<&Self>) -> Self {
        let (workers_alive, slots_per_worker) = workers;
        #[expect(clippy::cast_precision_loss, reason = "rows are counted to sixteen digits")]
        let lag_rows: f64 = tasks.iter().map(|task| task.lag_rows as f64).sum();
        let rows_per_second: f64 = tasks.iter().map(|task| task.rows_per_second).sum();
        let busy_slots: f64 = tasks.iter().map(|task| task.busy_ratio).sum();
        let slots = f64::from(workers_alive) * f64::from(slots_per_worker);
        let behind = |task: &&TaskLoad| is_behind(task);
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
            usable_slots: tasks.iter().map(usable).sum(),
            #[expect(clippy::cast_precision_loss, reason = "a delay for people")]
            delay_s: slowest.map(|watermark| at_ms.saturating_sub(watermark).max(0) as f64 / 1_000.0),
        }
    }

    /// The busy slots, in workers.
    pub(super) fn busy_workers(&self) -> f64 {
        self.busy_ratio * f64::from(self.workers_alive)
    }
}

#[expect(clippy::cast_precision_loss, reason = "rows are counted to sixteen digits")]
fn is_behind(task: &TaskLoad) -> bool {
    task.lag_rows as f64 > task.rows_per_second * BEHIND_S
}

/// A task that keeps up may get twice as much to do before it fills its slot; nobody knows of more.
fn usable(task: &TaskLoad) -> f64 {
    if is_behind(task) { 1.0 } else { (2.0 * task.busy_ratio).min(1.0) }
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
