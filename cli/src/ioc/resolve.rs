//! `davy ioc resolve`: names to addresses, with the time until which an address counts.
//!
//! Pools change their addresses, and hide behind others that serve many names. So an address expires, and one that was found before
//! stays until then.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use davy_engine::time::parse_timestamp;
use davy_engine::{Error, Result};

use super::{ResolveArgs, now, read, replace};
use crate::output::say;

/// The names of an address, and until when they count, seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    names: BTreeSet<String>,
    expires: u64,
}

/// 2200-01-01: what does not expire before does not expire.
const FOREVER: u64 = 7_258_118_400;

type Entries = BTreeMap<IpAddr, Entry>;

pub(super) fn resolve(args: &ResolveArgs) -> Result<ExitCode> {
    let names = names(&read(&args.names)?);
    if names.is_empty() {
        return Err(
            Error::invalid(format!("`{}` has no names", args.names.display())).hint("write a name in each line")
        );
    }
    let now = now();
    let known = if args.out.exists() { parse(&read(&args.out)?, &args.out)? } else { Entries::new() };
    let mut entries: Entries = known.into_iter().filter(|(_, entry)| now < entry.expires).collect();
    let expires = now.saturating_add(args.valid_for.as_secs()).min(FOREVER);
    let mut n_failed = 0;
    for name in &names {
        match addresses(name) {
            Ok(addresses) => add(&mut entries, name, addresses, expires),
            Err(error) => {
                n_failed += 1;
                say(&format!("`{name}` does not resolve: {error}"));
            }
        }
    }
    replace(&args.out, &list(&entries))?;
    let n_resolved = names.len() - n_failed;
    say(&format!(
        "{n_resolved} of {} names resolve; {} has {} addresses",
        names.len(),
        args.out.display(),
        entries.len()
    ));
    Ok(if n_resolved == 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// The names of a file, in lower case, each once.
fn names(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let names: BTreeSet<String> =
        lines.filter(|line| !line.is_empty()).map(|name| name.trim_end_matches('.').to_lowercase()).collect();
    names.into_iter().collect()
}

fn addresses(name: &str) -> std::io::Result<Vec<IpAddr>> {
    // The port is of no use, but the function wants one.
    Ok((name, 0).to_socket_addrs()?.map(|address| address.ip().to_canonical()).collect())
}

fn add(entries: &mut Entries, name: &str, addresses: Vec<IpAddr>, expires: u64) {
    for address in addresses {
        let entry = entries.entry(address).or_default();
        entry.names.insert(name.to_owned());
        entry.expires = entry.expires.max(expires);
    }
}

/// As CSV; the names of one address with blanks between them.
fn list(entries: &Entries) -> String {
    let mut text = "address,name,expires\n".to_owned();
    for (address, Entry { names, expires }) in entries {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let expires = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(*expires));
        text.push_str(&format!("{address},{},{expires}\n", names.join(" ")));
    }
    text
}

/// Reads a list that this command has written before.
fn parse(text: &str, path: &Path) -> Result<Entries> {
    let mut entries = Entries::new();
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    for (number, line) in lines.filter(|(_, line)| !line.starts_with("address,")) {
        let cells: Vec<&str> = line.trim_end().split(',').collect();
        let entry = match cells.as_slice() {
            [address, names, expires] => address.parse().ok().zip(seconds(expires)).map(|(address, expires)| {
                (address, Entry { names: names.split_whitespace().map(str::to_owned).collect(), expires })
            }),
            _ => None,
        };
        let Some((address, entry)) = entry else {
            let path = path.display();
            return Err(Error::invalid(format!("{path}:{number}: `{line}` is no address with names and an expiry"))
                .hint("let --out name a list that this command has written, or a new file"));
        };
        entries.insert(address, entry);
    }
    Ok(entries)
}

/// Seconds since 1970; without an expiry, an address stays.
fn seconds(expires: &str) -> Option<u64> {
    if expires.is_empty() {
        return Some(FOREVER);
    }
    let ns = parse_timestamp(expires)?;
    u64::try_from(ns / 1_000_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_was_written_is_read_again() {
        let mut entries = Entries::new();
        let of = |text: &str| vec![text.parse().expect("an address")];
        add(&mut entries, "b.example", of("192.0.2.1"), 1_700_000_000);
        add(&mut entries, "a.example", of("192.0.2.1"), 1_600_000_000);
        add(&mut entries, "six.example", of("2001:db8::1"), 1_700_000_000);
        let text = list(&entries);
        assert_eq!(
            text,
            "address,name,expires\n192.0.2.1,a.example b.example,2023-11-14T22:13:20Z\n\
             2001:db8::1,six.example,2023-11-14T22:13:20Z\n"
        );
        assert_eq!(parse(&text, Path::new("list.csv")).expect("ours"), entries);
    }

    #[test]
    fn a_list_of_something_else_is_not_replaced() {
        for line in ["192.0.2.1", "host,name,2023-11-14T22:13:20Z", "192.0.2.1,name,soon"] {
            let error = parse(line, Path::new("list.csv")).expect_err(line).to_string();
            assert!(error.contains("list.csv:1: `"), "{error}");
        }
    }

    #[test]
    fn names_are_read_once_without_comments() {
        assert_eq!(names("# pools\nB.example. # the first\n\n b.example\na.example\n"), ["a.example", "b.example"]);
    }
}
