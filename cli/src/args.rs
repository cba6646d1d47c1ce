//! The command line, for clap.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use davy_engine::time::parse_timestamp;

use crate::cluster::args::{Off, address_or_off};
use crate::remote::args::RemoteCommand;

/// Detects cryptomining in NetFlow: runs SQL pipelines over files and Kafka topics.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Format of log lines on standard error; DAVY_LOG selects them by level, such as `info` or `warn,davy_worker=debug`
    #[arg(
        long,
        value_enum,
        global = true,
        default_value = "text",
        env = "DAVY_LOG_FORMAT",
        hide_possible_values = true
    )]
    pub(crate) log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines of text
    Text,
    /// One JSON object per line
    Json,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed while running; 2 the script, a setting or an argument is wrong; \
130 interrupted (what was committed is written); 141 the reader of standard output has gone; \
143 ended by SIGTERM before the end of its input.";

const RUN_EXAMPLES: &str = "Examples:
  davy run pipelines/miners.sql --input flows.csv.gz        find miners in a capture
  davy run pipelines/miners.sql --input /data/nfcapd.202405011200 -o json > alerts.jsonl
  davy run my.sql --set flows.path='/data/*.csv' --set memory=512MiB
  nfdump -r nfcapd.current -o csv | davy run pipelines/miners.sql --input -

Settings come from flags, then the environment (DAVY_OUTPUT, DAVY_TASKS, …), then davy.toml.
Over Kafka a run ends when it is stopped (SIGTERM: exit code 0); the next run resumes from the last commit.
Exit codes: 0 done; 1 failed while running; 2 the script, a setting or an argument is wrong; 130 interrupted; 141 the reader of
standard output has gone (as in davy run … | head); 143 ended by SIGTERM before the end of its input.";

const OFFSETS_EXAMPLE: &str = "Example:
  davy offsets my.sql --reset-watermark 2026-01-31T12:00:00Z

