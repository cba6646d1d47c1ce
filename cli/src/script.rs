//! A script with its settings, planned: what `run`, `explain` and `validate` share.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use davy_engine::plan::Pipeline;
use davy_engine::sql::script::{Statement, StatementKind, parse};
use davy_engine::sql::{PlanRequest, explain as explain_pipeline, plan};
use davy_engine::{Error, Result};
use davy_worker::host;

use crate::args::ScriptArgs;
use crate::output;
use crate::settings::{FileSettings, connectors, read_file, script_settings};

/// Reads and plans a script.
pub(crate) fn load(args: &ScriptArgs, file: &FileSettings) -> Result<Pipeline> {
    plan_text(&read_script(&args.script)?, args, file)
}

/// Plans a script with this text.
pub(crate) fn plan_text(text: &str, args: &ScriptArgs, file: &FileSettings) -> Result<Pipeline> {
    let mut settings = script_settings(args, file);
    if let Some(input) = &args.input.input {
        redirect(text, input, &mut settings)?;
    }
    let connectors = connectors(args, file);
    let request = PlanRequest { text, connectors: &connectors, settings: &settings };
    plan(&request).map_err(|error| name_file(error, &args.script))
}

/// The text of a script, from a file or standard input.
pub(crate) fn read_script(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        return read.map(|_| text).map_err(|error| Error::invalid(format!("standard input is no script: {error}")));
    }
    std::fs::read_to_string(path).map_err(|error| {
        Error::invalid(format!("script `{}` cannot be read: {error}", path.display())).hint("check the path")
    })
}

/// Puts the script's name before line and column.
fn name_file(error: Error, path: &Path) -> Error {
    match error {
        Error::Invalid(mut diagnostic) => {
            let location = match diagnostic.location.take() {
                Some(at) => format!("{}:{}:{}", path.display(), at.line, at.column),
                None => path.display().to_string(),
            };
            diagnostic.message = format!("{location}: {}", diagnostic.message);
            Error::Invalid(diagnostic)
        }
        other => other,
    }
}

/// Makes the script's source table read `input`, with the connector that suits it.
fn redirect(text: &str, input: &str, settings: &mut BTreeMap<String, String>) -> Result<()> {
    let statements = parse(text)?;
    let sources = file_sources(&statements);
    let [table] = sources.as_slice() else {
        let names = sources.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let which =
            if sources.is_empty() { "no table that reads files".to_owned() } else { format!("several: {names}") };
        return Err(Error::invalid(format!("--input needs one table to redirect, but the script has {which}"))
            .hint("use --set <table>.path=… instead"));
    };
    let connector = if is_nfcapd(Path::new(input)) {
        "nfcapd"
    } else if Path::new(input).is_dir() || input.contains(['*', '?', '[']) {
        "filesystem"
    } else {
        "single_file"
    };
    settings.insert(format!("{table}.connector"), connector.to_owned());
    settings.insert(format!("{table}.path"), input.to_owned());
    Ok(())
}

/// The tables of a script that are read from files: those with a path that nothing is inserted into.
fn file_sources(statements: &[Statement]) -> Vec<String> {
    let is_written = |name: &str| {
        statements
            .iter()
            .any(|statement| matches!(&statement.kind, StatementKind::Insert(into, _) if into.value == name))
    };
    let reads_files = |value: &str| matches!(value, "single_file" | "filesystem" | "nfcapd");
    statements
        .iter()
        .filter_map(|statement| match &statement.kind {
            StatementKind::CreateTable(table) => Some(table),
            _ => None,
        })
        .filter(|table| table.options.iter().any(|(name, value, _)| name == "connector" && reads_files(value)))
        .filter(|table| !table.options.iter().any(|(name, value, _)| name == "type" && value == "sink"))
        .filter(|table| !is_written(&table.name.value))
        .map(|table| table.name.value.clone())
        .collect()
}

/// Whether a file is one of nfdump's: they begin with the magic number 0xA50C, little endian.
fn is_nfcapd(path: &Path) -> bool {
    let mut magic = [0; 2];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == [0x0c, 0xa5]
}

pub(crate) fn explain(args: &ScriptArgs) -> Result<ExitCode> {
    let pipeline = load(args, &read_file(args.input.config.as_deref())?)?;
    output::print(&explain_pipeline::explain(&pipeline))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn validate(args: &ScriptArgs) -> Result<ExitCode> {
    host::check(&load(args, &read_file(args.input.config.as_deref())?)?)?;
    output::print("ok\n")?;
    Ok(ExitCode::SUCCESS)
}
