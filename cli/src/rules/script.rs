//! The script of imported rules.

use std::fmt::Write;
use std::path::Path;

use super::definitions::Rule;
use super::sql::{Join, Kind, ListTable, literal};

/// The script's name in its folder.
pub(super) const FILE: &str = "rules.sql";

/// A list of addresses before any name was resolved.
pub(super) const NO_ADDRESSES: &str = "address,name,expires\n";

/// A rule as it stands in the script.
pub(super) struct RuleQuery {
    pub(super) rule: Rule,
    pub(super) condition: String,
    pub(super) joins: Vec<Join>,
    /// An expression for the text of the alert.
    pub(super) output: String,
}

const HEAD: &str = "\
CREATE TABLE flows (
    ts TIMESTAMP, te TIMESTAMP, sa TEXT, da TEXT, sp INT, dp INT, pr TEXT,
    ipkt BIGINT, ibyt BIGINT, opkt BIGINT, obyt BIGINT
) WITH (
    connector = 'single_file', path = 'flows.csv', type = 'source', format = 'csv', 'csv.columns' = 'nfdump'
);
";

const ENDS: &str = "
-- Each flow twice, with either end as the server: a collector does not know which end has made the connection.
CREATE VIEW ends AS
SELECT te, lower(pr) AS protocol, da AS server, dp AS server_port, sa AS client, sp AS client_port,
    coalesce(ipkt, 0) + coalesce(opkt, 0) AS packets, coalesce(ibyt, 0) + coalesce(obyt, 0) AS bytes
FROM flows
UNION ALL
SELECT te, lower(pr) AS protocol, sa AS server, sp AS server_port, da AS client, dp AS client_port,
    coalesce(ipkt, 0) + coalesce(opkt, 0) AS packets, coalesce(ibyt, 0) + coalesce(obyt, 0) AS bytes
FROM flows;
";

/// Writes the script of some rules, whose lists are in `folder`.
pub(super) fn script(file: &Path, folder: &Path, lists: &[ListTable], queries: &[RuleQuery]) -> String {
    let name = one_line(&file.file_name().unwrap_or_default().to_string_lossy());
    let script = one_line(&folder.join(FILE).display().to_string());
    let mut text = format!(
        "-- Falco's rules of {name} over flows, made by `davy rules import`.\n--\n--   davy run {} --input flows.csv.gz\n--\n\
         -- The lists are lookup tables: a change of their files takes effect while the script runs.\n\n{HEAD}",
        script
    );
    for list in lists {
        text.push_str(&table(folder, list));
    }
    text.push_str(ENDS);
    let queries: Vec<String> = queries.iter().map(query).collect();
    text.push_str(&queries.join("UNION ALL\n"));
    let end = text.trim_end().len();
    text.truncate(end);
    text + ";\n"
}

/// A text for a comment: what follows a line end would be SQL.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn table(folder: &Path, list: &ListTable) -> String {
    let (columns, matching) = match list.kind {
        Kind::Ports => ("port INT NOT NULL", ""),
        Kind::Networks => ("network TEXT NOT NULL", ", match = 'cidr'"),
        Kind::Names => ("address TEXT NOT NULL, name TEXT, expires TIMESTAMP", ", match = 'cidr'"),
    };
    let path = folder.join(list.file()).display().to_string();
    format!(
        "CREATE TABLE {} ({columns}) WITH (\n    connector = 'lookup', path = {}, format = 'csv', 'csv.columns' = 'header', \
         key = '{}'{matching}\n);\n",
        list.name,
        literal(&path),
        list.kind.key()
    )
}

fn query(RuleQuery { rule, condition, joins, output }: &RuleQuery) -> String {
    let priority = capitalized(&rule.priority);
    let mut text = format!("\n-- {}\n", one_line(&rule.name));
    if !rule.description.is_empty() {
        text.push_str(&format!("-- {}\n", one_line(&rule.description)));
    }
    let columns = [
        ("rule", literal(&rule.name)),
        ("priority", literal(&priority)),
        ("severity", literal(severity(&priority))),
        ("tags", literal(&rule.tags.join(","))),
        ("output", output.clone()),
    ];
    let columns: Vec<String> = columns.iter().map(|(name, value)| format!("{value} AS {name}")).collect();
    write!(
        text,
        "SELECT te, {},\n    client, client_port, server, server_port, protocol, packets, bytes\nFROM ends\n",
        columns.join(", ")
    )
    .expect("a string takes any text");
    for join in joins {
        text.push_str(&join_clause(join));
    }
    text + "WHERE " + condition + "\n"
}

fn join_clause(Join { table, kind, end }: &Join) -> String {
    let alias = format!("{table}_{end}");
    let (compared, condition) = match kind {
        Kind::Ports => (format!("{end}_port"), String::new()),
        Kind::Networks => ((*end).to_owned(), String::new()),
        Kind::Names => ((*end).to_owned(), format!(" AND ({alias}.expires IS NULL OR te < {alias}.expires)")),
    };
    format!("LEFT JOIN {table} AS {alias} ON {alias}.{} = {compared}{condition}\n", kind.key())
}

/// `CRITICAL` as `Critical`, as Falco prints it; without one, as Falco's default.
fn capitalized(priority: &str) -> String {
    let lower = priority.trim().to_lowercase();
    let lower = match lower.as_str() {
        "" => "debug",
        "info" => "informational",
        other => other,
    };
    let mut characters = lower.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// Four levels of Falco's eight.
fn severity(priority: &str) -> &'static str {
    match priority {
        "Emergency" | "Alert" | "Critical" => "critical",
        "Error" => "high",
        "Warning" => "medium",
        _ => "low",
    }
}
