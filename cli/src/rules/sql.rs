//! Tests to SQL. Every part is true or false, never null, so that NOT means what it means in Falco.

use std::collections::{BTreeMap, BTreeSet};

use davy_engine::lookup::Network;

use super::condition::{Comparison, Value};
use super::definitions::Definitions;
use super::expand::Test;
use super::field::{Field, Known, Side, known};

/// What a list contains, by the fields that it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Ports,
    Networks,
    Names,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Ports => "ports",
            Self::Networks => "networks",
            Self::Names => "names",
        }
    }

    /// The column that is the key of the lookup table.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Ports => "port",
            Self::Networks => "network",
            Self::Names => "address",
        }
    }
}

/// A lookup table of the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListTable {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Its elements: numbers, networks or names, each once.
    pub(super) elements: Vec<String>,
}

impl ListTable {
    /// The file of its lookup table.
    pub(super) fn file(&self) -> String {
        format!("{}.csv", self.name)
    }

    /// The file with names that are to be resolved.
    pub(super) fn source_file(&self) -> String {
        format!("{}.txt", self.name)
    }

    /// The list as CSV; of names, one in each line.
    pub(super) fn content(&self) -> String {
        let header = if self.kind == Kind::Names { None } else { Some(self.kind.key()) };
        header.into_iter().chain(self.elements.iter().map(String::as_str)).map(|line| format!("{line}\n")).collect()
    }
}

/// A lookup table joined with one end of the flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Join {
    pub(super) table: String,
    pub(super) kind: Kind,
    pub(super) end: &'static str,
}

