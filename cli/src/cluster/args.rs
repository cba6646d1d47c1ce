//! The command line of long-lived processes, for clap.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args as ClapArgs;

pub(crate) const WORKER_EXAMPLES: &str = "Examples:
  davy worker                                                   for a coordinator on this machine
  davy worker --coordinator https://davy:9640 --ca ca.pem --token-file /run/secrets/davy --label zone=a

The worker only opens connections to the coordinator. On SIGTERM every task makes a last commit and is released; exit code 0.";

pub(crate) const COORDINATOR_EXAMPLES: &str = "Examples:
  davy coordinator                                              on this machine, with a catalog in memory
  davy coordinator --catalog file --catalog-file davy.catalog   keeps its pipelines in a file
  davy coordinator --catalog kafka --bootstrap-servers kafka:9092 --listen 0.0.0.0:9640 \\
      --tls-cert server.pem --tls-key server.key --tokens tokens.toml

It prints one line when it listens: `listening grpc=… http=…`. Tokens are given by their SHA-256:
  [[token]]
  name = \"alice\"
  role = \"operator\"        # admin, operator, viewer or worker
  tenant = \"soc\"           # `*`: all
  sha256 = \"…\"             # printf %s \"$TOKEN\" | sha256sum";

pub(crate) const DEV_EXAMPLES: &str = "Example:
  davy dev pipelines/my.sql                                     a coordinator and two workers in one process

On Ctrl-C every task makes a last commit. The next run resumes from there: all state is in Kafka.";

