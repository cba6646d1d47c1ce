//! EXPLAIN: a pipeline as text for the person who wrote it.

use std::fmt::Write;
use std::time::Duration;

use crate::operator::partial::WindowedAggregate;
use crate::plan::{Branch, EarlyResults, Output, Pipeline, SourcePlan, Stage, StageInput, WatermarkRule};

/// Stages, keys, partials, windows, and what is pushed into the decoder.
pub fn explain(pipeline: &Pipeline) -> String {
    let mut out = String::new();
    for function in &pipeline.functions {
        line(&mut out, 0, &format!("function {}: {}", function.name, function.about));
    }
    for (index, dataflow) in pipeline.dataflows.iter().enumerate() {
        line(&mut out, 0, &format!("dataflow {} -> {} (plan {:016x})", index + 1, dataflow.sink, dataflow.fingerprint));
        for (index, stage) in dataflow.stages.iter().enumerate() {
            explain_stage(&mut out, index + 1, stage);
        }
    }
    out
}

fn line(out: &mut String, depth: usize, text: &str) {
    for part in text.lines() {
        // Writing to a string cannot fail.
        writeln!(out, "{:1$}{part}", "", depth * 2).expect("a string takes everything");
    }
}

fn explain_stage(out: &mut String, number: usize, stage: &Stage) {
    match &stage.input {
        StageInput::Table(source) => {
            line(out, 1, &format!("stage {number}: read `{}`", source.table.name));
            explain_source(out, source);
        }
        StageInput::Exchanges(inputs) => {
            let names: Vec<&str> = inputs.iter().map(|input| &*input.placeholder).collect();
            line(out, 1, &format!("stage {number}: merge {}", names.join(", ")));
            for input in inputs {
                line(
                    out,
                    2,
                    &format!("{}: close {} when the watermark passes its end", input.placeholder, input.aggregate.spec),
                );
            }
        }
    }
    for branch in &stage.branches {
        explain_branch(out, branch);
    }
}

fn explain_source(out: &mut String, source: &SourcePlan) {
    let table = &source.table;
    let columns: Vec<String> =
        source.schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
    let pushed = format!("{} of {} columns: {}", columns.len(), table.columns.len(), columns.join(", "));
    line(out, 2, &format!("decode {pushed}"));
    line(out, 2, &format!("bad records: {}", table.bad_record));
    if let (Some((time, watermark)), Some(event_time)) = (&table.event_time, &source.event_time) {
        let watermark = match event_time.watermark {
            WatermarkRule::Behind(ns) => {
                format!("{} behind it", humantime::format_duration(Duration::from_nanos(ns.unsigned_abs())))
            }
            WatermarkRule::Expression(_) => watermark.to_string(),
        };
        let late = table.late_table.as_ref().map_or("counted".to_owned(), |name| format!("counted, and to `{name}`"));
        line(out, 2, &format!("event time {time}, watermark {watermark}; late rows: {late}"));
    }
}

fn explain_branch(out: &mut String, branch: &Branch) {
    let how = if branch.window_by_window { "query, window by window:" } else { "query:" };
    line(out, 2, how);
    line(out, 3, &branch.plan.to_string());
    match &branch.output {
        Output::Sink(name) => line(out, 2, &format!("-> sink `{name}`{}", early(branch.early.as_deref()))),
        Output::Local(local) => {
            explain_partials(out, &local.aggregate);
            line(out, 2, &format!("close {} here, as each partition has its keys alone", local.aggregate.spec));
            line(out, 2, if local.window_by_window { "query, window by window:" } else { "query:" });
            line(out, 3, &local.plan.to_string());
            line(out, 2, &format!("-> sink `{}`{}", local.sink, early(local.early.as_deref())));
        }
        Output::Exchange(aggregate) => {
            explain_partials(out, aggregate);
            line(out, 2, &format!("-> exchange {} for {}", aggregate.exchange.0, aggregate.spec));
        }
    }
}

fn early(results: Option<&EarlyResults>) -> String {
    results.map_or(String::new(), |early| {
        let interval = Duration::from_nanos(early.interval_ns.unsigned_abs());
        format!(", with early results every {}", humantime::format_duration(interval))
    })
}

fn explain_partials(out: &mut String, aggregate: &WindowedAggregate) {
    let keys: Vec<&str> = aggregate.layout.keys.iter().map(|field| field.name().as_str()).collect();
    let keys = if keys.is_empty() { "nothing else".to_owned() } else { keys.join(", ") };
    let calls: Vec<&str> = aggregate.calls().iter().map(|call| call.function.name()).collect();
    let calls = if calls.is_empty() { "no aggregate".to_owned() } else { calls.join(", ") };
    line(out, 2, &format!("partials by pane and {keys}: {calls}"));
    if let Some(limit) = &aggregate.key_limit {
        line(out, 2, &limit.to_string());
    }
}
