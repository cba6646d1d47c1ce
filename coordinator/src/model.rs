//! A pipeline as the catalog stores it: its desired state, never its current one.

use std::sync::Arc;

use davy_proto::domain::{PipelineId, PipelineSpec, TaskId};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DesiredState {
    Run,
    /// Its tasks make a last commit and are released; the pipeline can be resumed.
    Pause,
    /// Its tasks make a last commit and are released; the pipeline has ended.
    Stop,
    /// Its tasks stop without a commit; the pipeline has ended.
    StopNow,
}

/// A pipeline as the catalog stores it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineRecord {
    /// `spec_version` is the version that last changed the script, its settings or its incarnation.
    #[serde(flatten)]
    pub spec: Arc<PipelineSpec>,
    #[serde(alias = "wish")]
    pub desired_state: DesiredState,
    /// Grows with each accepted change.
    pub version: u64,
    /// Counts fresh starts, from 1.
    pub incarnation: u32,
    /// Caller that submitted this script.
    pub submitted_by: String,
    /// In milliseconds since 1970.
    pub submitted_at_ms: i64,
    /// When the desired state changed last, in milliseconds since 1970.
    pub changed_at_ms: i64,
    /// The request that led to this record, if its client named it.
    #[serde(default)]
    pub request: Option<AcceptedRequest>,
}

/// Distinguishes a repeated request from another one under the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedRequest {
    pub id: String,
    /// SHA-256 of the requested change, in hex: the same id for another change is an error.
    pub digest: String,
}

impl DesiredState {
    /// Whether the pipeline has ended.
    pub fn is_stopped(self) -> bool {
        match self {
            Self::Run | Self::Pause => false,
            Self::Stop | Self::StopNow => true,
        }
    }
}

impl PipelineRecord {
    pub fn id(&self) -> &PipelineId {
        &self.spec.id
    }

    /// All its tasks, in order.
    pub fn tasks(&self) -> Vec<TaskId> {
        self.spec.tasks()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_an_older_build_is_read() {
        let text = r#"{"id":{"tenant":"soc","name":"alias"},"wish":"pause","sql":"a","settings":{"g":"1"},"version":3,
            "spec_version":2,"incarnation":1,"kafka_name":"soc--alias","dataflows":[{"sink":"s","fingerprint":"f",
            "stages":[{"input":"i","n_tasks":2}]}],"submitted_by":"ann","submitted_at_ms":1,"changed_at_ms":2}"#;
        let record: PipelineRecord = serde_json::from_str(text).expect("the names of an older build");
        assert_eq!((record.desired_state, record.spec.script.sql.as_str()), (DesiredState::Pause, "a"));
        assert_eq!((record.tasks().len(), record.spec.script.settings.len()), (2, 1));
        let written = serde_json::to_value(&record).expect("plain data");
        assert_eq!((written["desired_state"].as_str(), written["sql"].as_str()), (Some("pause"), Some("a")));
        assert_eq!(serde_json::from_value::<PipelineRecord>(written).expect("what was written"), record);
    }
}