/// Where a coordinator keeps its pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CatalogKind {
    /// A compacted topic, for clusters: one of several coordinators leads, the others are on standby
    Kafka,
    /// A local file, for one coordinator on one machine
    File,
    /// In memory: lost when the coordinator ends
    Memory,
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct CoordinatorArgs {
    /// Address of the gRPC server; beyond loopback it requires TLS and tokens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9640", env = "DAVY_LISTEN")]
    pub(crate) listen: SocketAddr,
    /// Address of /metrics, /healthz and /readyz
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9641", env = "DAVY_HTTP")]
    pub(crate) http: SocketAddr,
    /// Allows HTTP without TLS beyond loopback: health is open, metrics require a token for all tenants
    #[arg(long)]
    pub(crate) http_beyond_loopback: bool,
    /// Address at which clients and workers reach this coordinator [default: that of --listen]
    #[arg(long, value_name = "HOST:PORT", env = "DAVY_ADVERTISE")]
    pub(crate) advertise: Option<String>,
    /// Where pipelines are kept
    #[arg(long, value_enum, default_value = "memory", env = "DAVY_CATALOG")]
    pub(crate) catalog: CatalogKind,
    /// The file of `--catalog file`
    #[arg(long, value_name = "FILE", required_if_eq("catalog", "file"), env = "DAVY_CATALOG_FILE")]
    pub(crate) catalog_file: Option<PathBuf>,
    /// The Kafka of `--catalog kafka`
    #[arg(long, value_name = "HOST:PORT,…", required_if_eq("catalog", "kafka"), env = "DAVY_KAFKA")]
    pub(crate) bootstrap_servers: Option<String>,
    /// Name of the cluster; all of its coordinators use the same
    #[arg(long, value_name = "NAME", default_value = "davy", env = "DAVY_CLUSTER")]
    pub(crate) cluster: String,
    /// The topic of `--catalog kafka`: one per cluster [default: davy.catalog.<cluster>]
    #[arg(long, value_name = "TOPIC", env = "DAVY_CATALOG_TOPIC")]
    pub(crate) catalog_topic: Option<String>,
    /// A property of the Kafka client, such as security.protocol=SSL; may be repeated; a value of `@FILE` is read from that file
    #[arg(long = "kafka-property", value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) kafka_properties: Vec<(String, String)>,
    /// Certificate chain of this coordinator (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "DAVY_TLS_CERT")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "DAVY_TLS_KEY")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Certificate authorities of clients (PEM): clients then need a certificate besides a token
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "DAVY_CLIENT_CA")]
    pub(crate) client_ca: Option<PathBuf>,
    /// File with tokens and their roles (TOML); read again when it changes
    #[arg(long, value_name = "FILE", env = "DAVY_TOKENS")]
    pub(crate) tokens: Option<PathBuf>,
    /// How often workers report
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = humantime::parse_duration)]
    pub(crate) heartbeat: std::time::Duration,
    /// A worker that sends nothing for this long is lost, and its tasks move to other workers
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) lease_timeout: std::time::Duration,
    /// How long a new leader waits for workers to report their tasks before it assigns tasks [default: the lease timeout, at least 10s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) startup_grace_period: Option<std::time::Duration>,
    /// Number of tasks of each stage, at most one per partition; fixed when a pipeline is submitted
    #[arg(long, value_name = "N", default_value = "16", env = "DAVY_TASKS")]
    pub(crate) tasks: std::num::NonZeroU32,
    /// Lower bound of the desired number of workers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) workers_min: u32,
    /// Upper bound of the desired number of workers
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub(crate) workers_max: u32,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct DevArgs {
    /// The SQL script; `-` reads standard input
    pub(crate) script: PathBuf,
    /// Sets `<table>.<option>` or a setting of the pipeline (`memory`); may be repeated
    #[arg(short, long = "set", value_name = "KEY=VALUE", value_parser = crate::args::key_value)]
    pub(crate) set: Vec<(String, String)>,
    /// Number of workers
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub(crate) workers: u32,
    /// The pipeline's name [default: the script's file name]
    #[arg(long, value_name = "NAME", env = "DAVY_PIPELINE")]
    pub(crate) name: Option<String>,
    /// Address of the gRPC server, for `davy list`, `davy tail` and the like
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9640", env = "DAVY_LISTEN")]
    pub(crate) listen: SocketAddr,
    /// Address of the coordinator's /metrics, /healthz and /readyz
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9641", env = "DAVY_HTTP")]
    pub(crate) http: SocketAddr,
    /// Number of tasks of each stage, at most one per partition; fixed when a pipeline is submitted
    #[arg(long, value_name = "N", default_value = "4", env = "DAVY_TASKS")]
    pub(crate) tasks: std::num::NonZeroU32,
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct MachineArgs {
    /// ONNX Runtime's shared library, for models other than forests [default: where `make setup` puts it]
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    pub(crate) onnxruntime: Option<PathBuf>,
    /// Allows loading plug-ins from this folder; may be repeated
    #[arg(long = "plugin-dir", value_name = "DIR", env = "DAVY_PLUGIN_DIRS", value_delimiter = ':')]
    pub(crate) plugin_dirs: Vec<PathBuf>,
    /// Lets scripts use `${env:NAME}` or `${file:PATH}`, such as env:KAFKA_PASSWORD or file:/run/secrets/*; may be repeated [default:
    /// all; of a coordinator with --tokens: none]
    #[arg(long = "allow-variable", value_name = "REFERENCE", env = "DAVY_ALLOW_VARIABLES", value_delimiter = ',', value_parser = reference)]
    pub(crate) variables: Vec<String>,
}

fn reference(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some(("env" | "file", name)) if !name.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("`{text}` is neither env:NAME nor file:PATH")),
    }
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct TaskArgs {
    /// Tasks commit at least this often, such as 1s or 500ms
    #[arg(long, value_name = "DURATION", default_value = "1s", env = "DAVY_COMMIT_INTERVAL", value_parser = humantime::parse_duration)]
    pub(crate) commit_interval: std::time::Duration,
    /// … and at least after so many rows of a task
    #[arg(long, value_name = "N", default_value_t = 1_000_000, env = "DAVY_COMMIT_ROWS", value_parser = n_rows)]
    pub(crate) commit_rows: usize,
    /// A folder on a local disk for state that does not fit into memory [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR", env = "DAVY_SPILL_DIR")]
    pub(crate) spill_dir: Option<PathBuf>,
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct WorkerArgs {
    /// URLs of the coordinators; tried in turn
    #[arg(
        long,
        value_name = "URL",
        env = "DAVY_COORDINATOR",
        default_value = "http://127.0.0.1:9640",
        value_delimiter = ','
    )]
    pub(crate) coordinator: Vec<String>,
    /// Name of this worker for people [default: the host's name]
    #[arg(long, env = "DAVY_WORKER_NAME")]
    pub(crate) name: Option<String>,
    /// Number of tasks that it runs without being overloaded [default: the number of cores]
    #[arg(long, value_name = "N", env = "DAVY_SLOTS", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub(crate) slots: Option<u32>,
    /// A label, such as zone=a; tasks of a pipeline are spread over zones; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", env = "DAVY_LABELS", value_delimiter = ',', value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// File with the worker's token; requires https:// beyond loopback
    #[arg(long, value_name = "FILE", env = "DAVY_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Certificate authorities that the worker trusts (PEM), for https://
    #[arg(long, value_name = "FILE", env = "DAVY_CA")]
    pub(crate) ca: Option<PathBuf>,
    /// Client certificate (PEM), where the coordinator requires one
    #[arg(long, value_name = "FILE", requires = "key", env = "DAVY_CERT")]
    pub(crate) cert: Option<PathBuf>,
    /// Key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert", env = "DAVY_KEY")]
    pub(crate) key: Option<PathBuf>,
    /// Address of /metrics, /healthz and /readyz, or `off`
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9642", env = "DAVY_HTTP", value_parser = address_or_off)]
    pub(crate) http: Off<SocketAddr>,
    /// File with the token that readers of /metrics must send; required beyond loopback
    #[arg(long, value_name = "FILE", env = "DAVY_HTTP_TOKEN_FILE")]
    pub(crate) http_token_file: Option<PathBuf>,
    /// How long tasks may take for their last commits after SIGTERM
    #[arg(long, value_name = "DURATION", default_value = "20s", env = "DAVY_GRACE", value_parser = humantime::parse_duration)]
    pub(crate) grace: std::time::Duration,
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

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

pub(crate) fn address_or_off(text: &str) -> Result<Off<SocketAddr>, String> {
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
