//! Between generated messages and the domain. Whatever arrives is checked here, whichever side receives it.

use std::sync::Arc;

use crate::domain::{
    Assignment, DataflowShape, Epoch, EventTime, Messages, Phase, PipelineSpec, Release, Revocation, Rows, Script,
    StageShape, TailRow, TaskId, TaskReport,
};
use crate::v1;

/// No coordinator gives out a greater epoch: clocks reach it in the year 111,000.
const EPOCH_MAX: u64 = 1 << 62;

/// The longest error of a task that is kept, in characters.
const ERROR_LENGTH_MAX: usize = 2_000;

/// A message that does not follow the .proto file's rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidMessage(pub String);

impl From<Phase> for v1::TaskState {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Starting => Self::Starting,
            Phase::Running => Self::Running,
            Phase::Draining => Self::Draining,
            Phase::Released => Self::Released,
            Phase::Failed => Self::Failed,
        }
    }
}

impl TryFrom<v1::TaskState> for Phase {
    type Error = InvalidMessage;

    fn try_from(state: v1::TaskState) -> Result<Self, InvalidMessage> {
        match state {
            v1::TaskState::Starting => Ok(Self::Starting),
            v1::TaskState::Running => Ok(Self::Running),
            v1::TaskState::Draining => Ok(Self::Draining),
            v1::TaskState::Released => Ok(Self::Released),
            v1::TaskState::Failed => Ok(Self::Failed),
            v1::TaskState::Unspecified | v1::TaskState::Unplaced => {
                let name = state.as_str_name();
                Err(InvalidMessage(format!("`{name}` is no state that a worker reports")))
            }
        }
    }
}

impl From<TaskReport> for v1::TaskReport {
    fn from(report: TaskReport) -> Self {
        Self {
            task: report.task.to_string(),
            epoch: report.epoch.0,
            state: v1::TaskState::from(report.phase).into(),
            error: report.error.unwrap_or_default(),
            lag_messages: report.lag.0,
            messages: report.messages.0,
            rows: report.rows.0,
            busy_ratio: report.busy_ratio,
            watermark_ms: report.watermark.map(|time| time.0),
            restarts: report.restarts,
            spec_version: report.spec_version,
        }
    }
}

impl TryFrom<v1::TaskReport> for TaskReport {
    type Error = InvalidMessage;

    fn try_from(message: v1::TaskReport) -> Result<Self, InvalidMessage> {
        let (task, epoch) = owned_task(&message.task, message.epoch)?;
        let phase =
            Phase::try_from(message.state()).map_err(|error| InvalidMessage(format!("task `{task}`: {error}")))?;
        let error: String = message.error.chars().take(ERROR_LENGTH_MAX).collect();
        Ok(Self {
            task,
            epoch,
            spec_version: message.spec_version,
            phase,
            error: (!error.is_empty()).then_some(error),
            lag: Messages(message.lag_messages),
            messages: Messages(message.messages),
            rows: Rows(message.rows),
            busy_ratio: if message.busy_ratio.is_finite() { message.busy_ratio.clamp(0.0, 1.0) } else { 0.0 },
            watermark: message.watermark_ms.map(EventTime),
            restarts: message.restarts,
        })
    }
}

impl From<Assignment> for v1::Grant {
    fn from(assignment: Assignment) -> Self {
        let Assignment { task, epoch, pipeline } = assignment;
        Self { task: task.to_string(), epoch: epoch.0, pipeline: Some(Arc::unwrap_or_clone(pipeline).into()) }
    }
}

impl TryFrom<v1::Grant> for Assignment {
    type Error = InvalidMessage;

    fn try_from(message: v1::Grant) -> Result<Self, InvalidMessage> {
        let (task, epoch) = owned_task(&message.task, message.epoch)?;
        let no_pipeline = || InvalidMessage(format!("task `{task}` was granted without its pipeline"));
        let pipeline = PipelineSpec::try_from(message.pipeline.ok_or_else(no_pipeline)?)?;
        Ok(Self { task, epoch, pipeline: Arc::new(pipeline) })
    }
}

impl From<Revocation> for v1::Revoke {
    fn from(revocation: Revocation) -> Self {
        let Revocation { task, epoch, release, reason } = revocation;
        Self { task: task.to_string(), epoch: epoch.0, drain: release == Release::Drain, reason }
    }
}

impl TryFrom<v1::Revoke> for Revocation {
    type Error = InvalidMessage;

    fn try_from(message: v1::Revoke) -> Result<Self, InvalidMessage> {
        let (task, epoch) = owned_task(&message.task, message.epoch)?;
        let release = if message.drain { Release::Drain } else { Release::AtOnce };
        Ok(Self { task, epoch, release, reason: message.reason })
    }
}

impl From<PipelineSpec> for v1::PipelineSpec {
    fn from(spec: PipelineSpec) -> Self {
        let PipelineSpec { id, spec_version, kafka_name, script, dataflows } = spec;
        Self {
            id: id.to_string(),
            spec_version,
            kafka_name,
            sql: script.sql,
            settings: script.settings.into_iter().collect(),
            dataflows: dataflows.into_iter().map(v1::Dataflow::from).collect(),
        }
    }
}

