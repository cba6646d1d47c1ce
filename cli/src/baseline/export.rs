//! The lists that pipelines/baseline.sql reads: a baseline in a form that a join can look up, one key per row.

use std::path::Path;
use std::process::ExitCode;

use davy_engine::{Error, Result};

use super::file::{Baseline, Connection, Suppression};
use crate::output;

/// Stands for any peer or port in a key.
const ANY: &str = "any";

/// Writes all lists; each is replaced as a whole.
pub(super) fn write(baseline: &Baseline, folder: &Path) -> Result<ExitCode> {
    let unwritable = |error: std::io::Error| Error::invalid(format!("cannot write to `{}`: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(unwritable)?;
    let lists = [
        ("connections.csv", connections(baseline)),
        ("hosts.csv", hosts(baseline)),
        ("suppressions.csv", suppressions(baseline)),
    ];
    for (name, text) in lists {
        let (new, path) = (folder.join(format!("{name}.new")), folder.join(name));
        std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &path)).map_err(unwritable)?;
    }
    output::say(&format!("wrote connections.csv, hosts.csv and suppressions.csv to `{}`", folder.display()));
    Ok(ExitCode::SUCCESS)
}

fn connections(baseline: &Baseline) -> String {
    let mut text = "connection,known\n".to_owned();
    for (name, host) in &baseline.hosts {
        for Connection { direction, protocol, peer, port } in &host.connections {
            text.push_str(&format!("{name} {} {protocol} {peer} {port},true\n", direction.name()));
        }
    }
    text
}

fn hosts(baseline: &Baseline) -> String {
    let mut text = format!("host,mode\n{ANY},{}\n", baseline.mode.name());
    for name in baseline.hosts.keys() {
        text.push_str(&format!("{name},{}\n", baseline.mode_of(name).name()));
    }
    text
}

/// Of several suppressions of the same deviations, the one that holds for longest.
fn suppressions(baseline: &Baseline) -> String {
    let mut longest: std::collections::BTreeMap<String, &Suppression> = std::collections::BTreeMap::new();
    for suppression in &baseline.suppressions {
        let Suppression { host, peer, port, .. } = suppression;
        let of = |text: &Option<String>| text.clone().unwrap_or_else(|| ANY.to_owned());
        let key = format!("{} {} {}", of(host), of(peer), port.map_or(ANY.to_owned(), |port| port.to_string()));
        let known = longest.entry(key).or_insert(suppression);
        if known.expires < suppression.expires {
            *known = suppression;
        }
    }
    let rows = longest.iter().map(|(key, suppression)| {
        let reason = suppression.reason.replace('"', "\"\"");
        format!("{key},{},\"{reason}\"\n", suppression.expires)
    });
    "deviation,expires,reason\n".to_owned() + &rows.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_has_a_row_per_key() {
        let text = r#"version: 1
mode: audit
hosts:
  "10.0.0.1":
    mode: enforce
    connections:
      - {direction: in, protocol: "TCP", peer: "any", port: 22}
      - {direction: out, protocol: "UDP", peer: "10.0.0.53", port: 53}
  "10.0.0.2":
    connections: []
suppressions:
  - {host: "10.0.0.1", port: 3333, reason: "a \"test\", twice", expires: "2026-12-01T00:00:00"}
  - {host: "10.0.0.1", port: 3333, reason: "shorter", expires: "2026-11-01T00:00:00"}
  - {peer: "192.0.2.1", reason: "a partner", expires: "2027-01-01T00:00:00"}
"#;
        let baseline = Baseline::parse(text).expect("a baseline");
        assert_eq!(
            connections(&baseline),
            "connection,known\n10.0.0.1 in TCP any 22,true\n10.0.0.1 out UDP 10.0.0.53 53,true\n"
        );
        assert_eq!(hosts(&baseline), "host,mode\nany,audit\n10.0.0.1,enforce\n10.0.0.2,audit\n");
        assert_eq!(
            suppressions(&baseline),
            "deviation,expires,reason\n10.0.0.1 any 3333,2026-12-01T00:00:00,\"a \"\"test\"\", twice\"\n\
             any 192.0.2.1 any,2027-01-01T00:00:00,\"a partner\"\n"
        );
    }
}
