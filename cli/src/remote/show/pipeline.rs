//! Pipelines, in a line each.

use davy_proto::v1::{Pipeline, PipelineState};
use serde_json::{Map, Value, json};

use super::super::args::Output;
use super::super::text::{count, json_time, pipeline_state, rate, time};
use super::{line, table};

pub(in super::super) fn pipelines(pipelines: &[Pipeline], format: Output) -> String {
    match format {
        Output::Json => pipelines.iter().map(|pipeline| line(short(pipeline))).collect(),
        Output::Table => {
            let is_foreign = |pipeline: &Pipeline| pipeline.tenant != pipelines[0].tenant;
            let with_tenants = pipelines.iter().any(is_foreign);
            let cells = |pipeline: &Pipeline| {
                let tenant = with_tenants.then(|| pipeline.tenant.clone());
                tenant.into_iter().chain(cells(pipeline)).collect()
            };
            let rows: Vec<Vec<String>> = pipelines.iter().map(cells).collect();
            let tenant = with_tenants.then_some("tenant");
            let columns = ["name", "state", "tasks", "lag (messages)", "rows/s", "version", "changed", "problem"];
            let header: Vec<&str> = tenant.into_iter().chain(columns).collect();
            table(&header, &rows, "no pipelines")
        }
    }
}

fn cells(pipeline: &Pipeline) -> Vec<String> {
    vec![
        pipeline.name.clone(),
        pipeline_state(pipeline.state),
        format!("{}/{}", pipeline.n_tasks_running, pipeline.n_tasks),
        count(pipeline.lag_messages),
        rate(pipeline.rows_per_second),
        pipeline.version.to_string(),
        time(pipeline.changed_at_ms),
        problem(pipeline),
    ]
}

/// The first one, and how many more.
fn problem(pipeline: &Pipeline) -> String {
    match pipeline.problems.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first, more @ ..] => format!("{first} (and {} more)", more.len()),
    }
}

/// What a change has led to.
pub(in super::super) fn outcome(pipeline: &Pipeline, format: Output) -> String {
    match format {
        Output::Json => line(short(pipeline)),
        Output::Table => {
            let is_over = matches!(pipeline.state(), PipelineState::Stopped | PipelineState::Stopping);
            let tasks = format!(", {} of {} tasks run", pipeline.n_tasks_running, pipeline.n_tasks);
            let tasks = if is_over { "" } else { &tasks };
            format!("{}: {}, version {}{tasks}\n", pipeline.name, pipeline_state(pipeline.state), pipeline.version)
        }
    }
}

/// `davy submit --dry-run`.
pub(in super::super) fn would_run(pipeline: &Pipeline) -> String {
    format!("ok: `{}` would run with {} tasks\n", pipeline.name, count(pipeline.n_tasks.into()))
}

/// An event of `davy watch`.
pub(in super::super) fn change(pipeline: &Pipeline, format: Output) -> String {
    match format {
        Output::Json => line(short(pipeline)),
        Output::Table => {
            let (name, state) = (&pipeline.name, pipeline_state(pipeline.state));
            let tasks = format!("{}/{} tasks", pipeline.n_tasks_running, pipeline.n_tasks);
            let (lag, rate) = (count(pipeline.lag_messages), rate(pipeline.rows_per_second));
            let problem = problem(pipeline);
            let problem = if problem.is_empty() { problem } else { format!(", {problem}") };
            format!("{name}: {state}, {tasks}, lag {lag} messages, {rate} rows/s{problem}\n")
        }
    }
}

/// Leaves out the script, which is long.
fn short(pipeline: &Pipeline) -> Value {
    Value::Object(fields(pipeline))
}

pub(super) fn fields(pipeline: &Pipeline) -> Map<String, Value> {
    let fields = json!({
        "tenant": pipeline.tenant,
        "name": pipeline.name,
        "state": pipeline_state(pipeline.state),
        "version": pipeline.version,
        "incarnation": pipeline.incarnation,
        "kafka_name": pipeline.kafka_name,
        "n_tasks": pipeline.n_tasks,
        "n_tasks_running": pipeline.n_tasks_running,
        "lag_messages": pipeline.lag_messages,
        "rows_per_second": pipeline.rows_per_second,
        "desired_workers": pipeline.scaling.as_ref().map(|scaling| scaling.desired_workers),
        "problems": pipeline.problems,
        "submitted_by": pipeline.submitted_by,
        "submitted_at": json_time(pipeline.submitted_at_ms),
        "changed_at": json_time(pipeline.changed_at_ms),
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
