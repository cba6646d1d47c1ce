//! Names of pipelines, tasks and workers, and the numbers that fence them. Names are parsed and shown here only.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub const NAME_LENGTH_MAX: usize = 100;

/// A pipeline: unique within its tenant. Shown as `<tenant>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PipelineId {
    pub tenant: Arc<str>,
    pub name: Arc<str>,
}

/// A task of a pipeline. Shown as `<tenant>/<name>/<dataflow>/<stage>/<index>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    pub pipeline: PipelineId,
    /// Which INSERT of its script, from 1.
    pub dataflow: u32,
    /// Which stage of it, from 1.
    pub stage: u32,
    /// Which of the stage's tasks, from 0.
    pub index: u32,
}

/// A worker process: a restarted worker has another id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub Arc<str>);

/// The fencing number of a task's owner: greater than that of every earlier owner, whatever the clocks say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// The number of a leading coordinator: greater with each new leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Term(pub u64);

/// Whether a text can be the name of a pipeline, tenant or worker: ASCII alphanumerics, `_` and `-`, since topics are named after it.
pub fn is_name(text: &str) -> bool {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=NAME_LENGTH_MAX).contains(&text.len()) && text.chars().all(is_fine)
}

impl fmt::Display for PipelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.name)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.pipeline, self.dataflow, self.stage, self.index)
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for PipelineId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((tenant, name)) if is_name(tenant) && is_name(name) => {
                Ok(Self { tenant: tenant.into(), name: name.into() })
            }
            _ => Err(format!("`{text}` is no pipeline: it must be <tenant>/<name>")),
        }
    }
}

impl FromStr for TaskId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no task: it must be <tenant>/<pipeline>/<dataflow>/<stage>/<index>");
        let parts: Vec<&str> = text.split('/').collect();
        let [tenant, name, dataflow, stage, index] = parts.as_slice() else { return Err(wrong()) };
        let pipeline = format!("{tenant}/{name}").parse().map_err(|_| wrong())?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        Ok(Self { pipeline, dataflow: number(dataflow)?, stage: number(stage)?, index: number(index)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_read_as_it_is_shown() {
        let text = "soc/miners/1/2/7";
        assert_eq!(text.parse::<TaskId>().map(|task| task.to_string()).as_deref(), Ok(text));
        for wrong in
            ["", "soc/miners", "soc/miners/1/2", "soc/miners/1/2/x", "soc/mi ners/1/2/3", "soc//1/2/3", "a/b/1/2/3/4"]
        {
            assert!(wrong.parse::<TaskId>().is_err(), "{wrong}");
        }
    }
}
