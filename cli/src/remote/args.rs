//! The command line of what asks a coordinator, for clap.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use crate::args::key_value;

const SUBMIT_EXAMPLES: &str = "Examples:
  davy submit miners.sql --name miners --wait
  davy submit miners.sql --name miners --set flows.topic=flows --dry-run
  cat miners.sql | davy submit - --name miners -o json

Sent again with the same --request-id, a submission is made once and answered twice; without one, davy makes one up and tries again
itself while no coordinator leads.";

const TAIL_EXAMPLES: &str = "Examples:
  davy tail miners                                   the alerts as they come, at most 10 a second
  davy tail miners alerts --from-beginning --limit 100 -o json";

/// Commands that ask a coordinator.
#[derive(Debug, Subcommand)]
pub(crate) enum RemoteCommand {
    /// Has a coordinator run a script
    #[command(after_help = SUBMIT_EXAMPLES)]
    Submit(SubmitArgs),
    /// Lists the pipelines of a coordinator
    #[command(after_help = "Example:\n  davy list --all -o json")]
    List(ListArgs),
    /// Shows all about a pipeline: how it is, what is wrong, its tasks, its SQL
    #[command(after_help = "Example:\n  davy describe miners")]
    Describe(NameArgs),
    /// Lets a pipeline make a last commit and rest; positions and open windows are kept
    #[command(after_help = "Example:\n  davy pause miners --wait")]
    Pause(ChangeArgs),
    /// Lets a paused pipeline go on from its last commit
    #[command(after_help = "Example:\n  davy resume miners --wait --timeout 2m")]
    Resume(ChangeArgs),
    /// Ends a pipeline; its name can be used again, for one that begins anew
    #[command(after_help = "Example:\n  davy stop miners --wait")]
    Stop(StopArgs),
    /// Puts other SQL in a pipeline's place, which goes on from its last commit
    #[command(after_help = "Example:\n  davy update miners miners.sql --wait")]
    Update(UpdateArgs),
    /// Shows rows as a pipeline commits them: a sample, never more than asked for
    #[command(after_help = TAIL_EXAMPLES)]
    Tail(TailArgs),
    /// Shows the pipelines as they are, then each change, until it is interrupted
    #[command(after_help = "Example:\n  davy watch miners -o json")]
    Watch(WatchArgs),
    /// Lists the workers of a cluster
    #[command(after_help = "Example:\n  davy workers")]
    Workers(CommonArgs),
    /// Lists tasks, who has them, and why
    #[command(after_help = "Example:\n  davy tasks miners")]
    Tasks(TasksArgs),
    /// Says how many workers are wanted, and why
    #[command(after_help = "Example:\n  davy scaling -o json")]
    Scaling(CommonArgs),
}

/// What all of them take.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct CommonArgs {
    /// How it is printed
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// How a coordinator is reached.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// Where coordinators are; the next one is tried when one is away or does not lead
    #[arg(
        long,
        value_name = "URL,…",
        env = "DAVY_COORDINATOR",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:9640"
    )]
    pub(crate) coordinator: Vec<String>,
    /// File that holds the token; the environment's DAVY_TOKEN is used where there is none
    #[arg(long, value_name = "FILE", env = "DAVY_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Whose pipelines, for administrators of all tenants [default: the token's own]
    #[arg(long, value_name = "NAME", env = "DAVY_TENANT")]
    pub(crate) tenant: Option<String>,
    /// Certificates (PEM) of who vouches for the coordinator; for https://
    #[arg(long, value_name = "FILE", env = "DAVY_CA")]
    pub(crate) ca: Option<PathBuf>,
    /// Certificate (PEM) to show to the coordinator; for https://
    #[arg(long, value_name = "FILE", env = "DAVY_CERT", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// Key (PEM) of that certificate
    #[arg(long, value_name = "FILE", env = "DAVY_KEY", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
}

/// Whether to wait until it has happened.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct WaitArgs {
    /// Waits until the pipeline has come there; exit code 1 when it does not
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
    /// Names this request, so that it can be sent again safely [default: made up]
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SubmitArgs {
    /// The SQL script; `-` reads standard input
    pub(crate) script: PathBuf,
    /// The pipeline's name: letters, digits, `_` and `-`
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
    /// Begins anew where the new SQL cannot use the state that the old one has left
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Refuses unless the pipeline still has this version
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) expected_version: u64,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ListArgs {
    /// Also those that were stopped
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
    /// The table whose topic is looked at [default: the only one that the pipeline writes]
    pub(crate) table: Option<String>,
    /// Ends after so many rows [default: never]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) limit: u64,
    /// At most so many rows a second; the rest is skipped, and counted
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: u32,
    /// From the beginning of the topic, instead of what comes from now on
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
    /// Of one pipeline [default: of all]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// One JSON object per line
    Json,
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| format!("`{text}` is no duration such as 60s or 5m"))
}
