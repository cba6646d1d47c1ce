//! The command line of `davy miner-test`, for clap.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;

use crate::args::{OutputFormat, key_value};

pub(crate) const EXAMPLES: &str = "Examples:
  davy miner-test -b localhost:9092 --flows flows --verdicts miners
  davy miner-test -b localhost:9092 --flows flows --verdicts miners --speed 60

Run the pipeline first: it reads nfdump's CSV from one topic and writes verdicts into the other, as JSON with `client`, `server` and
`port`, or as `davy cds` does. Exit codes: 0 enough was found; 1 it was not, or a benign conversation was; 2 an argument is wrong.";

#[derive(Debug, ClapArgs)]
pub(crate) struct MinerTestArgs {
    /// Address of the Kafka broker, or several with commas
    #[arg(short, long, value_name = "HOST:PORT", env = "DAVY_KAFKA")]
    pub(super) broker: String,
    /// Topic that the pipeline reads
    #[arg(long, value_name = "TOPIC")]
    pub(super) flows: String,
    /// Topic that the pipeline writes verdicts to
    #[arg(long, value_name = "TOPIC")]
    pub(super) verdicts: String,
    /// Times faster than recorded; above 1 only for a pipeline that reads nothing else: its flows are of the last hour, not of now
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    pub(super) speed: f64,
    /// How long verdicts may come after the last flow
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(super) patience: Duration,
    /// Of the miners, the share that has to be found
    #[arg(long, value_name = "SHARE", default_value_t = 0.8, value_parser = share)]
    pub(super) min_found: f64,
    /// Verdicts of `davy cds`: those from this confidence on count
    #[arg(long, value_name = "CONFIDENCE", default_value_t = 0.88, value_parser = share)]
    pub(super) threshold: f64,
    /// Another recorded session: nfdump's CSV with its header, plain or gzip [default: the laboratory session, an hour with eleven miners]
    #[arg(long, value_name = "FILE", requires = "labels")]
    pub(super) session: Option<PathBuf>,
    /// Its labels: CSV with client, server, server_port, protocol, label (`miner` or another) and kind
    #[arg(long, value_name = "FILE", requires = "session")]
    pub(super) labels: Option<PathBuf>,
    /// A property of librdkafka, such as security.protocol=SSL; may be repeated
    #[arg(long = "kafka-property", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(super) kafka_properties: Vec<(String, String)>,
    /// Output format
    #[arg(short, long, value_enum, default_value = "table", env = "DAVY_OUTPUT")]
    pub(super) output: OutputFormat,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (1.0..=100_000.0).contains(&speed) => Ok(speed),
        _ => Err(format!("`{text}` is not a number from 1 to 100000")),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("`{text}` is not a number from 0 to 1, such as 0.8")),
    }
}
