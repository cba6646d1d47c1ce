//! Workers, tasks, and how many workers are wanted.

use std::collections::BTreeMap;

use davy_proto::v1::{Scaling, Task, TaskState, Worker};
use serde_json::{Value, json};

use super::super::args::Output;
use super::super::text::{count, json_time, percent, rate, task_state, time, worker_state};
use super::{line, table};

pub(in super::super) fn workers(workers: &[Worker], format: Output) -> String {
    match format {
        Output::Json => workers.iter().map(|worker| line(worker_json(worker))).collect(),
        Output::Table => {
            let rows: Vec<Vec<String>> = workers.iter().map(worker_cells).collect();
            let header = ["name", "state", "tasks", "slots", "busy", "silent", "version", "since", "labels", "id"];
            table(&header, &rows, "no workers; start one with `davy worker`")
        }
    }
}

fn worker_cells(worker: &Worker) -> Vec<String> {
    let labels: BTreeMap<&String, &String> = worker.labels.iter().collect();
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    vec![
        worker.name.clone(),
        worker_state(worker.state),
        count(worker.n_tasks.into()),
        count(worker.slots.into()),
        percent(worker.busy_ratio),
        format!("{} s", count(worker.silent_ms / 1_000)),
        worker.version.clone(),
        time(worker.registered_at_ms),
        labels.join(" "),
        worker.id.clone(),
    ]
}

fn worker_json(worker: &Worker) -> Value {
    json!({
        "id": worker.id,
        "name": worker.name,
        "state": worker_state(worker.state),
        "version": worker.version,
        "slots": worker.slots,
        "n_tasks": worker.n_tasks,
        "busy_ratio": worker.busy_ratio,
        "silent_ms": worker.silent_ms,
        "registered_at": json_time(worker.registered_at_ms),
        "labels": worker.labels,
    })
}

/// `davy tasks`: failed tasks first, then unplaced ones.
pub(in super::super) fn tasks(tasks: &[Task], format: Output) -> String {
    match format {
        Output::Json => tasks.iter().map(|task| line(task_json(task))).collect(),
        Output::Table => {
            let header = [
                "task",
                "state",
                "worker",
                "lag (messages)",
                "rows/s",
                "busy",
                "watermark",
                "epoch",
                "restarts",
                "why",
            ];
            table(&header, &task_rows(tasks), "no tasks")
        }
    }
}

fn task_rows(tasks: &[Task]) -> Vec<Vec<String>> {
    let mut tasks: Vec<&Task> = tasks.iter().collect();
    tasks.sort_by_key(|task| urgency(task.state()));
    tasks.into_iter().map(task_cells).collect()
}

fn urgency(state: TaskState) -> u8 {
    match state {
        TaskState::Failed => 0,
        TaskState::Unspecified | TaskState::Unplaced => 1,
        TaskState::Starting | TaskState::Draining => 2,
        TaskState::Running | TaskState::Released => 3,
    }
}

fn task_cells(task: &Task) -> Vec<String> {
    let why = if task.error.is_empty() { &task.reason } else { &task.error };
    vec![
        task.id.clone(),
        task_state(task.state),
        task.worker_name.clone(),
        count(task.lag_messages),
        rate(task.rows_per_second),
        percent(task.busy_ratio),
        task.watermark_ms.map(time).unwrap_or_default(),
        task.epoch.to_string(),
        count(task.restarts.into()),
        why.clone(),
    ]
}

pub(super) fn task_json(task: &Task) -> Value {
    json!({
        "id": task.id,
        "state": task_state(task.state),
        "worker_id": task.worker_id,
        "worker_name": task.worker_name,
        "epoch": task.epoch,
        "reason": task.reason,
        "error": task.error,
        "restarts": task.restarts,
        "lag_messages": task.lag_messages,
        "rows_per_second": task.rows_per_second,
        "busy_ratio": task.busy_ratio,
        "watermark": task.watermark_ms.map_or(Value::Null, json_time),
    })
}

pub(in super::super) fn scaling(scaling: &Scaling, format: Output) -> String {
    let Scaling { desired_workers, reason } = scaling;
    match format {
        Output::Json => line(json!({ "desired_workers": desired_workers, "reason": reason })),
        Output::Table if *desired_workers == 1 => format!("1 worker wanted: {reason}\n"),
        Output::Table => format!("{} workers wanted: {reason}\n", count((*desired_workers).into())),
    }
}
