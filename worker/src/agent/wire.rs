//! Messages to and from the generated types.

use std::sync::Arc;

use davy_proto::v1;

use crate::host::Phase;
use crate::slots::{Grant, PipelineText, TaskReport};

pub(super) fn grant(grant: v1::Grant) -> Grant {
    let pipeline = grant.pipeline.unwrap_or_default();
    let n_tasks = |stages: Vec<v1::Stage>| stages.into_iter().map(|stage| stage.n_tasks).collect();
    let dataflows =
        pipeline.dataflows.into_iter().map(|dataflow| (dataflow.fingerprint, n_tasks(dataflow.stages))).collect();
    Grant {
        task: grant.task,
        epoch: grant.epoch,
        pipeline: Arc::new(PipelineText {
            id: pipeline.id,
            spec_version: pipeline.spec_version,
            kafka_name: pipeline.kafka_name,
            sql: pipeline.sql,
            settings: pipeline.settings.into_iter().collect(),
            dataflows,
        }),
    }
}

pub(super) fn report(report: &TaskReport) -> v1::TaskReport {
    v1::TaskReport {
        task: report.task.clone(),
        epoch: report.epoch,
        state: state(report.phase).into(),
        error: report.error.clone().unwrap_or_default(),
        lag_messages: report.lag,
        messages: 0,
        rows: report.rows,
        busy_ratio: report.busy_ratio,
        watermark_ms: report.watermark_ms,
        restarts: report.restarts,
        spec_version: report.spec_version,
    }
}

fn state(phase: Phase) -> v1::TaskState {
    match phase {
        Phase::Starting => v1::TaskState::Starting,
        Phase::Running => v1::TaskState::Running,
        Phase::Draining => v1::TaskState::Draining,
        Phase::Released => v1::TaskState::Released,
        Phase::Failed => v1::TaskState::Failed,
    }
}
