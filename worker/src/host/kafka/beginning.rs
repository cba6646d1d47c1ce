//! How a dataflow begins: a task writes into an exchange only after the tasks that read it have committed positions.
//!
//! So a stage without positions behind an exchange with records has lost them. It would give out windows that are in the output already, and
//! nothing else distinguishes that case from a stage that never ran.

use std::time::Duration;

use davy_engine::plan::{Dataflow, StageInput};
use davy_engine::task::Task;
use davy_engine::{Error, Result};

use super::attempt::rest;
use super::past::exchange_splits;
use super::{KafkaTask, Missing, examine};
use crate::connector::kafka::transactions::{Identity, committed_so_far};
use crate::host::Shared;
use crate::host::control::Control;

/// How long a task waits before it checks again whether readers have begun, at first and at most.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The stages that read what `stage` writes.
pub(super) fn readers(dataflow: &Dataflow, stage: usize) -> impl Iterator<Item = usize> {
    let branches = &dataflow.stages[stage].branches;
    let reads = move |input: &StageInput| match input {
        StageInput::Table(_) => false,
        StageInput::Exchanges(inputs) => inputs
            .iter()
            .any(|input| branches.iter().any(|branch| branch.output.exchange() == Some(&input.aggregate.exchange))),
    };
    dataflow.stages.iter().enumerate().filter(move |(_, stage)| reads(&stage.input)).map(|(reader, _)| reader)
}

/// Waits until the task may commit for the first time; false if the run is over before that. A task that has no positions also checks what
/// its pipeline has left behind: positions may have been deleted since the process started.
pub(super) fn wait_for_readers(
    shared: &Shared,
    control: &Control,
    task: &KafkaTask,
    running: &mut Task,
) -> Result<bool> {
    let mut pause = PAUSE_MIN;
    while !task.readers.iter().try_fold(true, |begun, reader| Ok::<_, Error>(begun && has_begun(task, reader)?))? {
        if control.is_over() {
            return Ok(false);
        }
        rest(control, pause);
        pause = (2 * pause).min(PAUSE_MAX);
    }
    if !running.is_new() {
        return Ok(true);
    }
    match examine(shared, &task.cluster, (task.number, &task.dataflow), Missing::Leave) {
        Ok(_) => Ok(true),
        // Another process took over in the same moment, and has committed since.
        Err(Error::Invalid(_)) if running.is_superseded()? => {
            Err(Error::Unavailable(format!("task `{}`: another owner has committed since", task.name)))
        }
        Err(error) => Err(error),
    }
}

fn has_begun(task: &KafkaTask, (stage, identity): &(usize, Identity)) -> Result<bool> {
    let StageInput::Exchanges(inputs) = &task.dataflow.stages[*stage].input else { return Ok(true) };
    let splits = exchange_splits(inputs, task.n_partitions);
    Ok(committed_so_far(&task.cluster, identity, &splits)?.len() == splits.len())
}
