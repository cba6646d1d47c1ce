//! `davy baseline`: which connections are normal for each host, as a file that people read, change and commit.
//!
//! Deviations are found by a pipeline, pipelines/baseline.sql, which reads the lists of `davy baseline export`.

mod args;
mod change;
mod export;
mod file;
mod learn;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use davy_engine::{Error, Result};

pub(crate) use self::args::BaselineArgs;
use self::args::{BaselineCommand, DiffArgs, LearnArgs, MergeArgs, ModeArgs, ShowArgs, SuppressArgs};
use self::file::{Baseline, Connection, Mode, Suppression};
use crate::args::{OutputFormat, ScriptArgs};
use crate::settings::read_file;
use crate::{collect, output, script};

/// What errors call the script.
const LEARN: &str = "pipelines/baseline_learn.sql";
const LEARN_SQL: &str = include_str!("../../../pipelines/baseline_learn.sql");

pub(crate) fn run(args: &BaselineArgs) -> Result<ExitCode> {
    match &args.command {
        BaselineCommand::Learn(args) => learn(args),
        BaselineCommand::Show(args) => show(args),
        BaselineCommand::Diff(args) => diff(args),
        BaselineCommand::Merge(args) => merge(args),
        BaselineCommand::Enforce(args) => set_mode(args, Mode::Enforce),
        BaselineCommand::Audit(args) => set_mode(args, Mode::Audit),
        BaselineCommand::Disable(args) => set_mode(args, Mode::Disabled),
        BaselineCommand::Suppress(args) => suppress(args),
        BaselineCommand::Export(args) => export::write(&Baseline::read(&args.baseline)?, &args.out),
    }
}

fn learn(args: &LearnArgs) -> Result<ExitCode> {
    if args.out.exists() && !args.force {
        return Err(Error::invalid(format!("`{}` exists", args.out.display()))
            .hint("give another --out, or --force to replace it; `davy baseline merge` adds to a baseline"));
    }
    let file = read_file(args.input.config.as_deref())?;
    let script = ScriptArgs { script: PathBuf::from(LEARN), input: args.input.clone() };
    let pipeline = script::plan_text(LEARN_SQL, &script, &file)?;
    let seen = learn::seen(&collect::rows(pipeline)?)?;
    let baseline = learn::learn(&seen, &args.hosts, args.peers_max);
    if baseline.hosts.is_empty() {
        return Err(Error::invalid("the flows have no host to learn").hint("say which with --hosts"));
    }
    baseline.write(&args.out)?;
    let n_connections: usize = baseline.hosts.values().map(|host| host.connections.len()).sum();
    output::say(&format!(
        "{} hosts with {n_connections} connections in `{}`",
        baseline.hosts.len(),
        args.out.display()
    ));
    Ok(ExitCode::SUCCESS)
}

fn show(args: &ShowArgs) -> Result<ExitCode> {
    let baseline = Baseline::read(&args.baseline)?;
    let shown = baseline.hosts.iter().filter(|(name, _)| args.host.is_empty() || args.host.contains(name));
    let rows: Vec<Vec<String>> = shown
        .flat_map(|(name, host)| {
            let mode = baseline.mode_of(name).name();
            host.connections.iter().map(move |connection| row(name, connection, mode))
        })
        .collect();
    print(&["host", "direction", "protocol", "peer", "port", "mode"], &rows, args.output)?;
    Ok(ExitCode::SUCCESS)
}

fn diff(args: &DiffArgs) -> Result<ExitCode> {
    let differences = change::diff(&Baseline::read(&args.first)?, &Baseline::read(&args.second)?);
    let only_in = |sign: char| if sign == '+' { "second" } else { "first" };
    let rows: Vec<Vec<String>> =
        differences.iter().map(|found| row(&found.host, &found.connection, only_in(found.sign))).collect();
    if rows.is_empty() {
        output::say("no difference");
        return Ok(ExitCode::SUCCESS);
    }
    print(&["host", "direction", "protocol", "peer", "port", "only_in"], &rows, args.output)?;
    Ok(ExitCode::from(1))
}

fn merge(args: &MergeArgs) -> Result<ExitCode> {
    let before = Baseline::read(&args.baseline)?;
    let mut merged = before.clone();
    if let Some(other) = &args.other {
        merged = change::merge(&merged, &Baseline::read(other)?);
    }
    if let Some(path) = &args.deviations {
        merged = change::merge(&merged, &deviations(path)?);
    }
    merged.write(&args.baseline)?;
    let added = change::diff(&before, &merged).iter().filter(|found| found.sign == '+').count();
    output::say(&format!("{added} connections added to `{}`", args.baseline.display()));
    Ok(ExitCode::SUCCESS)
}

fn deviations(path: &Path) -> Result<Baseline> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::invalid(error.to_string()));
    text.and_then(|text| change::of_deviations(&text)).map_err(|error| error.context(&format!("`{}`", path.display())))
}

fn set_mode(args: &ModeArgs, mode: Mode) -> Result<ExitCode> {
    let mut baseline = Baseline::read(&args.baseline)?;
    change::set_mode(&mut baseline, mode, &args.host)?;
    baseline.write(&args.baseline)?;
    Ok(ExitCode::SUCCESS)
}

fn suppress(args: &SuppressArgs) -> Result<ExitCode> {
    let mut baseline = Baseline::read(&args.baseline)?;
    let SuppressArgs { host, peer, port, reason, expires, .. } = args;
    baseline.suppressions.push(Suppression {
        host: Some(host.clone()),
        peer: peer.clone(),
        port: *port,
        reason: reason.clone(),
        expires: expires.clone(),
    });
    // The text is checked as one that people wrote.
    Baseline::parse(&baseline.to_yaml())?.write(&args.baseline)?;
    Ok(ExitCode::SUCCESS)
}

fn row(host: &str, connection: &Connection, last: &str) -> Vec<String> {
    let Connection { direction, protocol, peer, port } = connection;
    [host, direction.name(), protocol, peer, &port.to_string(), last].map(str::to_owned).to_vec()
}

fn print(header: &[&str], rows: &[Vec<String>], format: OutputFormat) -> Result<()> {
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    match format {
        OutputFormat::Table => output::print(&output::draw(&header, rows)),
        OutputFormat::Csv => {
            let lines = std::iter::once(&header).chain(rows).map(|row| row.join(",") + "\n");
            output::print(&lines.collect::<String>())
        }
        OutputFormat::Json => {
            let object = |row: &Vec<String>| {
                let fields = header.iter().zip(row).map(|(name, value)| (name.clone(), value.as_str().into()));
                serde_json::Value::Object(fields.collect()).to_string() + "\n"
            };
            output::print(&rows.iter().map(object).collect::<String>())
        }
    }
}
