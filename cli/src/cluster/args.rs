//! The command line of long-lived processes, for clap.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args as ClapArgs;

pub(crate) const WORKER_EXAMPLES: &str = "Examples:
  davy worker                                                   for a coordinator on this machine
  davy worker --coordinator https://davy:9640 --ca ca.pem --token-file /run/secrets/davy --label zone=a

It dials out only. SIGTERM: every task makes a last commit and is released, then exit code 0.";

/// What tasks find on this machine.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct MachineArgs {
    /// ONNX Runtime's shared library, for models that are no forests [default: where `make setup` puts it]
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    pub(crate) onnxruntime: Option<PathBuf>,
    /// Lets plug-ins be loaded from this folder; may be repeated
    #[arg(long = "plugin-dir", value_name = "DIR", env = "DAVY_PLUGIN_DIRS", value_delimiter = ':')]
    pub(crate) plugin_dirs: Vec<PathBuf>,
}

/// How tasks commit.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct CommitArgs {
    /// Tasks commit at least this often, such as 1s or 500ms
    #[arg(long, value_name = "DURATION", default_value = "1s", env = "DAVY_COMMIT_INTERVAL", value_parser = humantime::parse_duration)]
    pub(crate) commit_interval: std::time::Duration,
    /// … and at least after so many rows of a task
    #[arg(long, value_name = "N", default_value_t = 1_000_000, env = "DAVY_COMMIT_ROWS", value_parser = n_rows)]
    pub(crate) commit_rows: usize,
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct WorkerArgs {
    /// Where coordinators are; tried in turn
    #[arg(
        long,
        value_name = "URL",
        env = "DAVY_COORDINATOR",
        default_value = "http://127.0.0.1:9640",
        value_delimiter = ','
    )]
    pub(crate) coordinator: Vec<String>,
    /// What people call this worker [default: the host's name]
    #[arg(long, env = "DAVY_WORKER_NAME")]
    pub(crate) name: Option<String>,
    /// How many tasks it takes without being crowded [default: the number of cores]
    #[arg(long, value_name = "N", env = "DAVY_SLOTS", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub(crate) slots: Option<u32>,
    /// What is known of it, such as zone=a: tasks of a pipeline are spread over zones; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", env = "DAVY_LABELS", value_delimiter = ',', value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// File with the token that says who it is
    #[arg(long, value_name = "FILE", env = "DAVY_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Certificates that it trusts (PEM), for https
    #[arg(long, value_name = "FILE", env = "DAVY_CA")]
    pub(crate) ca: Option<PathBuf>,
    /// Certificate that it shows (PEM), where the coordinator asks for one
    #[arg(long, value_name = "FILE", requires = "key", env = "DAVY_CERT")]
    pub(crate) cert: Option<PathBuf>,
    /// Key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert", env = "DAVY_KEY")]
    pub(crate) key: Option<PathBuf>,
    /// Where /metrics, /healthz and /readyz are; `off` for nowhere
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9642", env = "DAVY_HTTP", value_parser = address_or_off)]
    pub(crate) http: Off<SocketAddr>,
    /// File with the token that readers of /metrics must send; needed beyond loopback
    #[arg(long, value_name = "FILE", env = "DAVY_HTTP_TOKEN_FILE")]
    pub(crate) http_token_file: Option<PathBuf>,
    /// How long tasks may take for their last commits after SIGTERM
    #[arg(long, value_name = "DURATION", default_value = "20s", env = "DAVY_GRACE", value_parser = humantime::parse_duration)]
    pub(crate) grace: std::time::Duration,
    #[command(flatten)]
    pub(crate) commit: CommitArgs,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

/// Something, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Off<T> {
    Off,
    On(T),
}

impl<T> Off<T> {
    pub(crate) fn on(self) -> Option<T> {
        match self {
            Self::Off => None,
            Self::On(value) => Some(value),
        }
    }
}

fn address_or_off(text: &str) -> Result<Off<SocketAddr>, String> {
    if text == "off" {
        return Ok(Off::Off);
    }
    text.parse().map(Off::On).map_err(|_| format!("`{text}` is no address such as 127.0.0.1:9642, nor `off`"))
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not KEY=VALUE, such as zone=a")),
    }
}

fn n_rows(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if 0 < n => Ok(n),
        _ => Err(format!("`{text}` is not a number of rows from 1")),
    }
}
