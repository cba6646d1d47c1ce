//! Lists, macros and rules of a file, after its items have been put together: a later item replaces or extends an earlier one.

use std::collections::BTreeMap;

use davy_engine::{Error, Result};
use serde_json::Value;

use super::file::Item;

/// A text of the file, and its line.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) line: usize,
}

/// A list's elements; some may be names of other lists.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    pub(super) items: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) condition: Text,
    pub(super) description: String,
    pub(super) output: String,
    pub(super) priority: String,
    pub(super) tags: Vec<String>,
    pub(super) is_enabled: bool,
    /// The line of its `exceptions`, which are not imported.
    pub(super) exceptions: Option<usize>,
}

/// All that a file defines.
#[derive(Debug)]
pub(super) struct Definitions {
    pub(super) lists: BTreeMap<String, List>,
    pub(super) macros: BTreeMap<String, Text>,
    /// In the order of the file.
    pub(super) rules: Vec<Rule>,
}

/// What an item does with a field of the item before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Replace,
    Append,
    /// The item does not name the field.
    Keep,
}

impl Definitions {
    /// Empty, but for the lists of Falco's own rules that custom rules use.
    fn new() -> Self {
        let private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map(str::to_owned).to_vec();
        let lists = BTreeMap::from([("rfc_1918_addresses".to_owned(), List { items: private })]);
        Self { lists, macros: BTreeMap::new(), rules: Vec::new() }
    }

    pub(super) fn of(items: Vec<Item>) -> Result<Self> {
        let mut definitions = Self::new();
        for item in items {
            match item.kind {
                "list" => definitions.add_list(&item),
                "macro" => definitions.add_macro(&item)?,
                _ => definitions.add_rule(&item)?,
            }
        }
        Ok(definitions)
    }

    fn add_list(&mut self, item: &Item) {
        // Falco's own lists have quotation marks within their elements.
        let items = item.texts("items").into_iter().map(|text| text.trim_matches(['"', '\'']).to_owned());
        match change(item, "items") {
            Change::Append => self.lists.entry(item.name.clone()).or_default().items.extend(items),
            Change::Replace | Change::Keep => {
                self.lists.insert(item.name.clone(), List { items: items.collect() });
            }
        }
    }

    fn add_macro(&mut self, item: &Item) -> Result<()> {
        let known = self.macros.remove(&item.name).unwrap_or_default();
        let condition = changed(item, "condition", known);
        if condition.text.trim().is_empty() {
            return Err(Error::invalid(format!("line {}: the macro `{}` has no condition", item.line, item.name)));
        }
        self.macros.insert(item.name.clone(), condition);
        Ok(())
    }

    fn add_rule(&mut self, item: &Item) -> Result<()> {
        let index = self.rules.iter().position(|rule| rule.name == item.name);
        let changes_known = ["condition", "output"].iter().any(|field| change(item, field) != Change::Replace);
        let is_whole = item.fields.contains_key("condition") && !changes_known;
        let known = index.filter(|_| !is_whole).map(|index| self.rules[index].clone());
        let new = || Rule { name: item.name.clone(), line: item.line, is_enabled: true, ..Rule::default() };
        let mut rule = known.unwrap_or_else(new);
        rule.condition = changed(item, "condition", rule.condition);
        if rule.condition.text.trim().is_empty() {
            return Err(Error::invalid(format!("line {}: the rule `{}` has no condition", item.line, item.name))
                .hint("a rule that only changes another one has to come after it"));
        }
        let output = Text { text: rule.output, line: 0 };
        rule.output = changed(item, "output", output).text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(description) = item.text("desc") {
            rule.description = description.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        if let Some(priority) = item.text("priority") {
            rule.priority = priority;
        }
        match change(item, "tags") {
            Change::Append => rule.tags.extend(item.texts("tags")),
            Change::Replace => rule.tags = item.texts("tags"),
            Change::Keep => {}
        }
        rule.is_enabled = item.flag("enabled").unwrap_or(rule.is_enabled);
        if item.fields.contains_key("exceptions") {
            rule.exceptions = Some(item.line_of("exceptions"));
        }
        match index {
            Some(index) => self.rules[index] = rule,
            None => self.rules.push(rule),
        }
        Ok(())
    }
}

/// By `append: true`, or by `override:`.
fn change(item: &Item, field: &str) -> Change {
    if !item.fields.contains_key(field) {
        return Change::Keep;
    }
    let by_override = match item.fields.get("override") {
        Some(Value::Object(fields)) => fields.get(field).and_then(Value::as_str) == Some("append"),
        _ => false,
    };
    if by_override || item.flag("append") == Some(true) { Change::Append } else { Change::Replace }
}

fn changed(item: &Item, field: &str, known: Text) -> Text {
    let text = item.text(field).unwrap_or_default();
    match change(item, field) {
        Change::Keep => known,
        Change::Replace => Text { text, line: item.line_of(field) },
        Change::Append => Text { text: format!("{} {text}", known.text), line: item.line_of(field) },
    }
}
