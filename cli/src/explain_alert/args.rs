//! The command line of `davy explain-alert`, for clap.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::args::{InputArgs, OutputFormat};

pub(crate) const EXAMPLES: &str = "Examples:
  davy explain-alert alert.json --pipeline pipelines/miners_kafka.sql --set flows.bootstrap_servers=kafka:9092
  davy explain-alert 5f0c81 --pipeline pipelines/miners_kafka.sql --set flows.bootstrap_servers=kafka:9092 --set miners.bootstrap_servers=kafka:9092
  davy explain-alert 5f0c81 --alerts alerts.jsonl --pipeline pipelines/miners_kafka.sql

The alert names its messages (`sources`, see offset_ranges in the documentation of SQL). Davy reads exactly these again, runs the
pipeline over them, and compares the alert that comes out. It writes nothing. Without `sources`, it reads the script's input again,
which must be files. Exit codes: 0 the same alert came out; 1 another one or none; 2 an argument is wrong.";

#[derive(Debug, ClapArgs)]
pub(crate) struct ExplainAlertArgs {
    /// A file with the alert as JSON, `-` for standard input, or the first characters of its id
    #[arg(value_name = "FILE|ID")]
    pub(super) alert: String,
    /// The script of the pipeline that gave the alert
    #[arg(short, long, value_name = "SCRIPT")]
    pub(super) pipeline: PathBuf,
    /// A file with alerts, one JSON object per line, among which the id is looked up [default: the topics that the pipeline writes]
    #[arg(long, value_name = "FILE")]
    pub(super) alerts: Option<PathBuf>,
    /// Which flows are shown, as an SQL condition over the source table [default: those between the alert's two addresses, on its port]
    #[arg(long = "where", value_name = "SQL")]
    pub(super) condition: Option<String>,
    /// How many flows are shown
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(super) flows: usize,
    /// Output format
    #[arg(short, long, value_enum, default_value = "table", env = "DAVY_OUTPUT")]
    pub(super) output: OutputFormat,
    #[command(flatten)]
    pub(super) input: InputArgs,
}