Stop or pause the pipeline before; a task that still runs is fenced. Windows that were closed stay closed: choose a time at which no row
that still comes belongs to an earlier window. Rows that were late because of the wrong watermark stay late.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a script: over files to the end of its input, over Kafka until it is stopped
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Runs in place of the Cryptomining Detection System, with its arguments: flows of a topic, with verdicts, into another topic
    #[command(after_help = crate::cds::EXAMPLES)]
    Cds(Box<crate::cds::CdsArgs>),
    /// Runs a coordinator: accepts pipelines and assigns their tasks to workers, until it is stopped
    #[command(after_help = crate::cluster::args::COORDINATOR_EXAMPLES)]
    Coordinator(Box<crate::cluster::args::CoordinatorArgs>),
    /// Runs a script on a coordinator and two workers in this process, against a given Kafka
    #[command(after_help = crate::cluster::args::DEV_EXAMPLES)]
    Dev(crate::cluster::args::DevArgs),
    /// Runs a worker: executes the tasks that a coordinator assigns to it, until it is stopped
    #[command(after_help = crate::cluster::args::WORKER_EXAMPLES)]
    Worker(crate::cluster::args::WorkerArgs),
    /// Learns which connections are normal for each host, and keeps what was learned
    Baseline(crate::baseline::BaselineArgs),
    /// Plays a recorded session with miners into the topic that a pipeline reads, and says what the pipeline found and when
    #[command(after_help = crate::miner_test::EXAMPLES)]
    MinerTest(Box<crate::miner_test::MinerTestArgs>),
    /// Reads /readyz of a process on this machine; for health checks that run a command. Exit codes: 0 ready; 1 not ready
    #[command(after_help = "Example:\n  davy health 127.0.0.1:9642")]
    Health(HealthArgs),
    /// Shows position, end and lag (in messages) of every partition that a pipeline reads
    #[command(after_help = "Example:\n  davy lag pipelines/my.sql -o json")]
    Lag(LagArgs),
    /// Repairs what a stopped pipeline has stored beside its positions
    #[command(after_help = OFFSETS_EXAMPLE)]
    Offsets(OffsetsArgs),
    /// Lists the partitions of the topics that a pipeline reads and writes
    #[command(after_help = "Example:\n  davy topics pipelines/my.sql")]
    Topics(LagArgs),
    /// Prints the stages, keys, windows and decoded columns of a script, without running it
    #[command(after_help = "Example:\n  davy explain pipelines/miners.sql --input flows.csv.gz")]
    Explain(ScriptArgs),
    /// Reads the messages of an alert again, and shows its flows and whether the same alert comes out
    #[command(after_help = crate::explain_alert::EXAMPLES)]
    ExplainAlert(Box<crate::explain_alert::ExplainAlertArgs>),
    /// Checks a script; prints `ok` when it is valid
    #[command(after_help = "Example:\n  davy validate my.sql --set flows.path=flows.csv")]
    Validate(ScriptArgs),
    /// Lists the functions, window functions, connectors and formats that a script may use
    Functions(FunctionsArgs),
    /// Inspects, verifies and measures models, and watches their input for drift
    Model(ModelArgs),
    /// Imports detection rules of other systems
    Rules(crate::rules::RulesArgs),
    /// Keeps lists of indicators of compromise (IOC) up to date
    Ioc(crate::ioc::IocArgs),
    #[command(flatten)]
    Remote(RemoteCommand),
    /// Prints completions for a shell
    #[command(after_help = "Example:\n  davy completions bash > /etc/bash_completion.d/davy")]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct ScriptArgs {
    /// The SQL script; `-` reads standard input
    pub(crate) script: PathBuf,
    #[command(flatten)]
    pub(crate) input: InputArgs,
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct InputArgs {
    /// Reads this file, directory or glob instead of the path of the script's source table; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: Option<String>,
    /// Sets `<table>.<option>` or a setting of the pipeline (`memory`); may be repeated
    #[arg(short, long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) set: Vec<(String, String)>,
    /// ONNX Runtime's shared library, for models other than forests [default: where `make setup` puts it]
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    pub(crate) onnxruntime: Option<PathBuf>,
    /// The program that reads nfdump's files [default: `nfdump` in PATH]
    #[arg(long, value_name = "FILE", env = "DAVY_NFDUMP")]
    pub(crate) nfdump: Option<PathBuf>,
    /// Allows loading plug-ins from this folder; may be repeated
    #[arg(long = "plugin-dir", value_name = "DIR", env = "DAVY_PLUGIN_DIRS", value_delimiter = ':')]
    pub(crate) plugin_dirs: Vec<PathBuf>,
    /// Settings file; by default davy.toml in this folder, where there is one
    #[arg(long, value_name = "FILE", env = "DAVY_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) script: ScriptArgs,
    /// Output format for the rows of a SELECT without INSERT [default: table]
    #[arg(short, long, value_enum, env = "DAVY_OUTPUT")]
    pub(crate) output: Option<OutputFormat>,
    /// Commits at least this often, such as 1s or 500ms [default: 1s]
    #[arg(long, value_name = "DURATION", env = "DAVY_COMMIT_INTERVAL")]
    pub(crate) commit_interval: Option<String>,
    /// Commits at least after so many rows of a task [default: 1000000]
    #[arg(long, value_name = "N", env = "DAVY_COMMIT_ROWS")]
    pub(crate) commit_rows: Option<usize>,
    /// A folder on a local disk for state that does not fit into memory [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR", env = "DAVY_SPILL_DIR")]
    pub(crate) spill_dir: Option<PathBuf>,
    /// Reads a source with at most this many tasks; over Kafka, the first run of a pipeline fixes the number [default: the number of cores]
    #[arg(long, value_name = "N", env = "DAVY_TASKS")]
    pub(crate) tasks: Option<usize>,
    /// The pipeline's name on Kafka [default: SET pipeline in the script, else the script's file name]
    #[arg(long, value_name = "NAME", env = "DAVY_PIPELINE")]
    pub(crate) name: Option<String>,
    /// Prints neither progress nor summary
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
}

