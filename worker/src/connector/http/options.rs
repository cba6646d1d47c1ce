//! The options of an `http` table, checked.

use std::fmt;
use std::time::Duration;

use davy_engine::connector::TableRequest;
use davy_engine::format::Format;
use davy_engine::options::Options;
use davy_engine::{Error, Result};

use crate::http_client::{HttpClientOptions, Secret, check_url};

const BATCH_ROWS: usize = 100;
const BATCH_BYTES: u64 = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(10);
const RETRY_FOR: Duration = Duration::from_secs(30);

/// How the rows of a request are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One after the other, with a line end behind each.
    Lines,
    /// As items of a JSON array.
    Array,
}

pub(super) struct HttpOptions {
    /// Of which table, for errors.
    pub(super) table: String,
    pub(super) url: String,
    pub(super) client: HttpClientOptions,
    /// Sent with each request; they may be secret.
    pub(super) headers: Vec<(String, String)>,
    pub(super) layout: Layout,
    pub(super) content_type: String,
    /// At most so many rows in a request, and at most so many bytes unless it is one row.
    pub(super) batch_rows: usize,
    pub(super) batch_bytes: usize,
    /// How long a request is repeated.
    pub(super) retry_for: Duration,
}

/// Headers and an address may be secret.
impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpOptions({})", self.table)
    }
}

impl HttpOptions {
    pub(super) fn take(request: &TableRequest<'_>, format: &Format, options: &mut Options) -> Result<Self> {
        let table = format!("table `{}`", request.name);
        let url = options.require("url")?;
        let at = options.location("url");
        check_url(&url).map_err(|error| error.context(&format!("{table}: option `url`")).at(at))?;
        let layouts = [("lines", Layout::Lines), ("array", Layout::Array)];
        let layout = options.parse_choice("batch_format", &layouts)?.unwrap_or(Layout::Lines);
        let batch_rows = options.parse::<usize>("batch_rows", "a number of rows")?;
        if batch_rows == Some(0) {
            return Err(options.bad_value("batch_rows", "0", "at least 1"));
        }
        let batch_rows = batch_rows.unwrap_or(BATCH_ROWS);
        let content_type =
            options.take("content_type").unwrap_or_else(|| content_type(format, layout, batch_rows).to_owned());
        let batch_bytes = options.parse_bytes("batch_bytes")?.unwrap_or(BATCH_BYTES);
        let client = HttpClientOptions {
            timeout: options.parse_duration("timeout")?.unwrap_or(TIMEOUT),
            ca: options.take("tls.ca").map(Into::into),
            certificate: options.take("tls.certificate").map(Into::into),
            key: options.take("tls.key").map(Into::into),
            token: options.take("token").map(Secret::new),
        };
        let headers = options.take_prefixed("header.");
        if let Some((name, _)) = headers.iter().find(|(name, value)| !is_header(name, value)) {
            return Err(Error::invalid(format!("{table}: option `header.{name}` cannot be a header"))
                .hint("a name has A to Z, digits and `-`; a value has no line end"));
        }
        Ok(Self {
            table,
            url,
            client,
            headers,
            layout,
            content_type,
            batch_rows,
            batch_bytes: usize::try_from(batch_bytes).unwrap_or(usize::MAX),
            retry_for: options.parse_duration("retry_for")?.unwrap_or(RETRY_FOR),
        })
    }
}

fn content_type(format: &Format, layout: Layout, batch_rows: usize) -> &'static str {
    match (format, layout) {
        (_, Layout::Array) => "application/json",
        (Format::Json(_), Layout::Lines) if batch_rows == 1 => "application/json",
        (Format::Json(_), Layout::Lines) => "application/x-ndjson",
        (_, Layout::Lines) => "text/plain; charset=utf-8",
    }
}

fn is_header(name: &str, value: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.bytes().all(is_name) && value.chars().all(|c| c == '\t' || !c.is_control())
}
