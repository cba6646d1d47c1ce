//! The command line of `davy cds`, for clap: the original's arguments, and what Davy adds.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;

use crate::args::{HttpArgs, key_value};

pub(crate) const EXAMPLES: &str = "Examples:
  davy cds -b localhost:9092 -c flows -p verdicts
  davy cds -b localhost:9092 -c flows -p verdicts --model mine/card.toml --dead-letter-topic flows-rejected
  davy cds -b localhost:9092 -c flows -p verdicts -ts http://tenants:8080/tenants/ -tid 7
  davy cds -b localhost:9092 -c flows -p verdicts -ts https://tenants/api/ -tid all --tenants tenants.toml
  davy cds -b localhost:9092 -c flows -p verdicts --print-sql > my-cds.sql

The topics must exist. SIGTERM: a last commit, then exit code 0; the next run continues there.
Exit codes: 0 stopped by SIGTERM; 1 failed while running; 2 an argument is wrong, or a topic is missing; 130 interrupted.";

#[derive(Debug, ClapArgs)]
pub(crate) struct CdsArgs {
    /// Address of the Kafka broker, or several with commas
    #[arg(short, long, value_name = "HOST:PORT")]
    pub(super) broker: String,
    /// Kafka topic to read flows from
    #[arg(short, long, value_name = "TOPIC")]
    pub(super) consume: String,
    /// Kafka topic to write flows with their verdicts to
    #[arg(short, long, value_name = "TOPIC")]
    pub(super) produce: String,
    #[command(flatten)]
    pub(super) tenants: TenantArgs,
    /// The card of the model; `davy model import` makes one of the original's forest
    #[arg(long, value_name = "FILE", default_value = "models/cds_flow/card.toml")]
    pub(super) model: PathBuf,
    /// From this confidence on, the header `severity` is `high` [default: the threshold of the card]
    #[arg(long, value_name = "CONFIDENCE", value_parser = confidence)]
    pub(super) threshold: Option<f64>,
    /// Keys each message by its whole record, as the original does, and not by the flow's addresses, ports and protocol
    #[arg(long)]
    pub(super) compat_key: bool,
    /// Kafka topic for records that cannot be read [default: they are counted only]
    #[arg(long, value_name = "TOPIC")]
    pub(super) dead_letter_topic: Option<String>,
    /// Where the first run begins: `earliest`, `latest`, or a time as `timestamp:2026-01-31T12:00:00Z`
    #[arg(long, value_name = "OFFSET", default_value = "earliest")]
    pub(super) from: String,
    /// The pipeline's name on Kafka, under which it continues [default: `cds`, and both topics]
    #[arg(long, value_name = "NAME", env = "DAVY_PIPELINE")]
    pub(super) name: Option<String>,
    /// Prints the script with these arguments filled in, and runs nothing
    #[arg(long)]
    pub(super) print_sql: bool,
    /// Sets `<table>.<option>` of the tables `flows` and `verdicts`, such as `flows.tls=true`; may be repeated
    #[arg(short, long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(super) set: Vec<(String, String)>,
    /// ONNX Runtime's shared library, for models other than forests [default: where `make setup` puts it]
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    pub(super) onnxruntime: Option<PathBuf>,
    /// Settings file; by default davy.toml in this folder, where there is one
    #[arg(long, value_name = "FILE", env = "DAVY_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Commits at least this often, such as 1s or 500ms [default: 1s]
    #[arg(long, value_name = "DURATION", env = "DAVY_COMMIT_INTERVAL")]
    pub(super) commit_interval: Option<String>,
    /// Commits at least after so many rows of a task [default: 1000000]
    #[arg(long, value_name = "N", env = "DAVY_COMMIT_ROWS")]
    pub(super) commit_rows: Option<usize>,
    /// Reads the topic with at most this many tasks; the first run fixes the number [default: the number of cores]
    #[arg(long, value_name = "N", env = "DAVY_TASKS")]
    pub(super) tasks: Option<usize>,
    /// Prints neither progress nor summary
    #[arg(short, long)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) http: HttpArgs,
}

/// Which tenants are served, and how their partitions are found.
#[derive(Debug, ClapArgs)]
pub(super) struct TenantArgs {
    /// Beginning of the tenant service's address, to which the tenant's id is added; also `-ts`
    #[arg(long, value_name = "URL", requires = "tenantid")]
    pub(super) tenantservice: Option<String>,
    /// Reads and writes only the partition that the tenant service names for this tenant; `all`: those of --tenants; also `-tid`
    #[arg(long, value_name = "ID", requires = "tenantservice")]
    pub(super) tenantid: Option<String>,
    /// The tenants of `-tid all` as TOML: `[[tenant]]`, `id = "7"`, and where wanted `threshold = 0.8`, `messages_per_second = 5000`
    #[arg(long, value_name = "FILE", requires = "tenantid")]
    pub(super) tenants: Option<PathBuf>,
    /// How often the tenant service is called again; a tenant that has moved continues on its new partition
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = humantime::parse_duration)]
    pub(super) tenant_refresh: Duration,
    /// Certificate authorities that are trusted for the tenant service (PEM) [default: those of the system]
    #[arg(long, value_name = "FILE", requires = "tenantservice")]
    pub(super) tenant_ca: Option<PathBuf>,
    /// Client certificate for the tenant service (PEM)
    #[arg(long, value_name = "FILE", requires = "tenant_key")]
    pub(super) tenant_cert: Option<PathBuf>,
    /// Key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tenant_cert")]
    pub(super) tenant_key: Option<PathBuf>,
    /// File with a token for the tenant service, sent as `Authorization: Bearer …`
    #[arg(long, value_name = "FILE", requires = "tenantservice")]
    pub(super) tenant_token_file: Option<PathBuf>,
}

/// A share from 0 to 1.
fn confidence(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(confidence) if (0.0..=1.0).contains(&confidence) => Ok(confidence),
        _ => Err(format!("`{text}` is not a confidence from 0 to 1, such as 0.7")),
    }
}
