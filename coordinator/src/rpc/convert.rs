//! Between generated messages and the coordinator's views. The domain's own conversions are in `davy_proto`.

use std::collections::{BTreeMap, HashMap};

use davy_proto::domain::{DataflowShape, NAME_LENGTH_MAX, TaskReport, WorkerId, is_name};
use davy_proto::v1;

use crate::autoscale::Decision;
use crate::cluster::{PipelineState, PipelineStatus, TaskState, TaskView, WorkerInfo, WorkerState, WorkerView};
use crate::error::{Kind, Refused};
use crate::model::PipelineRecord;
use crate::service::event::{PipelineView, ToWorker};

/// The longest text of a worker's registration, in bytes.
const TEXT_LENGTH_MAX: usize = 2_000;

/// Labels of a worker.
const LABELS_MAX: usize = 32;

/// How much of a pipeline is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// All but the script and its settings: lists would be too long.
    Short,
    /// All but values of settings, which may be secret.
    WithSql,
    Full,
}

pub(super) fn pipeline(view: &PipelineView, detail: Detail) -> v1::Pipeline {
    let PipelineView { record, status, scaling } = view;
    let PipelineRecord { spec, version, incarnation, .. } = record.as_ref();
    let setting = |(name, value): (&String, &String)| match detail {
        Detail::Full => (name.clone(), value.clone()),
        Detail::Short | Detail::WithSql => (name.clone(), "***".to_owned()),
    };
    let mut message = v1::Pipeline {
        tenant: spec.id.tenant.to_string(),
        name: spec.id.name.to_string(),
        state: v1::PipelineState::Unspecified.into(),
        version: *version,
        incarnation: *incarnation,
        kafka_name: spec.kafka_name.clone(),
        dataflows: dataflows(&spec.dataflows),
        submitted_by: record.submitted_by.clone(),
        submitted_at_ms: record.submitted_at_ms,
        changed_at_ms: record.changed_at_ms,
        scaling: scaling.as_ref().map(decision),
        // A dry run has tasks, but no status.
        n_tasks: u32::try_from(record.tasks().len()).unwrap_or(u32::MAX),
        ..v1::Pipeline::default()
    };
    if detail != Detail::Short {
        message.sql = spec.script.sql.clone();
        message.settings = spec.script.settings.iter().map(setting).collect();
    }
    if let Some(status) = status {
        describe(&mut message, status);
    }
    message
}

fn describe(message: &mut v1::Pipeline, status: &PipelineStatus) {
    message.state = pipeline_state(status.state).into();
    message.n_tasks = status.n_tasks;
    message.n_tasks_running = status.n_tasks_running;
    message.lag_messages = status.lag.0;
    message.rows_per_second = status.rows_per_second;
    message.problems = status.problems.clone();
}

fn pipeline_state(state: PipelineState) -> v1::PipelineState {
    match state {
        PipelineState::Starting => v1::PipelineState::Starting,
        PipelineState::Running => v1::PipelineState::Running,
        PipelineState::Degraded => v1::PipelineState::Degraded,
        PipelineState::Waiting => v1::PipelineState::Waiting,
        PipelineState::Pausing => v1::PipelineState::Pausing,
        PipelineState::Paused => v1::PipelineState::Paused,
        PipelineState::Stopping => v1::PipelineState::Stopping,
        PipelineState::Stopped => v1::PipelineState::Stopped,
    }
}

pub(super) fn dataflows(shapes: &[DataflowShape]) -> Vec<v1::Dataflow> {
    shapes.iter().cloned().map(v1::Dataflow::from).collect()
}

pub(super) fn decision(decision: &Decision) -> v1::Scaling {
    v1::Scaling { desired_workers: decision.desired_workers, reason: decision.reason.clone() }
}

/// `registered_at_ms` in milliseconds since 1970.
pub(super) fn worker(view: WorkerView, registered_at_ms: i64) -> v1::Worker {
    let state = match view.state {
        WorkerState::Alive => v1::WorkerState::Alive,
        WorkerState::Draining => v1::WorkerState::Draining,
        WorkerState::Lost => v1::WorkerState::Lost,
    };
    v1::Worker {
        id: view.id.to_string(),
        name: view.name,
        state: state.into(),
        version: view.version,
        slots: view.slots,
        n_tasks: view.n_tasks,
        labels: view.labels.into_iter().collect(),
        registered_at_ms,
        silent_ms: u64::try_from(view.silent.as_millis()).unwrap_or(u64::MAX),
        busy_ratio: view.busy_ratio,
    }
}

