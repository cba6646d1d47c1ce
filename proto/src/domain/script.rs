//! A submitted script, and the pipeline that it becomes. Debug output shows no values of settings: they may be secret.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{PipelineId, TaskId};

#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    pub sql: String,
    /// As with `davy run --set`: `<table>.<option>`, or a setting of the pipeline.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// What a worker needs to plan and run a pipeline. The coordinator sends the script, never a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineSpec {
    pub id: PipelineId,
    /// Grows with each change of the other fields. Tasks that run an earlier version drain before one of the new version starts.
    pub spec_version: u64,
    /// The pipeline's name on the broker: another one for each incarnation.
    pub kafka_name: String,
    #[serde(flatten)]
    pub script: Script,
    /// One for each INSERT, in the script's order.
    pub dataflows: Vec<DataflowShape>,
}

/// The plan of one INSERT in short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataflowShape {
    /// The table that it writes.
    pub sink: String,
    /// Identifies the whole plan: a worker refuses the task when its build plans another one.
    pub fingerprint: String,
    pub stages: Vec<StageShape>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageShape {
    /// The table or the exchange that it reads.
    pub input: String,
    /// How many tasks share its splits; fixed when the pipeline begins. 0 until the coordinator has read the broker's topics.
    pub n_tasks: u32,
}

impl PipelineSpec {
    /// All its tasks, in order.
    pub fn tasks(&self) -> Vec<TaskId> {
        let mut tasks = Vec::new();
        for (dataflow, shape) in (1..).zip(&self.dataflows) {
            for (stage, shape) in (1..).zip(&shape.stages) {
                let task = |index| TaskId { pipeline: self.id.clone(), dataflow, stage, index };
                tasks.extend((0..shape.n_tasks).map(task));
            }
        }
        tasks
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.settings.keys().collect();
        f.debug_struct("Script").field("sql", &self.sql).field("settings", &names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_the_values_of_settings() {
        let settings = BTreeMap::from([("flows.sasl_password".to_owned(), "hunter2".to_owned())]);
        let shown = format!("{:?}", Script { sql: "SELECT 1".to_owned(), settings });
        assert!(shown.contains("flows.sasl_password") && !shown.contains("hunter2"), "{shown}");
    }
}