/// The lookup tables that tests need, and which of their joins.
pub(super) struct Tables<'a> {
    definitions: &'a Definitions,
    /// By list, where it is one, and kind.
    tables: BTreeMap<(String, Kind), ListTable>,
    joins: BTreeSet<Join>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(definitions: &'a Definitions) -> Self {
        Self { definitions, tables: BTreeMap::new(), joins: BTreeSet::new() }
    }

    pub(super) fn lists(&self) -> impl Iterator<Item = &ListTable> {
        self.tables.values()
    }

    /// The joins since the last call.
    pub(super) fn take_joins(&mut self) -> Vec<Join> {
        std::mem::take(&mut self.joins).into_iter().collect()
    }

    /// A test as SQL; an error says what cannot be translated.
    pub(super) fn sql(&mut self, test: &Test) -> Result<String, String> {
        let mut all = |parts: &[Test], word: &str| -> Result<String, String> {
            let parts = parts.iter().map(|part| self.sql(part)).collect::<Result<Vec<_>, _>>()?;
            Ok(format!("({})", parts.join(word)))
        };
        match test {
            Test::And(parts) => all(parts, " AND "),
            Test::Or(parts) => all(parts, " OR "),
            Test::Always(holds) => Ok(holds.to_string()),
            Test::Compare { comparison, is_negated } => {
                let sql = self.compare(comparison).map_err(|why| format!("`{comparison}`: {why}"))?;
                Ok(if *is_negated { format!("NOT {sql}") } else { sql })
            }
            Test::Unknown { comparison, .. } => Err(format!("`{comparison}` is not known of a flow")),
        }
    }

    fn compare(&mut self, comparison: &Comparison) -> Result<String, String> {
        let Known::OfFlow(field) = known(comparison) else { return Err("is no field of a flow".to_owned()) };
        match field {
            Field::Port(side) => self.port(side, comparison),
            Field::Address(side) => self.address(side, comparison),
            Field::Name(side) => self.name(side, comparison),
            Field::Protocol => protocol(comparison),
        }
    }

    fn port(&mut self, side: Side, comparison: &Comparison) -> Result<String, String> {
        let operator = comparison.operator.as_str();
        let number = |value: &Value| port(&value.text);
        match (operator, comparison.values.as_slice()) {
            ("exists", _) => Ok(ends(side, |end| format!("{end}_port IS NOT NULL"))),
            ("in", values) => {
                let (lists, literals) = self.split(values);
                let numbers = literals.iter().map(|value| number(value)).collect::<Result<Vec<_>, _>>()?;
                let literal = |end: &str| match numbers.is_empty() {
                    true => None,
                    false => Some(format!("coalesce({end}_port IN ({}), false)", numbers.join(", "))),
                };
                self.in_lists(side, &lists, Kind::Ports, literal)
            }
            ("!=", [value]) => {
                let number = number(value)?;
                Ok(ends_all(side, |end| format!("coalesce({end}_port <> {number}, false)")))
            }
            ("=" | "==" | "<" | "<=" | ">" | ">=", [value]) => {
                let (number, operator) = (number(value)?, if operator == "==" { "=" } else { operator });
                Ok(ends(side, |end| format!("coalesce({end}_port {operator} {number}, false)")))
            }
            _ => Err(format!("the operator `{operator}` is not translated for ports")),
        }
    }

    fn address(&mut self, side: Side, comparison: &Comparison) -> Result<String, String> {
        let operator = comparison.operator.as_str();
        let network = |value: &Value| network(&value.text);
        match (operator, comparison.values.as_slice()) {
            ("exists", _) => Ok(ends(side, |end| format!("{end} IS NOT NULL"))),
            ("in", values) => {
                let (lists, literals) = self.split(values);
                let networks = literals.iter().map(|value| network(value)).collect::<Result<Vec<_>, _>>()?;
                let literal = |end: &str| match networks.is_empty() {
                    true => None,
                    false => Some(format!("coalesce(cidr_match({end}, {}), false)", networks.join(", "))),
                };
                self.in_lists(side, &lists, Kind::Networks, literal)
            }
            ("!=", [value]) => {
                let network = network(value)?;
                Ok(ends_all(side, |end| format!("coalesce(NOT cidr_match({end}, {network}), false)")))
            }
            ("=" | "==", [value]) => {
                let network = network(value)?;
                Ok(ends(side, |end| format!("coalesce(cidr_match({end}, {network}), false)")))
            }
            _ => Err(format!("the operator `{operator}` is not translated for addresses")),
        }
    }

    fn name(&mut self, side: Side, comparison: &Comparison) -> Result<String, String> {
        let operator = comparison.operator.as_str();
        if !matches!(operator, "=" | "==" | "!=" | "in") {
            return Err(format!("the operator `{operator}` is not translated for names"));
        }
        let (mut lists, literals) = self.split(&comparison.values);
        if !literals.is_empty() {
            lists.push(self.own_names(&literals));
        }
        let found = self.in_lists(side, &lists, Kind::Names, |_: &str| None)?;
        Ok(if operator == "!=" { format!("NOT {found}") } else { found })
    }

    /// Names of lists, and values that are none. Only `in` takes lists.
    fn split<'v>(&self, values: &'v [Value]) -> (Vec<String>, Vec<&'v Value>) {
        let is_list = |value: &&Value| !value.is_quoted && self.definitions.lists.contains_key(&value.text);
        let (lists, literals): (Vec<&Value>, Vec<&Value>) = values.iter().partition(is_list);
        (lists.into_iter().map(|value| value.text.clone()).collect(), literals)
    }

    /// A list of the names that a condition has itself. Its key is no name that a list can have.
    fn own_names(&mut self, values: &[&Value]) -> String {
        let mut names: Vec<String> = values.iter().map(|value| value.text.to_lowercase()).collect();
        names.sort();
        names.dedup();
        let key = format!("({})", names.join(" "));
        if !self.tables.contains_key(&(key.clone(), Kind::Names)) {
            let name = self.table_name("own", Kind::Names);
            self.tables.insert((key.clone(), Kind::Names), ListTable { name, kind: Kind::Names, elements: names });
        }
        key
    }

    /// Whether an end is in one of the lists, or in what `literal` says.
    fn in_lists(
        &mut self,
        side: Side,
        lists: &[String],
        kind: Kind,
        literal: impl Fn(&str) -> Option<String>,
    ) -> Result<String, String> {
        let mut parts = Vec::new();
        for end in side.ends() {
            parts.extend(literal(end));
            for list in lists {
                let table = self.table(list, kind)?;
                parts.push(format!("{table}_{end}.{} IS NOT NULL", kind.key()));
                self.joins.insert(Join { table, kind, end });
            }
        }
        match parts.as_slice() {
            [] => Ok("false".to_owned()),
            [only] => Ok(only.clone()),
            parts => Ok(format!("({})", parts.join(" OR "))),
        }
    }

    /// The table of a list.
    fn table(&mut self, list: &str, kind: Kind) -> Result<String, String> {
        if let Some(table) = self.tables.get(&(list.to_owned(), kind)) {
            return Ok(table.name.clone());
        }
        let mut elements = Vec::new();
        self.elements(list, &mut Vec::new(), &mut elements)?;
        let elements = checked(&elements, kind).map_err(|why| format!("list `{list}`: {why}"))?;
        let name = self.table_name(list, kind);
        let table = ListTable { name: name.clone(), kind, elements };
        self.tables.insert((list.to_owned(), kind), table);
        Ok(name)
    }

    /// The elements of a list and of the lists in it.
    fn elements(&self, list: &str, open: &mut Vec<String>, found: &mut Vec<String>) -> Result<(), String> {
        if open.iter().any(|open| open == list) {
            return Err(format!("list `{list}` contains itself"));
        }
        open.push(list.to_owned());
        for item in self.definitions.lists.get(list).map(|list| list.items.as_slice()).unwrap_or_default() {
            if self.definitions.lists.contains_key(item) {
                self.elements(item, open, found)?;
            } else {
                found.push(item.clone());
            }
        }
        open.pop();
        Ok(())
    }

    /// A name that no other table has, of characters that need no quotation marks.
    fn table_name(&self, list: &str, kind: Kind) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut name: String = list.to_lowercase().chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            name.insert_str(0, "list_");
        }
        let suffix = kind.suffix();
        if name != suffix && !name.ends_with(&format!("_{suffix}")) {
            name = format!("{name}_{suffix}");
        }
        let is_taken = |name: &str| self.tables.values().any(|table| table.name == name);
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let mut candidates = std::iter::once(name.clone()).chain(numbered);
        candidates.find(|candidate| !is_taken(candidate)).unwrap_or(name)
    }
}

