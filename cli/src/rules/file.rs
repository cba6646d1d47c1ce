//! A file of Falco's rules: items with their lines.
//!
//! Each item (`- list:`, `- macro:`, `- rule:`) is cut out by its dash and parsed on its own, so an item that is indented by other blanks
//! than the one before it is read all the same, and said. So are the files in `customRules` of values for Falco's Helm chart.

use davy_engine::{Error, Result};
use serde_json::{Map, Value};

use super::report::Report;

/// Keys that begin an item which may be read.
const KINDS: [&str; 3] = ["list", "macro", "rule"];
/// … and one that says nothing about flows.
const IGNORED: [&str; 2] = ["required_engine_version", "required_plugin_versions"];

/// An item of the file.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// `list`, `macro` or `rule`.
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// Of its dash, from 1.
    pub(super) line: usize,
    pub(super) fields: Map<String, Value>,
    /// The lines of its fields.
    lines: Vec<(String, usize)>,
}

impl Item {
    /// The line of a field, or of the item.
    pub(super) fn line_of(&self, field: &str) -> usize {
        self.lines.iter().find(|(name, _)| name == field).map_or(self.line, |(_, line)| *line)
    }

    pub(super) fn text(&self, field: &str) -> Option<String> {
        match self.fields.get(field)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        }
    }

    pub(super) fn flag(&self, field: &str) -> Option<bool> {
        match self.text(field)?.to_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    /// The elements of a list, as texts.
    pub(super) fn texts(&self, field: &str) -> Vec<String> {
        let Some(Value::Array(values)) = self.fields.get(field) else { return Vec::new() };
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        values.iter().map(text).collect()
    }
}

/// The lines of an item.
struct Lines<'a> {
    first: usize,
    indentation: usize,
    lines: Vec<&'a str>,
}

/// Reads the items of a file's text.
pub(super) fn items(text: &str, report: &mut Report) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut wanted: Option<usize> = None;
    for lines in cut(text) {
        let Lines { first, indentation, .. } = lines;
        match wanted {
            Some(wanted) if wanted != indentation => report.note(
                first,
                format!("the item is indented by {indentation} blanks, the first one by {wanted}; it is read as if they were aligned"),
            ),
            _ => wanted = Some(indentation),
        }
        items.extend(parse(&lines, report)?);
    }
    if items.is_empty() {
        return Err(Error::invalid("the file has no `- list:`, `- macro:` or `- rule:`")
            .hint("give a file of Falco's rules, or the values of its Helm chart with `customRules`"));
    }
    Ok(items)
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Whether a line says nothing.
fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// The key of a line `- key: …`.
fn item_key(line: &str) -> Option<&str> {
    let (key, _) = line.trim_start().strip_prefix('-')?.trim_start().split_once(':')?;
    let key = key.trim();
    KINDS.iter().chain(&IGNORED).find(|known| **known == key).copied()
}

/// Cuts a text into its items. What is before the first one, or outside of `customRules`, is not one.
fn cut(text: &str) -> Vec<Lines<'_>> {
    let mut found: Vec<Lines<'_>> = Vec::new();
    let mut is_open = false;
    for (number, line) in (1..).zip(text.lines()) {
        if item_key(line).is_some() {
            found.push(Lines { first: number, indentation: indentation(line), lines: vec![line] });
            is_open = true;
            continue;
        }
        let Some(last) = found.last_mut().filter(|_| is_open) else { continue };
        // A key of the values around the rules ends them.
        let is_outside = !is_blank(line) && indentation(line) < last.indentation && is_key(line);
        if is_outside {
            is_open = false;
        } else {
            last.lines.push(line);
        }
    }
    found
}

/// Whether a line is `key: …`.
fn is_key(line: &str) -> bool {
    let Some((key, rest)) = line.trim_start().split_once(':') else { return false };
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    !key.is_empty() && key.chars().all(is_name) && (rest.is_empty() || rest.starts_with(' '))
}

/// Parses one item, moved to the left margin.
fn parse(item: &Lines<'_>, report: &mut Report) -> Result<Option<Item>> {
    /// Blanks before the fields of an item.
    const FIELDS: usize = 2;
    let mut text = String::new();
    let mut lines = Vec::new();
    for (number, line) in (item.first..).zip(&item.lines) {
        let moved = indentation(line).saturating_sub(item.indentation);
        let content = line.trim_start_matches(' ');
        let continues = moved <= FIELDS && !is_blank(line) && !is_key(line) && !content.starts_with("- ");
        let blanks = match number {
            first if first == item.first => 0,
            // The last bracket of a list, or a text over several lines, may stand further left than YAML allows.
            _ if continues => FIELDS + 1,
            _ if is_key(line) => moved.max(FIELDS),
            _ => moved,
        };
        if continues && moved == FIELDS && blanks != 0 && !content.starts_with([']', '}']) {
            report.note(number, "the line is indented like a field; it is read as the continuation of the line before");
        }
        text.extend(std::iter::repeat_n(' ', blanks).chain(content.chars()).chain(['\n']));
        if blanks == FIELDS && is_key(line) {
            lines.push((content.split(':').next().unwrap_or_default().to_owned(), number));
        }
    }
    let wrong = |why: String| Error::invalid(format!("line {}: {why}", item.first));
    // `off` is a name like any other.
    let options = serde_saphyr::options! { strict_booleans: true };
    let parsed: Vec<Map<String, Value>> = serde_saphyr::from_str_with_options(&text, options)
        .map_err(|error| wrong(format!("the item is not valid YAML: {}", one_line(&error.to_string()))))?;
    let Some(fields) = parsed.into_iter().next() else { return Ok(None) };
    let Some(kind) = KINDS.into_iter().find(|kind| fields.contains_key(*kind)) else { return Ok(None) };
    let Some(name) = fields.get(kind).and_then(Value::as_str).map(|name| name.trim().to_owned()) else {
        return Err(wrong(format!("the {kind} has no name")));
    };
    Ok(Some(Item { kind, name, line: item.first, fields, lines }))
}

/// The first line of a parser's message; the others show the text that was moved.
fn one_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim().to_owned()
}
