//! `davy functions`: what a script may use.

use std::process::ExitCode;

use davy_engine::Result;
use davy_engine::connector::Connectors;
use davy_engine::sql::MAX_SESSION;
use davy_engine::sql::catalog::Catalog;
use davy_engine::sql::functions::WindowKind;
use davy_worker::connector::LocalConnectors;

use crate::args::{FunctionsArgs, OutputFormat};
use crate::output::{draw, print};

pub(crate) fn list(args: &FunctionsArgs) -> Result<ExitCode> {
    let wanted = args.contains.as_deref().unwrap_or_default().to_lowercase();
    let mut rows = all()?;
    rows.retain(|(_, name)| name.contains(&wanted));
    rows.sort();
    rows.dedup();
    let text = match args.output {
        OutputFormat::Table => {
            let cells: Vec<Vec<String>> = rows.into_iter().map(|(kind, name)| vec![kind.to_owned(), name]).collect();
            draw(&["kind".to_owned(), "name".to_owned()], &cells)
        }
        OutputFormat::Json => {
            rows.iter().map(|(kind, name)| serde_json::json!({"kind": kind, "name": name}).to_string() + "\n").collect()
        }
        OutputFormat::Csv => {
            let lines: String = rows.iter().map(|(kind, name)| format!("{kind},\"{name}\"\n")).collect();
            format!("kind,name\n{lines}")
        }
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn all() -> Result<Vec<(&'static str, String)>> {
    let catalog = Catalog::new(MAX_SESSION, None)?;
    let state = &catalog.state;
    let is_marker = |name: &str| WindowKind::ALL.iter().any(|kind| kind.name() == name);
    let mut rows: Vec<(&'static str, String)> = Vec::new();
    rows.extend(state.scalar_functions().keys().filter(|name| !is_marker(name)).map(|name| ("scalar", name.clone())));
    rows.extend(state.aggregate_functions().keys().map(|name| ("aggregate", name.clone())));
    rows.extend(state.window_functions().keys().map(|name| ("over", name.clone())));
    let windows = [WindowKind::Tumble, WindowKind::Hop, WindowKind::Session];
    rows.extend(windows.map(|kind| ("window", kind.usage().to_owned())));
    rows.extend(LocalConnectors::default().names().into_iter().map(|name| ("connector", name.to_owned())));
    rows.extend(davy_engine::format::Format::NAMES.iter().map(|name| ("format", (*name).to_owned())));
    Ok(rows)
}