/// The elements of a list, in one notation, each once.
fn checked(elements: &[String], kind: Kind) -> Result<Vec<String>, String> {
    let mut found: Vec<String> = Vec::new();
    let mut networks: Vec<Network> = Vec::new();
    for element in elements {
        let element = match kind {
            Kind::Ports => port(element)?,
            Kind::Names => element.trim().trim_end_matches('.').to_lowercase(),
            Kind::Networks => {
                let network = Network::parse(element)?;
                if networks.contains(&network) {
                    continue;
                }
                networks.push(network);
                element.trim().to_owned()
            }
        };
        if !found.contains(&element) {
            found.push(element);
        }
    }
    Ok(found)
}

fn port(text: &str) -> Result<String, String> {
    let number: Result<u16, _> = text.trim().parse();
    number.map(|number| number.to_string()).map_err(|_| format!("`{text}` is no port, and no list of the file"))
}

fn network(text: &str) -> Result<String, String> {
    Network::parse(text).map(|_| literal(text.trim()))
}

/// A text in SQL.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn protocol(comparison: &Comparison) -> Result<String, String> {
    let values: Vec<String> = comparison.values.iter().map(|value| literal(&value.text.to_lowercase())).collect();
    match comparison.operator.as_str() {
        "exists" => Ok("protocol IS NOT NULL".to_owned()),
        "in" if values.is_empty() => Ok("false".to_owned()),
        "=" | "==" | "in" => Ok(format!("coalesce(protocol IN ({}), false)", values.join(", "))),
        "!=" => Ok(format!("coalesce(protocol NOT IN ({}), false)", values.join(", "))),
        operator => Err(format!("the operator `{operator}` is not translated for protocols")),
    }
}

/// True where one of the ends is.
fn ends(side: Side, test: impl Fn(&str) -> String) -> String {
    joined(side, " OR ", test)
}

/// True where all ends are.
fn ends_all(side: Side, test: impl Fn(&str) -> String) -> String {
    joined(side, " AND ", test)
}

fn joined(side: Side, word: &str, test: impl Fn(&str) -> String) -> String {
    match side.ends() {
        [only] => test(only),
        all => format!("({})", all.iter().map(|end| test(end)).collect::<Vec<_>>().join(word)),
    }
}
