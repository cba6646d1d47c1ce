//! Settings: flags, then the environment, then one TOML file.
//!
//! clap has already let flags outrank the environment; here the file fills what is still open.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use davy_engine::sql::is_pipeline_name;
use davy_engine::{Error, Result};
use davy_worker::connector::{LocalConnectors, Scope};
use davy_worker::host::{HostOptions, TaskCount};
use serde::Deserialize;

use crate::args::{OutputFormat, RunArgs, ScriptArgs};

/// `davy.toml`; every key may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileSettings {
    /// How the rows of a SELECT on its own are printed: `table`, `json` or `csv`. Default: `table`.
    output: Option<OutputFormat>,
    /// Commits at least this often, such as `"1s"`. Default: one second.
    commit_interval: Option<String>,
    /// At most this many tasks read a source. Default: the number of cores.
    tasks: Option<usize>,
    /// Commits at least after so many rows of a task. Default: a million.
    commit_rows: Option<usize>,
    /// A folder on a local disk for state that does not fit into memory. Default: the system's folder for temporary files.
    spill_dir: Option<PathBuf>,
    /// ONNX Runtime's shared library. Default: where `make setup` puts it, if it is there.
    onnxruntime: Option<PathBuf>,
    /// The program that reads nfdump's files. Default: `nfdump` in PATH.
    nfdump: Option<PathBuf>,
    /// Folders from which plug-ins may be loaded. Default: none.
    #[serde(default)]
    plugin_dirs: Vec<PathBuf>,
    /// `<table>.<option>` and pipeline settings, as with `--set`.
    #[serde(default)]
    set: BTreeMap<String, String>,
}

const DEFAULT_FILE: &str = "davy.toml";

/// Reads the settings file: the one named, else davy.toml where it exists.
pub(crate) fn read_file(named: Option<&Path>) -> Result<FileSettings> {
    let path = match named {
        Some(path) => path.to_owned(),
        None if Path::new(DEFAULT_FILE).exists() => PathBuf::from(DEFAULT_FILE),
        None => return Ok(FileSettings::default()),
    };
    let shown = path.display();
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Error::invalid(format!("settings file `{shown}` cannot be read: {error}")))?;
    toml::from_str(&text).map_err(|error| {
        Error::invalid(format!("settings file `{shown}`: {}", error.to_string().trim().replace('\n', " ")))
    })
}

/// The settings of a script; `--set` outranks the file.
pub(crate) fn script_settings(args: &ScriptArgs, file: &FileSettings) -> BTreeMap<String, String> {
    let mut settings = file.set.clone();
    settings.extend(args.input.set.iter().cloned());
    settings
}

/// Where `make setup` puts ONNX Runtime, below the home directory.
const ONNXRUNTIME: &str = ".cache/davy/onnxruntime/1.31.1/libonnxruntime.so";

/// The path of ONNX Runtime: the given one, else where `make setup` puts it.
pub(crate) fn onnxruntime(named: Option<&Path>, file: Option<&FileSettings>) -> Option<PathBuf> {
    let usual = || std::env::home_dir().map(|home| home.join(ONNXRUNTIME)).filter(|path| path.exists());
    named.map(Path::to_owned).or_else(|| file.and_then(|file| file.onnxruntime.clone())).or_else(usual)
}

/// What scripts reach beyond their text.
pub(crate) fn connectors(args: &ScriptArgs, file: &FileSettings) -> LocalConnectors {
    LocalConnectors {
        scope: Scope::Process,
        nfdump: args.input.nfdump.clone().or_else(|| file.nfdump.clone()),
        onnxruntime: onnxruntime(args.input.onnxruntime.as_deref(), Some(file)),
        plugin_dirs: args.input.plugin_dirs.iter().chain(&file.plugin_dirs).cloned().collect(),
    }
}

pub(crate) fn output(args: &RunArgs, file: &FileSettings) -> OutputFormat {
    args.output.or(file.output).unwrap_or(OutputFormat::Table)
}

/// How a run is hosted.
pub(crate) fn host_options(args: &RunArgs, file: &FileSettings) -> Result<HostOptions> {
    let mut options = HostOptions::default();
    if let Some(text) = args.commit_interval.as_ref().or(file.commit_interval.as_ref()) {
        options.commit_interval = parse_interval(text)?;
    }
    if let Some(tasks) = args.tasks.or(file.tasks) {
        if tasks == 0 {
            return Err(Error::invalid("setting `tasks` cannot be 0").hint("leave it out for one task per core"));
        }
        options.tasks = TaskCount::Fixed(tasks);
    }
    if let Some(rows) = args.commit_rows.or(file.commit_rows) {
        if rows == 0 {
            return Err(Error::invalid("setting `commit_rows` cannot be 0").hint("write 1 to commit after each row"));
        }
        options.commit_rows = rows;
    }
    if let Some(folder) = args.spill_dir.as_ref().or(file.spill_dir.as_ref()) {
        options.spill_dir = spill_dir(Some(folder))?;
    }
    options.name = pipeline_name(args.name.as_deref(), &args.script.script)?;
    Ok(options)
}

/// The pipeline's name where its script has none: the given one, else that of its file.
pub(crate) fn pipeline_name(named: Option<&str>, script: &Path) -> Result<String> {
    if let Some(name) = named {
        if is_pipeline_name(name) {
            return Ok(name.to_owned());
        }
        return Err(Error::invalid(format!("`--name {name}` cannot be"))
            .hint("a name consists of 1 to 100 of A to Z, a to z, 0 to 9, `_` and `-`"));
    }
    let stem = script.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let legal: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).take(100).collect();
    Ok(if legal.is_empty() || legal == "-" { "pipeline".to_owned() } else { legal })
}

/// The folder for state that does not fit into memory: a missing one would be noticed only when it is needed most.
pub(crate) fn spill_dir(named: Option<&Path>) -> Result<PathBuf> {
    let folder = named.map_or_else(std::env::temp_dir, Path::to_owned);
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(Error::invalid(format!("`{}` for spilled state is no folder", folder.display()))
        .hint("make it, or name another one with --spill-dir"))
}

fn parse_interval(text: &str) -> Result<Duration> {
    humantime::parse_duration(text).map_err(|_| {
        Error::invalid(format!("setting `commit_interval` cannot be `{text}`"))
            .hint("write a duration such as 1s or 500ms")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_file_is_refused_with_line_and_column() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("davy.toml");
        let cases = [
            ("output = \"yaml\"", "unknown variant `yaml`"),
            ("outptu = \"json\"", "unknown field `outptu`"),
            ("output = ", "TOML parse error"),
        ];
        for (text, expected) in cases {
            std::fs::write(&path, text).expect("written");
            let error = read_file(Some(&path)).expect_err(text).to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(read_file(Some(&folder.path().join("none.toml"))).is_err(), "a named file must exist");
    }
}