/// Where a run without a coordinator shows how it is.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct HttpArgs {
    /// Address of /metrics, /healthz and /readyz, such as 127.0.0.1:9642, or `off`
    #[arg(long, value_name = "ADDRESS", default_value = "off", env = "DAVY_HTTP", value_parser = address_or_off)]
    pub(crate) http: Off<SocketAddr>,
    /// File with the token that readers of /metrics must send; required beyond loopback
    #[arg(long, value_name = "FILE", env = "DAVY_HTTP_TOKEN_FILE")]
    pub(crate) http_token_file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct HealthArgs {
    /// Where the process serves /readyz
    #[arg(value_name = "ADDRESS", default_value = "127.0.0.1:9642", env = "DAVY_HTTP")]
    pub(crate) address: SocketAddr,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LagArgs {
    #[command(flatten)]
    pub(crate) script: ScriptArgs,
    /// The pipeline's name on Kafka [default: SET pipeline in the script, else the script's file name]
    #[arg(long, value_name = "NAME", env = "DAVY_PIPELINE")]
    pub(crate) name: Option<String>,
    /// Output format
    #[arg(short, long, value_enum, default_value = "table", env = "DAVY_OUTPUT")]
    pub(crate) output: OutputFormat,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct OffsetsArgs {
    #[command(flatten)]
    pub(crate) script: ScriptArgs,
    /// The pipeline's name on Kafka [default: SET pipeline in the script, else the script's file name]
    #[arg(long, value_name = "NAME", env = "DAVY_PIPELINE")]
    pub(crate) name: Option<String>,
    /// Sets watermarks beyond this time back to it; windows that end later are open again
    #[arg(long, value_name = "TIME", required = true, value_parser = timestamp)]
    pub(crate) reset_watermark: i64,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct FunctionsArgs {
    /// Only names that contain this
    pub(crate) contains: Option<String>,
    /// Output format
    #[arg(short, long, value_enum, default_value = "table", env = "DAVY_OUTPUT")]
    pub(crate) output: OutputFormat,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ModelArgs {
    #[command(subcommand)]
    pub(crate) command: ModelCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Shows a model's card: what goes in, what comes out, how good it is
    #[command(after_help = "Example:\n  davy model info models/miner_series/card.toml")]
    Info(ModelInfoArgs),
    /// Compares the backends' scores of golden and generated rows; exit code 1 when they disagree
    #[command(after_help = "Example:\n  davy model verify models/miner_series/card.toml --rows 100000")]
    Verify(ModelVerifyArgs),
    /// Measures every backend on this machine, with one thread
    #[command(after_help = "Example:\n  davy model bench models/miner_series/card.toml --batch 1,1024,16384")]
    Bench(ModelBenchArgs),
    /// Makes a model package from a scikit-learn forest in plain JSON
    #[command(
        after_help = "Example:\n  davy model import cds-forest.json.gz --out models/cds --name cds --threshold 0.7\n\n\
The JSON: {\"n_features\": 13, \"trees\": [{\"children_left\": […], \"children_right\": […], \"feature\": […], \"threshold\": […], \
\"value\": [[…], …]}, …]}"
    )]
    Import(ModelImportArgs),
    /// Compares a model's input with its training data or an earlier input; exit code 1 when a feature has drifted
    #[command(
        after_help = "Example:\n  davy model drift models/miner_series/card.toml --input today.csv.gz --reference last-week.csv.gz"
    )]
    Drift(ModelDriftArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ModelInfoArgs {
    /// The model's card.toml
    pub(crate) card: PathBuf,
    /// Output format
    #[arg(short, long, value_enum, default_value = "table", env = "DAVY_OUTPUT")]
    pub(crate) output: OutputFormat,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ModelVerifyArgs {
    /// The model's card.toml
    pub(crate) card: PathBuf,
    /// Number of generated rows
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = n_rows)]
    pub(crate) rows: usize,
    /// Seed of the generated rows
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// ONNX Runtime's shared library [default: where `make setup` puts it]
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    pub(crate) onnxruntime: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ModelBenchArgs {
    /// The model's card.toml
    pub(crate) card: PathBuf,
    /// Rows per call
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 1_024, 16_384], value_parser = n_rows)]
    pub(crate) batch: Vec<usize>,
    /// ONNX Runtime's shared library [default: where `make setup` puts it]
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    pub(crate) onnxruntime: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ModelImportArgs {
    /// The forest as JSON, plain or gzipped
    pub(crate) forest: PathBuf,
    /// The folder that card.toml and model.onnx are written to
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The model's name
    #[arg(long, default_value = "cds")]
    pub(crate) name: String,
    /// The model's version
    #[arg(long, value_name = "VERSION", default_value = "1.0.0")]
    pub(crate) model_version: String,
    /// One or two sentences for an analyst
    #[arg(long)]
    pub(crate) description: Option<String>,
    /// A feature, in the forest's order [default: the thirteen of the Cryptomining Detection System]
    #[arg(long, value_name = "NAME:UNIT:WHAT")]
    pub(crate) feature: Vec<String>,
    /// The classes, in the order of the trees' values
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_values = ["benign", "miner"])]
    pub(crate) class: Vec<String>,
    /// The class whose probability is the score
    #[arg(long, value_name = "NAME", default_value = "miner")]
    pub(crate) positive: String,
    /// A row with at least this score belongs to that class
    #[arg(long, default_value_t = 0.7)]
    pub(crate) threshold: f64,
    /// Day of the training [default: today]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) date: Option<String>,
    /// What it was trained on, in words; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub(crate) data: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ModelDriftArgs {
    /// The model's card.toml
    pub(crate) card: PathBuf,
    /// The script that computes the features [default: the one that the card names]
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,
    /// Compares with this earlier input instead of the training data
    #[arg(long, value_name = "FILE")]
    pub(crate) reference: Option<String>,
    #[command(flatten)]
    pub(crate) run: InputArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OutputFormat {
    /// A table for people, at the end
    Table,
    /// One JSON object per line, as rows come
    Json,
    /// CSV with a header line, as rows come
    Csv,
}

/// Nanoseconds since 1970.
fn timestamp(text: &str) -> Result<i64, String> {
    parse_timestamp(text).ok_or_else(|| format!("`{text}` is not a time such as 2026-01-31T12:00:00Z"))
}

/// A number of rows that fits in memory for any model.
fn n_rows(text: &str) -> Result<usize, String> {
    const MAX: usize = 1_000_000;
    match text.parse() {
        Ok(n) if (1..=MAX).contains(&n) => Ok(n),
        _ => Err(format!("`{text}` is not a number of rows from 1 to {MAX}")),
    }
}

pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_lowercase(), value.to_owned())),
        _ => Err(format!("`{text}` is not KEY=VALUE, such as flows.path=flows.csv")),
    }
}
