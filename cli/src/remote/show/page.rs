//! `davy describe`: a pipeline on one page; problems come first, the script last.

use std::collections::BTreeMap;
use std::fmt::Write;

use davy_proto::v1::{Pipeline, Task};
use serde_json::{Value, json};

use super::super::args::Output;
use super::super::text::{count, pipeline_state, rate, time};
use super::cluster::{task_json, tasks as task_table};
use super::line;
use super::pipeline::fields;

pub(in super::super) fn page(pipeline: &Pipeline, tasks: &[Task], format: Output) -> String {
    match format {
        Output::Json => as_json(pipeline, tasks),
        Output::Table => as_text(pipeline, tasks),
    }
}

fn as_json(pipeline: &Pipeline, tasks: &[Task]) -> String {
    let dataflows = pipeline.dataflows.iter().map(|dataflow| {
        let stages = dataflow.stages.iter().map(|stage| json!({ "input": stage.input, "n_tasks": stage.n_tasks }));
        let stages: Vec<Value> = stages.collect();
        json!({ "sink": dataflow.sink, "fingerprint": dataflow.fingerprint, "stages": stages })
    });
    let mut object = fields(pipeline);
    object.insert("scaling_reason".to_owned(), pipeline.scaling.as_ref().map(|scaling| scaling.reason.clone()).into());
    object.insert("dataflows".to_owned(), dataflows.collect());
    object.insert("tasks".to_owned(), tasks.iter().map(task_json).collect());
    object.insert("settings".to_owned(), json!(pipeline.settings));
    object.insert("sql".to_owned(), pipeline.sql.clone().into());
    line(Value::Object(object))
}

fn as_text(pipeline: &Pipeline, tasks: &[Task]) -> String {
    let mut out = String::new();
    for (name, value) in facts(pipeline) {
        // Writing to a string cannot fail.
        writeln!(out, "{name:<12}{value}").expect("a string takes everything");
    }
    if !tasks.is_empty() {
        out = out + "\n" + &task_table(tasks, Output::Table);
    }
    out + "\n" + pipeline.sql.trim_end() + "\n"
}

/// The lines above the tasks, by name.
fn facts(pipeline: &Pipeline) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("pipeline", format!("{}/{}", pipeline.tenant, pipeline.name)),
        ("state", format!("{} since {}", pipeline_state(pipeline.state), time(pipeline.changed_at_ms))),
    ];
    facts.extend(pipeline.problems.iter().map(|problem| ("problem", problem.clone())));
    facts.push((
        "tasks",
        format!("{} of {} run", count(pipeline.n_tasks_running.into()), count(pipeline.n_tasks.into())),
    ));
    facts.push(("lag", format!("{} messages", count(pipeline.lag_messages))));
    facts.push(("reads", format!("{} rows/s", rate(pipeline.rows_per_second))));
    if let Some(scaling) = &pipeline.scaling {
        facts.push(("workers", format!("{} wanted: {}", scaling.desired_workers, scaling.reason)));
    }
    facts.push(("version", pipeline.version.to_string()));
    facts.push(("submitted", format!("by {} at {}", pipeline.submitted_by, time(pipeline.submitted_at_ms))));
    facts.push(("on Kafka", format!("davy.{}.*, begun {}", pipeline.kafka_name, times(pipeline.incarnation))));
    let settings: BTreeMap<&String, &String> = pipeline.settings.iter().collect();
    facts.extend(settings.iter().map(|(key, value)| ("setting", format!("{key} = {value}"))));
    for dataflow in &pipeline.dataflows {
        let stage = |stage: &davy_proto::v1::Stage| format!("{} ({} tasks)", stage.input, stage.n_tasks);
        let path: Vec<String> = dataflow.stages.iter().map(stage).chain([dataflow.sink.clone()]).collect();
        facts.push(("dataflow", format!("{}, plan {}", path.join(" → "), dataflow.fingerprint)));
    }
    facts
}

fn times(incarnation: u32) -> String {
    if incarnation == 1 { "once".to_owned() } else { format!("{} times", count(incarnation.into())) }
}
