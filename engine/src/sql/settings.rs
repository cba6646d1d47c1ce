//! `SET name = value`: the settings that are no table's.

use std::collections::BTreeMap;
use std::time::Duration;

use super::PlanRequest;
use super::catalog::{self, Catalog};
use super::locate::locate;
use super::network::AnonymizeKey;
use super::script::{Statement, StatementKind};
use crate::error::{Error, Result};
use crate::options::parse_bytes;

/// Memory of a pipeline's operators where no setting says otherwise.
const MEMORY_BYTES: usize = 2 << 30;
/// Partitions of an exchange where no setting says otherwise: more than any pipeline will have tasks.
const EXCHANGE_PARTITIONS: u32 = 64;
const EXCHANGE_PARTITIONS_MAX: u32 = 4_096;

const SETTINGS: [&str; 5] = ["anonymize_key", "exchange_partitions", "max_session", "memory", "pipeline"];

/// How long a session may last where no setting says otherwise: see [`crate::operator::window::session`].
pub const MAX_SESSION: Duration = Duration::from_hours(24);

/// The value of a setting that has to be known before the first query is planned, wherever the script sets it; and the statement that
/// it is from.
fn early<'a>(
    name: &str,
    settings: &'a BTreeMap<String, String>,
    statements: &'a [Statement],
) -> Option<(&'a str, Option<&'a Statement>)> {
    let of_script = |statement: &'a Statement| match &statement.kind {
        StatementKind::Set(set, value) if set == name => Some((value.as_str(), Some(statement))),
        _ => None,
    };
    settings.get(name).map(|value| (value.as_str(), None)).or_else(|| statements.iter().find_map(of_script))
}

/// Adds where the script says it, if it does.
fn at(error: Error, statement: Option<&Statement>) -> Error {
    match statement {
        Some(statement) => locate(error, statement),
        None => error,
    }
}

pub(super) fn max_session(settings: &BTreeMap<String, String>, statements: &[Statement]) -> Result<Duration> {
    const NAME: &str = "max_session";
    let Some((text, statement)) = early(NAME, settings, statements) else { return Ok(MAX_SESSION) };
    let parsed = humantime::parse_duration(text.trim()).ok().filter(|max| !max.is_zero());
    parsed.ok_or_else(|| {
        let error =
            Error::invalid(format!("setting `{NAME}` cannot be `{text}`")).hint("write a duration such as '24 hours'");
        at(error, statement)
    })
}

/// The key of `anonymize_ip`. Scripts and settings are stored and printed, so they only say where it is; errors do not repeat what they
/// say, which may be a key.
pub(super) fn anonymize_key(
    request: &PlanRequest<'_>,
    settings: &BTreeMap<String, String>,
    statements: &[Statement],
) -> Result<Option<AnonymizeKey>> {
    const NAME: &str = "anonymize_key";
    let Some((text, statement)) = early(NAME, settings, statements) else { return Ok(None) };
    let at = |error: Error| at(error, statement);
    let is_reference = text.starts_with("${") && text.find('}') == Some(text.len() - 1);
    if !is_reference {
        return Err(at(Error::invalid(format!("setting `{NAME}` does not say where its key is"))
            .hint("write '${file:path}' or '${env:NAME}': what stands in a script is no secret")));
    }
    let key = AnonymizeKey::parse(&request.resolve(text).map_err(at)?);
    let wrong = || {
        Error::invalid(format!("setting `{NAME}`: what `{text}` refers to is no key"))
            .hint("a key is 32 bytes as 64 hexadecimal digits or base64, such as `openssl rand -hex 32` prints")
    };
    key.map(Some).ok_or_else(|| at(wrong()))
}

pub(super) fn check_settings(catalog: &Catalog, settings: &BTreeMap<String, String>) -> Result<()> {
    let is_owner = |name: &str| catalog.table(name).is_some() || catalog.functions.iter().any(|f| f.name == name);
    for name in settings.keys() {
        let is_option = name.split_once('.').is_some_and(|(owner, _)| is_owner(owner));
        if !is_option && !SETTINGS.contains(&name.as_str()) {
            return Err(Error::invalid(format!("unknown setting `{name}`")).hint(format!(
                "valid are {}, and `<table>.<option>` for the options of a table or a function",
                catalog::list(SETTINGS)
            )));
        }
    }
    Ok(())
}

pub(super) fn memory_setting(settings: &BTreeMap<String, String>) -> Result<usize> {
    let Some(text) = settings.get("memory") else { return Ok(MEMORY_BYTES) };
    let bytes = parse_bytes(text).and_then(|bytes| usize::try_from(bytes).ok()).filter(|bytes| 0 < *bytes);
    bytes.ok_or_else(|| {
        Error::invalid(format!("setting `memory` cannot be `{text}`")).hint("write a size such as '512MiB'")
    })
}

/// Whether a pipeline may be called so: its name becomes part of the names of topics, groups and transactions.
pub fn is_pipeline_name(name: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=100).contains(&name.len()) && name.bytes().all(is_legal)
}

pub(super) fn name_setting(settings: &BTreeMap<String, String>) -> Result<Option<String>> {
    let Some(name) = settings.get("pipeline") else { return Ok(None) };
    if is_pipeline_name(name) {
        return Ok(Some(name.clone()));
    }
    Err(Error::invalid(format!("setting `pipeline` cannot be `{name}`"))
        .hint("a name consists of `a` to `z`, `A` to `Z`, digits, `_` and `-`, at most 100 of them"))
}

pub(super) fn partitions_setting(settings: &BTreeMap<String, String>) -> Result<u32> {
    let Some(text) = settings.get("exchange_partitions") else { return Ok(EXCHANGE_PARTITIONS) };
    let parsed = text.trim().parse().ok().filter(|n| (1..=EXCHANGE_PARTITIONS_MAX).contains(n));
    parsed.ok_or_else(|| {
        Error::invalid(format!("setting `exchange_partitions` cannot be `{text}`"))
            .hint(format!("write a number from 1 to {EXCHANGE_PARTITIONS_MAX}"))
    })
}