impl TryFrom<v1::PipelineSpec> for PipelineSpec {
    type Error = InvalidMessage;

    fn try_from(message: v1::PipelineSpec) -> Result<Self, InvalidMessage> {
        let v1::PipelineSpec { id, spec_version, kafka_name, sql, settings, dataflows } = message;
        let id = id.parse().map_err(InvalidMessage)?;
        let script = Script { sql, settings: settings.into_iter().collect() };
        let dataflows = dataflows.into_iter().map(DataflowShape::from).collect();
        Ok(Self { id, spec_version, kafka_name, script, dataflows })
    }
}

impl From<DataflowShape> for v1::Dataflow {
    fn from(shape: DataflowShape) -> Self {
        let DataflowShape { sink, fingerprint, stages } = shape;
        let stage = |StageShape { input, n_tasks }| v1::Stage { input, n_tasks };
        Self { sink, fingerprint, stages: stages.into_iter().map(stage).collect() }
    }
}

impl From<v1::Dataflow> for DataflowShape {
    fn from(message: v1::Dataflow) -> Self {
        let v1::Dataflow { sink, fingerprint, stages } = message;
        let stage = |v1::Stage { input, n_tasks }| StageShape { input, n_tasks };
        Self { sink, fingerprint, stages: stages.into_iter().map(stage).collect() }
    }
}

impl From<TailRow> for v1::TailRow {
    fn from(row: TailRow) -> Self {
        let TailRow { topic, partition, offset, written_at_ms, key, value } = row;
        Self { topic, partition, offset, written_at_ms, key, value }
    }
}

impl From<v1::TailRow> for TailRow {
    fn from(message: v1::TailRow) -> Self {
        let v1::TailRow { topic, partition, offset, written_at_ms, key, value } = message;
        Self { topic, partition, offset, written_at_ms, key, value }
    }
}

fn owned_task(task: &str, epoch: u64) -> Result<(TaskId, Epoch), InvalidMessage> {
    let task: TaskId = task.parse().map_err(InvalidMessage)?;
    if EPOCH_MAX < epoch {
        return Err(InvalidMessage(format!("task `{task}`: no coordinator gives out epoch {epoch}")));
    }
    Ok((task, Epoch(epoch)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> TaskReport {
        TaskReport {
            task: "soc/miners/1/2/7".parse().expect("a task"),
            epoch: Epoch(7),
            spec_version: 3,
            phase: Phase::Running,
            error: Some("slow".to_owned()),
            lag: Messages(10),
            messages: Messages(20),
            rows: Rows(2_000),
            busy_ratio: 0.5,
            watermark: Some(EventTime(-1)),
            restarts: 4,
        }
    }

    fn assignment() -> Assignment {
        let script =
            Script { sql: "INSERT …".to_owned(), settings: [("a".to_owned(), "b".to_owned())].into_iter().collect() };
        let stages = vec![StageShape { input: "flows".to_owned(), n_tasks: 16 }];
        let shape = DataflowShape { sink: "out".to_owned(), fingerprint: "9c1f".to_owned(), stages };
        let id = "soc/miners".parse().expect("a pipeline");
        let spec =
            PipelineSpec { id, spec_version: 3, kafka_name: "miners".to_owned(), script, dataflows: vec![shape] };
        Assignment { task: report().task, epoch: Epoch(7), pipeline: Arc::new(spec) }
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        assert_eq!(TaskReport::try_from(v1::TaskReport::from(report())), Ok(report()));
        assert_eq!(Assignment::try_from(v1::Grant::from(assignment())), Ok(assignment()));
        for release in [Release::Drain, Release::AtOnce] {
            let revocation = Revocation { task: report().task, epoch: Epoch(7), release, reason: "drain".to_owned() };
            assert_eq!(Revocation::try_from(v1::Revoke::from(revocation.clone())), Ok(revocation));
        }
    }

    #[test]
    fn a_message_that_breaks_the_rules_is_refused() {
        let good = || v1::TaskReport::from(report());
        for (message, expected) in [
            (v1::TaskReport { task: "a/b".into(), ..good() }, "`a/b` is no task"),
            (v1::TaskReport { state: v1::TaskState::Unplaced.into(), ..good() }, "is no state that a worker reports"),
            (v1::TaskReport { state: 99, ..good() }, "is no state that a worker reports"),
            (v1::TaskReport { epoch: u64::MAX, ..good() }, "no coordinator gives out epoch"),
        ] {
            let refused = TaskReport::try_from(message).expect_err(expected);
            assert!(refused.0.contains(expected), "{refused}");
        }
        let without = v1::Grant { pipeline: None, ..v1::Grant::from(assignment()) };
        assert!(Assignment::try_from(without).is_err());
    }

    #[test]
    fn a_busy_ratio_is_between_zero_and_one() {
        for (sent, expected) in [(0.5, 0.5), (-1.0, 0.0), (9.0, 1.0), (f64::NAN, 0.0), (f64::INFINITY, 0.0)] {
            let message = v1::TaskReport { busy_ratio: sent, ..v1::TaskReport::from(report()) };
            assert_eq!(TaskReport::try_from(message).map(|report| report.busy_ratio), Ok(expected));
        }
    }
}
