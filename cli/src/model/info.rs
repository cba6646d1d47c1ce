//! `davy model info`: a card for people.

use std::fmt::Write;
use std::process::ExitCode;

use davy_engine::Result;
use davy_forest::forest::{Combine, Forest, Node};
use davy_forest::package::Package;
use serde_json::{Value, json};

use crate::args::{ModelInfoArgs, OutputFormat};
use crate::output::{draw, print};

pub(super) fn info(args: &ModelInfoArgs) -> Result<ExitCode> {
    let package = super::open(&args.card)?;
    let text = match args.output {
        OutputFormat::Json => format!("{:#}\n", as_json(&package)),
        OutputFormat::Table | OutputFormat::Csv => as_text(&package),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Trees, nodes, leaves and the longest path from the root.
struct Size {
    n_trees: usize,
    n_nodes: usize,
    depth: usize,
}

fn size(forest: &Forest) -> Size {
    let mut depth = 0;
    for tree in forest.trees() {
        // Children stand behind their parents, so one pass finds every depth.
        let mut depths = vec![0_usize; tree.nodes.len()];
        for (index, node) in tree.nodes.iter().enumerate() {
            depth = depth.max(depths[index]);
            if let Node::Split { left, right, .. } = node {
                depths[*left as usize] = depths[index] + 1;
                depths[*right as usize] = depths[index] + 1;
            }
        }
    }
    Size { n_trees: forest.trees().len(), n_nodes: forest.trees().iter().map(|tree| tree.nodes.len()).sum(), depth }
}

fn kind(package: &Package) -> String {
    match &package.forest {
        Some(forest) => {
            let Size { n_trees, n_nodes, depth } = size(forest);
            let votes = if forest.combine() == Combine::Mean { "mean of votes" } else { "sum of leaves" };
            format!("{n_trees} trees, {n_nodes} nodes, depth {depth}, {votes}; runs natively and in ONNX Runtime")
        }
        None => "no tree ensemble; runs in ONNX Runtime only".to_owned(),
    }
}

fn as_text(package: &Package) -> String {
    let card = &package.card;
    let mut out = format!("{} {}\n{}\n\n", card.name, card.version, card.description);
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        writeln!(out, "{name:<11}{value}").expect("a string takes everything");
    };
    line("model", &format!("{}, {} bytes: {}", card.model, package.model.len(), kind(package)));
    line("sha256", &card.sha256);
    line("classes", &card.classes.join(", "));
    line("alarm", &format!("{} from a score of {} on", card.positive, card.threshold));
    if let Some(window) = &card.window {
        let key = window.key.join(", ");
        line("window", &format!("{} per {key}, from {} flows on", window.width, window.rows_min));
    }
    line("trained", &format!("{} by {}", card.training.date, card.training.trainer));
    for data in &card.training.data {
        line("data", data);
    }
    line("again", &card.training.command);
    if let Some(sql) = &card.training.sql {
        line("features", sql);
    }
    for (name, value) in &card.evaluation {
        evaluation(&mut line, name, value);
    }
    let header = ["feature", "unit", "what it is"].map(str::to_owned);
    let rows: Vec<Vec<String>> = card
        .features
        .iter()
        .map(|feature| vec![feature.name.clone(), feature.unit.clone(), feature.description.clone()])
        .collect();
    out.push('\n');
    out.push_str(&draw(&header, &rows));
    out
}

/// One line per number; tables within tables by their path.
fn evaluation(line: &mut impl FnMut(&str, &str), name: &str, value: &toml::Value) {
    match value {
        toml::Value::Table(table) => {
            for (inner, value) in table {
                evaluation(line, &format!("{name}.{inner}"), value);
            }
        }
        value => line("evaluation", &format!("{name} = {value}")),
    }
}

fn as_json(package: &Package) -> Value {
    let card = &package.card;
    let size = package.forest.as_ref().map(size);
    json!({
        "name": card.name,
        "version": card.version,
        "description": card.description,
        "sha256": card.sha256,
        "bytes": package.model.len(),
        "classes": card.classes,
        "positive": card.positive,
        "threshold": card.threshold,
        "native": package.forest.is_some(),
        "trees": size.as_ref().map(|size| size.n_trees),
        "nodes": size.as_ref().map(|size| size.n_nodes),
        "depth": size.as_ref().map(|size| size.depth),
        "trained": card.training.date,
        "evaluation": serde_json::to_value(&card.evaluation).unwrap_or(Value::Null),
        "features": card.features.iter().map(|feature| json!({
            "name": feature.name, "unit": feature.unit, "description": feature.description,
        })).collect::<Vec<_>>(),
    })
}
