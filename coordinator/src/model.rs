//! A pipeline as the catalog keeps it: what somebody wants, never what is happening.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use davy_proto::domain::{PipelineId, TaskId};

/// What is to become of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    Run,
    /// Its tasks have made a last commit and are released; they can go on.
    Pause,
    /// It has ended, with a last commit.
    Stop,
    /// It has ended, at once.
    StopNow,
}

/// A pipeline that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineRecord {
    /// Whose, and its name.
    pub id: PipelineId,
    /// What is to become of it.
    pub wish: Wish,
    pub sql: String,
    /// As with `davy run --set`.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Grows with each accepted change.
    pub version: u64,
    /// The version that changed the script, its settings or its incarnation last: tasks that run an earlier one are drained first.
    pub spec_version: u64,
    /// How often it has begun anew, from 1.
    pub incarnation: u32,
    /// What it is called on the broker: another one for each incarnation.
    pub kafka_name: String,
    /// Its INSERTs, in order.
    pub dataflows: Vec<DataflowShape>,
    /// Who submitted what stands here.
    pub submitted_by: String,
    /// When that was, in milliseconds since 1970.
    pub submitted_at_ms: i64,
    /// When the wish changed last.
    pub changed_at_ms: i64,
    /// The change that stands here, as its client named it, and a digest of what it asked for.
    #[serde(default)]
    pub request: Option<RequestMark>,
}

/// A change, as its client named it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestMark {
    /// The client's name of it.
    pub id: String,
    /// SHA-256 of what it asked for, in hex: the same name for something else is an error.
    pub digest: String,
}

/// One INSERT: its plan in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataflowShape {
    /// The table it writes.
    pub sink: String,
    /// Of the whole plan: a worker that plans another one refuses.
    pub fingerprint: String,
    /// Its stages, in order.
    pub stages: Vec<StageShape>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageShape {
    /// What it reads: a table, or an exchange.
    pub input: String,
    /// How many tasks share its splits; fixed when the pipeline begins.
    pub n_tasks: u32,
}

impl PipelineRecord {
    /// All its tasks, in order.
    pub fn tasks(&self) -> Vec<TaskId> {
        let mut tasks = Vec::new();
        for (dataflow, shape) in (1..).zip(&self.dataflows) {
            for (stage, shape) in (1..).zip(&shape.stages) {
                tasks.extend((0..shape.n_tasks).map(|index| TaskId {
                    pipeline: self.id.clone(),
                    dataflow,
                    stage,
                    index,
                }));
            }
        }
        tasks
    }
}