pub(super) fn task(view: TaskView) -> v1::Task {
    let state = match view.state {
        TaskState::Unplaced => v1::TaskState::Unplaced,
        TaskState::Starting => v1::TaskState::Starting,
        TaskState::Running => v1::TaskState::Running,
        TaskState::Draining => v1::TaskState::Draining,
        TaskState::Released => v1::TaskState::Released,
        TaskState::Failed => v1::TaskState::Failed,
    };
    v1::Task {
        id: view.id.to_string(),
        state: state.into(),
        worker_id: view.worker.map(|worker| worker.to_string()).unwrap_or_default(),
        worker_name: view.worker_name,
        epoch: view.epoch.0,
        reason: view.reason,
        error: view.error.unwrap_or_default(),
        restarts: view.restarts,
        lag_messages: view.lag.0,
        rows_per_second: view.rows_per_second,
        busy_ratio: view.busy_ratio,
        watermark_ms: view.watermark.map(|time| time.0),
    }
}

pub(super) fn to_worker(message: ToWorker, welcome: v1::Welcome) -> v1::coordinator_message::Kind {
    use v1::coordinator_message::Kind;
    match message {
        ToWorker::Welcome => Kind::Welcome(welcome),
        ToWorker::Alive => Kind::Alive(v1::Alive {}),
        ToWorker::Grant(assignment) => Kind::Grant(assignment.into()),
        ToWorker::Revoke(revocation) => Kind::Revoke(revocation.into()),
    }
}

/// Checks a registration: its names are shown to people, and become labels and log lines.
pub(super) fn register(message: v1::Register) -> Result<(WorkerInfo, Vec<TaskReport>), Refused> {
    let v1::Register { worker_id, name, version, slots, labels, tasks } = message;
    if !is_name(&worker_id) {
        return Err(invalid(format!(
            "`worker_id` must be 1 to {NAME_LENGTH_MAX} ASCII alphanumerics, `_` and `-`; it has {} bytes",
            worker_id.len()
        )));
    }
    if slots == 0 {
        return Err(invalid(format!("worker `{worker_id}` has no slots, so that it could run nothing")));
    }
    let info = WorkerInfo {
        id: WorkerId(worker_id.into()),
        name: printable("name", name)?,
        version: printable("version", version)?,
        slots,
        labels: checked_labels(labels)?,
    };
    Ok((info, reports(tasks)?))
}

fn checked_labels(labels: HashMap<String, String>) -> Result<BTreeMap<String, String>, Refused> {
    if LABELS_MAX < labels.len() {
        return Err(invalid(format!("a worker has {} labels; {LABELS_MAX} are allowed", labels.len())));
    }
    labels.into_iter().map(|(name, value)| Ok((printable("label", name)?, printable("label", value)?))).collect()
}

fn printable(what: &str, text: String) -> Result<String, Refused> {
    if text.len() <= TEXT_LENGTH_MAX && !text.chars().any(char::is_control) {
        return Ok(text);
    }
    Err(invalid(format!("a worker's `{what}` is longer than {TEXT_LENGTH_MAX} bytes, or cannot be printed")))
}

pub(super) fn reports(tasks: Vec<v1::TaskReport>) -> Result<Vec<TaskReport>, Refused> {
    tasks.into_iter().map(|task| TaskReport::try_from(task).map_err(|error| invalid(error.to_string()))).collect()
}

fn invalid(message: String) -> Refused {
    Refused::new(Kind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_is_checked() {
        let good = || v1::Register { worker_id: "w1".into(), slots: 4, ..v1::Register::default() };
        let with_task = |task: &str, state: v1::TaskState, epoch| v1::Register {
            tasks: vec![v1::TaskReport { task: task.into(), state: state.into(), epoch, ..v1::TaskReport::default() }],
            ..good()
        };
        assert!(register(good()).is_ok());
        assert!(register(with_task("a/b/1/1/0", v1::TaskState::Running, 7)).is_ok());
        let labels = (0..99).map(|i| (i.to_string(), String::new())).collect();
        for (message, expected) in [
            (v1::Register { worker_id: String::new(), ..good() }, "`worker_id` must be"),
            (v1::Register { worker_id: "a/b".into(), ..good() }, "`worker_id` must be"),
            (v1::Register { slots: 0, ..good() }, "has no slots"),
            (v1::Register { name: "a\nb".into(), ..good() }, "a worker's `name`"),
            (v1::Register { version: "x".repeat(9_999), ..good() }, "a worker's `version`"),
            (v1::Register { labels, ..good() }, "99 labels"),
            (with_task("a/b", v1::TaskState::Running, 7), "`a/b` is no task"),
            (with_task("a/b/1/1/0", v1::TaskState::Unplaced, 7), "is no state that a worker reports"),
            (with_task("a/b/1/1/0", v1::TaskState::Running, u64::MAX), "no coordinator gives out epoch"),
        ] {
            let refused = register(message).expect_err(expected);
            assert!(refused.message.contains(expected) && refused.kind == Kind::Invalid, "{refused}");
        }
    }
}
