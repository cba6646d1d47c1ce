//! `davy ioc import`: files of indicators to the list of a lookup table.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use davy_engine::lookup::Network;
use davy_engine::{Error, Result};

use super::indicator::{Found, Indicator, misp, plain, stix};
use super::{ImportArgs, now, read, replace};
use crate::output::say;

/// As many of the lines that were left out are said of each file.
const SKIPPED_MAX: usize = 10;

pub(super) fn import(args: &ImportArgs) -> Result<ExitCode> {
    let mut networks: Vec<(Network, String, String)> = Vec::new();
    let mut names = BTreeSet::new();
    let mut seen = std::collections::HashSet::new();
    for file in &args.files {
        let Found { indicators, skipped } = parse(file)?;
        for (indicator, about) in indicators {
            match indicator {
                Indicator::Network(network, text) if seen.insert(network) => networks.push((network, text, about)),
                Indicator::Network(..) => {}
                Indicator::Name(name) => {
                    names.insert(name);
                }
            }
        }
        report(file, &skipped);
    }
    let mut list = "network,name\n".to_owned();
    for (_, network, about) in &networks {
        list.push_str(&format!("{network},{}\n", quoted(about)));
    }
    replace(&args.out, &list)?;
    say(&format!("{} has {} addresses and networks", args.out.display(), networks.len()));
    match &args.names {
        Some(path) => {
            let text: String = names.iter().map(|name| format!("{name}\n")).collect();
            replace(path, &text)?;
            say(&format!("{} has {} names; resolve them with davy ioc resolve", path.display(), names.len()));
        }
        None if names.is_empty() => {}
        None => say(&format!("{} domain names are left out; give --names FILE for them", names.len())),
    }
    Ok(ExitCode::SUCCESS)
}

/// By what the file contains: JSON of MISP or STIX, else lines.
fn parse(path: &Path) -> Result<Found> {
    let text = read(path)?;
    if !text.trim_start().starts_with('{') {
        let about = path.file_stem().unwrap_or_default().to_string_lossy();
        return Ok(plain(&text, &about));
    }
    let wrong = |why: &str| Error::invalid(format!("`{}` {why}", path.display()));
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| wrong(&format!("is not valid JSON: {error}")))?;
    let now =
        humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + std::time::Duration::from_secs(now())).to_string();
    misp(&value).or_else(|| stix(&value, &now)).ok_or_else(|| {
        wrong("is neither an event of MISP nor a bundle of STIX")
            .hint("give a file with `Event` or `response`, or with `\"type\": \"bundle\"`")
    })
}

fn report(file: &Path, skipped: &[String]) {
    for line in skipped.iter().take(SKIPPED_MAX) {
        say(&format!("{}: {line}", file.display()));
    }
    if SKIPPED_MAX < skipped.len() {
        say(&format!("{}: and {} more lines are left out", file.display(), skipped.len() - SKIPPED_MAX));
    }
}

/// A value of CSV on one line.
fn quoted(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
