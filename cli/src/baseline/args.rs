//! The command line of `davy baseline`, for clap.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::learn::Hosts;
use crate::args::{InputArgs, OutputFormat};

#[derive(Debug, ClapArgs)]
pub(crate) struct BaselineArgs {
    #[command(subcommand)]
    pub(super) command: BaselineCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum BaselineCommand {
    /// Learns which connections are normal for each host, from flows, and writes them into a file
    #[command(after_help = "Example:\n  davy baseline learn --input flows.csv.gz --out baseline.yaml")]
    Learn(LearnArgs),
    /// Lists the connections of a baseline
    #[command(after_help = "Example:\n  davy baseline show baseline.yaml --host 10.0.0.7")]
    Show(ShowArgs),
    /// Lists what only one of two baselines has; exit code 1 when they differ
    #[command(after_help = "Example:\n  davy baseline diff last-week.yaml baseline.yaml")]
    Diff(DiffArgs),
    /// Adds what is normal after all: connections of another baseline, or of deviations
    #[command(after_help = "Example:\n  davy baseline merge baseline.yaml --deviations deviations.jsonl")]
    Merge(MergeArgs),
    /// Makes deviations alerts
    #[command(after_help = "Example:\n  davy baseline enforce baseline.yaml --host 10.0.0.7")]
    Enforce(ModeArgs),
    /// Records deviations without an alert
    #[command(after_help = "Example:\n  davy baseline audit baseline.yaml")]
    Audit(ModeArgs),
    /// Compares nothing, or not with these hosts
    #[command(after_help = "Example:\n  davy baseline disable baseline.yaml --host 10.0.0.7")]
    Disable(ModeArgs),
    /// Tolerates some deviations until a time of the flows
    #[command(
        after_help = "Example:\n  davy baseline suppress baseline.yaml --host 10.0.0.7 --port 3333 --reason 'load test' --expires 2026-12-31T00:00:00"
    )]
    Suppress(SuppressArgs),
    /// Writes the lists that pipelines/baseline.sql reads
    #[command(
        after_help = "Example:\n  davy baseline export baseline.yaml --out pipelines/baseline\n  davy run pipelines/baseline.sql --input flows.csv.gz"
    )]
    Export(ExportArgs),
}

#[derive(Debug, ClapArgs)]
pub(super) struct LearnArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,
    /// The file; it must not exist, unless --force is given
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    /// Replaces the file
    #[arg(long)]
    pub(super) force: bool,
    /// The hosts to learn: `private`, `all`, or networks such as 10.0.0.0/8,fd00::/8
    #[arg(long, value_name = "HOSTS", default_value = "private", value_parser = Hosts::parse)]
    pub(super) hosts: Hosts,
    /// A host with more peers for one kind of connection may have any peer for it
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub(super) peers_max: usize,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ShowArgs {
    /// The baseline
    pub(super) baseline: PathBuf,
    /// Only these hosts
    #[arg(long, value_name = "ADDRESS")]
    pub(super) host: Vec<String>,
    /// Output format
    #[arg(short, long, value_enum, default_value = "table", env = "DAVY_OUTPUT")]
    pub(super) output: OutputFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct DiffArgs {
    pub(super) first: PathBuf,
    pub(super) second: PathBuf,
    /// Output format
    #[arg(short, long, value_enum, default_value = "table", env = "DAVY_OUTPUT")]
    pub(super) output: OutputFormat,
}

#[derive(Debug, ClapArgs)]
pub(super) struct MergeArgs {
    /// The baseline that changes
    pub(super) baseline: PathBuf,
    /// Another baseline
    #[arg(required_unless_present = "deviations")]
    pub(super) other: Option<PathBuf>,
    /// Deviations as JSON, one per line, such as from pipelines/baseline.sql
    #[arg(long, value_name = "FILE")]
    pub(super) deviations: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ModeArgs {
    /// The baseline
    pub(super) baseline: PathBuf,
    /// Only these hosts [default: all]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) host: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct SuppressArgs {
    /// The baseline
    pub(super) baseline: PathBuf,
    /// The host
    #[arg(long, value_name = "ADDRESS")]
    pub(super) host: String,
    /// The peer [default: any]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) peer: Option<String>,
    /// The port of the server [default: any]
    #[arg(long, value_name = "PORT")]
    pub(super) port: Option<u16>,
    /// Why it is tolerated
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
    /// From this time of the flows on, it is not
    #[arg(long, value_name = "TIME")]
    pub(super) expires: String,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ExportArgs {
    /// The baseline
    pub(super) baseline: PathBuf,
    /// The folder for the lists
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
}
