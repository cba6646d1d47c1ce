//! `--wait`: whether a pipeline has reached the state that a change leads to.

use std::ops::ControlFlow;
use std::time::Duration;

use davy_engine::{Error, Result};
use davy_proto::v1::{Pipeline, PipelineState};

use super::client::Client;
use super::stream::follow;
use super::text::pipeline_state;

/// The state that a change leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Running,
    Paused,
    Stopped,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Progress {
    Reached,
    NotYet,
    /// Another change replaced the one that is waited for.
    Never(String),
}

/// `version` is that of the awaited change; states of earlier versions do not count.
fn progress(goal: Goal, version: u64, pipeline: &Pipeline) -> Progress {
    if pipeline.version < version {
        return Progress::NotYet;
    }
    let elsewhere =
        || Progress::Never(format!("another change came in between: it is {}", pipeline_state(pipeline.state)));
    match (goal, pipeline.state()) {
        (Goal::Running, PipelineState::Running)
        | (Goal::Paused, PipelineState::Paused)
        | (Goal::Stopped, PipelineState::Stopped) => Progress::Reached,
        (Goal::Running | Goal::Paused, PipelineState::Stopping | PipelineState::Stopped)
        | (Goal::Running, PipelineState::Pausing | PipelineState::Paused)
            if pipeline.version > version =>
        {
            elsewhere()
        }
        _ => Progress::NotYet,
    }
}

/// Waits until the goal is reached. The error of a timeout names the pipeline's problems.
pub(super) async fn wait(client: &mut Client, sent: &Pipeline, goal: Goal, timeout: Duration) -> Result<Pipeline> {
    let mut last = sent.clone();
    let mut never = None;
    let see = |pipeline: Pipeline| {
        let progress = progress(goal, sent.version, &pipeline);
        last = pipeline;
        Ok(match progress {
            Progress::NotYet => ControlFlow::Continue(()),
            Progress::Reached => ControlFlow::Break(()),
            Progress::Never(why) => {
                never = Some(why);
                ControlFlow::Break(())
            }
        })
    };
    let outcome = tokio::time::timeout(timeout, follow(client, &sent.name, see)).await;
    match (outcome, never) {
        (Ok(Ok(())), None) => Ok(last),
        (Ok(Ok(())), Some(why)) => Err(Error::Unavailable(format!("pipeline `{}`: {why}", sent.name))),
        (Ok(Err(error)), _) => Err(error),
        (Err(_), _) => Err(late(&last, timeout)),
    }
}

fn late(pipeline: &Pipeline, timeout: Duration) -> Error {
    let (name, state) = (&pipeline.name, pipeline_state(pipeline.state));
    let mut message = format!("pipeline `{name}` is still {state} after {}", humantime::format_duration(timeout));
    for problem in &pipeline.problems {
        message = message + "; " + problem;
    }
    Error::Unavailable(format!("{message}; see `davy describe {name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_change_that_was_made_counts() {
        use PipelineState::{Degraded, Paused, Pausing, Running, Starting, Stopped};
        let cases = [
            (Goal::Running, 3, Running, Progress::NotYet),
            (Goal::Running, 4, Starting, Progress::NotYet),
            (Goal::Running, 4, Degraded, Progress::NotYet),
            (Goal::Running, 4, Running, Progress::Reached),
            (Goal::Running, 5, Running, Progress::Reached),
            (Goal::Running, 4, Paused, Progress::NotYet),
            (Goal::Running, 5, Paused, Progress::Never("another change came in between: it is paused".to_owned())),
            (Goal::Paused, 4, Pausing, Progress::NotYet),
            (Goal::Paused, 4, Paused, Progress::Reached),
            (Goal::Paused, 5, Stopped, Progress::Never("another change came in between: it is stopped".to_owned())),
            (Goal::Stopped, 4, Stopped, Progress::Reached),
        ];
        for (goal, version, state, expected) in cases {
            let pipeline = Pipeline { version, state: state.into(), ..Pipeline::default() };
            assert_eq!(progress(goal, 4, &pipeline), expected, "{goal:?} {version} {state:?}");
        }
    }
}
