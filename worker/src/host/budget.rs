//! What of a pipeline's memory each task may hold.
//!
//! The share of a task depends on the pipeline alone, not on how many of its tasks are in this process: a worker that takes the tasks of
//! another over gives them memory of their own.

use davy_engine::plan::{Dataflow, StageInput};

/// Of a task that reads a table. Its partials leave it with every commit.
const WEIGHT_OF_SOURCE: usize = 1;
/// Of a task that holds open windows.
const WEIGHT_OF_WINDOWS: usize = 3;
/// Less than this is of no use to a task, unless the whole pipeline has less.
const BYTES_MIN: usize = 32 << 20;

/// The share of each task of `stage`, out of `memory_bytes` for `n_dataflows` dataflows.
pub(super) fn share(
    memory_bytes: usize,
    n_dataflows: usize,
    dataflow: &Dataflow,
    n_tasks: &[u32],
    stage: usize,
) -> usize {
    let weights: Vec<usize> = dataflow.stages.iter().map(|stage| weight(&stage.input)).collect();
    share_by_weight(memory_bytes / n_dataflows.max(1), &weights, n_tasks, stage).max(BYTES_MIN.min(memory_bytes))
}

fn weight(input: &StageInput) -> usize {
    match input {
        StageInput::Table(_) => WEIGHT_OF_SOURCE,
        StageInput::Exchanges(_) => WEIGHT_OF_WINDOWS,
    }
}

fn share_by_weight(bytes: usize, weights: &[usize], n_tasks: &[u32], stage: usize) -> usize {
    let all: usize = weights.iter().zip(n_tasks).map(|(weight, n)| weight * *n as usize).sum();
    (bytes / all.max(1)) * weights[stage]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_share_the_memory_and_windows_get_three_times_as_much() {
        struct Case {
            bytes: usize,
            weights: &'static [usize],
            n_tasks: &'static [u32],
            shares: &'static [usize],
        }
        let cases = [
            Case { bytes: 800, weights: &[1, 3], n_tasks: &[1, 1], shares: &[200, 600] },
            Case { bytes: 800, weights: &[1, 3], n_tasks: &[2, 2], shares: &[100, 300] },
            Case { bytes: 700, weights: &[1, 3, 3], n_tasks: &[1, 1, 1], shares: &[100, 300, 300] },
            Case { bytes: 600, weights: &[1], n_tasks: &[6], shares: &[100] },
        ];
        for Case { bytes, weights, n_tasks, shares } in cases {
            let found: Vec<usize> =
                (0..weights.len()).map(|stage| share_by_weight(bytes, weights, n_tasks, stage)).collect();
            assert_eq!(found, shares, "{bytes} bytes for {n_tasks:?}");
            let sum: usize = found.iter().zip(n_tasks).map(|(share, n)| share * *n as usize).sum();
            assert!(sum <= bytes, "{sum} of {bytes}");
        }
    }
}
