//! The command line of the commands that call a coordinator, for clap.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use crate::args::key_value;

const SUBMIT_EXAMPLES: &str = "Examples:
  davy submit miners.sql --name miners --wait
  davy submit miners.sql --name miners --set flows.topic=flows --dry-run
  cat miners.sql | davy submit - --name miners -o json

A submission that is sent again with the same --request-id has an effect once. Without the flag, davy chooses a random id and
retries while no coordinator leads.";

const TAIL_EXAMPLES: &str = "Examples:
  davy tail miners                                   the alerts as they come, at most 10 a second
  davy tail miners alerts --from-beginning --limit 100 -o json";

/// Commands that call a coordinator.
#[derive(Debug, Subcommand)]
pub(crate) enum RemoteCommand {
    /// Submits a script to a coordinator
    #[command(after_help = SUBMIT_EXAMPLES)]
    Submit(SubmitArgs),
    /// Lists the pipelines of a coordinator
    #[command(after_help = "Example:\n  davy list --all -o json")]
    List(ListArgs),
    /// Shows a pipeline: state, problems, tasks and SQL
    #[command(after_help = "Example:\n  davy describe miners")]
    Describe(NameArgs),
    /// Pauses a pipeline after a last commit; positions and open windows are kept
    #[command(after_help = "Example:\n  davy pause miners --wait")]
    Pause(ChangeArgs),
    /// Resumes a paused pipeline from its last commit
    #[command(after_help = "Example:\n  davy resume miners --wait --timeout 2m")]
    Resume(ChangeArgs),
    /// Stops a pipeline for good; its name can be used again for a new one
    #[command(after_help = "Example:\n  davy stop miners --wait")]
    Stop(StopArgs),
    /// Replaces a pipeline's SQL; it resumes from its last commit
    #[command(after_help = "Example:\n  davy update miners miners.sql --wait")]
    Update(UpdateArgs),
    /// Shows a sample of a pipeline's rows as they are committed
    #[command(after_help = TAIL_EXAMPLES)]
    Tail(TailArgs),
    /// Shows the state of pipelines, then each change, until it is interrupted
    #[command(after_help = "Example:\n  davy watch miners -o json")]
    Watch(WatchArgs),
    /// Lists the workers of a cluster
    #[command(after_help = "Example:\n  davy workers")]
    Workers(CommonArgs),
    /// Lists tasks with their worker, state and lag (in messages)
    #[command(after_help = "Example:\n  davy tasks miners")]
    Tasks(TasksArgs),
    /// Shows the desired number of workers, and why
    #[command(after_help = "Example:\n  davy scaling -o json")]
    Scaling(CommonArgs),
}

/// What all of them take.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct CommonArgs {
    /// Output format
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// URLs of the coordinators; if one is unavailable or not the leader, the next is called
    #[arg(
        long,
        value_name = "URL,…",
        env = "DAVY_COORDINATOR",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:9640"
    )]
    pub(crate) coordinator: Vec<String>,
    /// File with the token [default: the value of the environment variable DAVY_TOKEN]
    #[arg(long, value_name = "FILE", env = "DAVY_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Tenant, for administrators of all tenants [default: the token's tenant]
    #[arg(long, value_name = "NAME", env = "DAVY_TENANT")]
    pub(crate) tenant: Option<String>,
    /// Certificate authorities of the coordinator (PEM), for https://
    #[arg(long, value_name = "FILE", env = "DAVY_CA")]
    pub(crate) ca: Option<PathBuf>,
    /// Client certificate (PEM), where the coordinator requires one
    #[arg(long, value_name = "FILE", env = "DAVY_CERT", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// Key (PEM) of that certificate
    #[arg(long, value_name = "FILE", env = "DAVY_KEY", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct WaitArgs {
    /// Waits until the pipeline has reached the state; exit code 1 when it does not
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait at most, such as 60s or 5m
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub(crate) timeout: Duration,
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct ScriptArgs {
    /// Sets `<table>.<option>` or a setting of the pipeline (`memory`); may be repeated
    #[arg(short, long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) set: Vec<(String, String)>,
    /// Id of this request, so that it can be sent again safely [default: random]
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SubmitArgs {
    /// The SQL script; `-` reads standard input
    pub(crate) script: PathBuf,
    /// The pipeline's name: A to Z, a to z, 0 to 9, `_` and `-`
    #[arg(long)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) with: ScriptArgs,
    /// Checks everything, the broker's topics included, and changes nothing
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct UpdateArgs {
    /// The pipeline's name
    pub(crate) name: String,
    /// The SQL script; `-` reads standard input
    pub(crate) script: PathBuf,
    #[command(flatten)]
    pub(crate) with: ScriptArgs,
    /// Discards the state where the new SQL cannot use it
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Fails unless the pipeline still has this version
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) expected_version: u64,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ListArgs {
    /// Includes stopped pipelines
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct NameArgs {
    /// The pipeline's name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ChangeArgs {
    /// The pipeline's name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct StopArgs {
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// Stops at once, without a last commit
    #[arg(long)]
    pub(crate) now: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TailArgs {
    /// The pipeline's name
    pub(crate) name: String,
    /// The table whose topic is read [default: the only one that the pipeline writes]
    pub(crate) table: Option<String>,
    /// Ends after so many rows [default: never]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) limit: u64,
    /// Shows at most this many rows per second; the others are skipped and counted
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: u32,
    /// Begins at the first row of the topic instead of the next one
    #[arg(long)]
    pub(crate) from_beginning: bool,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct WatchArgs {
    /// One pipeline [default: all]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TasksArgs {
    /// One pipeline [default: all]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Aligned columns
    Table,
    /// One JSON object per line
    Json,
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| format!("`{text}` is no duration such as 60s or 5m"))
}
