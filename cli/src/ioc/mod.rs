//! `davy ioc`: keeps the lists of lookup tables up to date. Data is never looked up while flows are read; the lists are.

mod import;
mod indicator;
mod resolve;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args as ClapArgs, Subcommand};
use davy_engine::{Error, Result};

#[derive(Debug, ClapArgs)]
pub(crate) struct IocArgs {
    #[command(subcommand)]
    pub(crate) command: IocCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IocCommand {
    /// Makes the list of a lookup table of plain lists, CSV, events of MISP and bundles of STIX 2.1
    #[command(after_help = IMPORT_EXAMPLE)]
    Import(ImportArgs),
    /// Resolves domain names to addresses, and writes them as the list of a lookup table
    #[command(after_help = RESOLVE_EXAMPLE)]
    Resolve(ResolveArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ImportArgs {
    /// Files with addresses, networks and domain names
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The list to write: CSV with the columns `network` and `name`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// A file for the domain names, one in each line
    #[arg(long, value_name = "FILE")]
    pub(crate) names: Option<PathBuf>,
}

const IMPORT_EXAMPLE: &str = "Example:
  davy ioc import misp-event.json stix.json more.txt --out pipelines/ioc/addresses.csv --names pipelines/ioc/domains.txt

The content of a file decides how it is read. What has no meaning for a flow is reported and left out: file hashes, URLs, patterns of STIX
that want several things at once, attributes of MISP that are not for detection.";

#[derive(Debug, ClapArgs)]
pub(crate) struct ResolveArgs {
    /// A file with a name in each line; lines that begin with `#` are comments
    pub(crate) names: PathBuf,
    /// The list to write: CSV with the columns `address`, `name` and `expires`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// How long an address counts as one of the name
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = humantime::parse_duration)]
    pub(crate) valid_for: Duration,
}

const RESOLVE_EXAMPLE: &str = "Example, for cron:
  davy ioc resolve pipelines/ioc/domains.txt --out pipelines/ioc/domains.csv

The resolver of this machine is used. An address that is in the list already stays until it expires. A name that does not resolve now is
reported, and is no error; exit code 1 when no name resolves.";

pub(crate) fn run(command: &IocCommand) -> Result<ExitCode> {
    match command {
        IocCommand::Import(args) => import::import(args),
        IocCommand::Resolve(args) => resolve::resolve(args),
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| Error::invalid(format!("`{}` cannot be read: {error}", path.display())).hint("check the path"))
}

/// Replaces a list as a whole: a run that reloads it never sees half of it.
fn replace(path: &Path, text: &str) -> Result<()> {
    let failed = |error: std::io::Error| Error::Unavailable(format!("cannot write `{}`: {error}", path.display()));
    let mut hidden = path.as_os_str().to_owned();
    hidden.push(".new");
    std::fs::write(&hidden, text).map_err(failed)?;
    std::fs::rename(&hidden, path).map_err(failed)
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "addresses and indicators expire by the time of day")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
