//! The options of a table, consumed by name.
//!
//! Each component takes the options that it understands. Options left over at the end are an error that lists the valid names, so an
//! option is never misspelt in silence, and never accepted and ignored.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, Location, Result};

/// The options of one table or function.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `` table `flows` ``.
    owner: String,
    values: BTreeMap<String, (String, Option<Location>)>,
    taken: BTreeMap<&'static str, Option<Location>>,
    known: BTreeSet<&'static str>,
}

impl Options {
    /// The options of `table`, none yet.
    pub fn new(table: impl Into<String>) -> Self {
        Self { owner: format!("table `{}`", table.into()), ..Self::default() }
    }

    /// The options of the function `function`, none yet.
    pub fn of_function(function: &str) -> Self {
        Self { owner: format!("function `{function}`"), ..Self::default() }
    }

    /// Whose options they are, for errors.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Sets an option; a later value of the same name wins (settings override the script).
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>, location: Option<Location>) {
        self.values.insert(name.into(), (value.into(), location));
    }

    /// The options that are not yet taken, by name.
    pub fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, (value, _))| (name.as_str(), value.as_str()))
    }

    /// Whether an option is set and not yet taken.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The location of a taken option in the script.
    pub fn location(&self, name: &str) -> Option<Location> {
        self.taken.get(name).copied().flatten()
    }

    pub fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.insert(name);
        let (value, location) = self.values.remove(name)?;
        self.taken.insert(name, location);
        Some(value)
    }

    /// Takes every option whose name begins with `prefix`; gives what follows it, and the values.
    pub fn take_prefixed(&mut self, prefix: &'static str) -> Vec<(String, String)> {
        self.known.insert(prefix);
        let names: Vec<String> = self.values.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        let take = |name: String| {
            let (value, _) = self.values.remove(&name)?;
            Some((name[prefix.len()..].to_owned(), value))
        };
        names.into_iter().filter_map(take).collect()
    }

    /// Takes an option that must be there.
    pub fn require(&mut self, name: &'static str) -> Result<String> {
        self.take(name).ok_or_else(|| {
            Error::invalid(format!("{}: option `{name}` is missing", self.owner))
                .hint(format!("add `{name} = '…'` to WITH"))
        })
    }

    /// Takes an option of any type that parses; `what` says what is expected, for the error.
    pub fn parse<T: FromStr>(&mut self, name: &'static str, what: &str) -> Result<Option<T>> {
        let Some(text) = self.take(name) else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|_| self.bad_value(name, &text, what))
    }

    /// Takes `true` or `false`.
    pub fn parse_bool(&mut self, name: &'static str) -> Result<Option<bool>> {
        self.parse(name, "`true` or `false`")
    }

    /// Takes a duration such as `10s`, `5 minutes` or `1h 30m`.
    pub fn parse_duration(&mut self, name: &'static str) -> Result<Option<Duration>> {
        let Some(text) = self.take(name) else { return Ok(None) };
        humantime::parse_duration(text.trim())
            .map(Some)
            .map_err(|_| self.bad_value(name, &text, "a duration such as '10 seconds' or '5m'"))
    }

    /// Takes a size such as `64MiB`, `900 KB` or `1048576`; in bytes.
    pub fn parse_bytes(&mut self, name: &'static str) -> Result<Option<u64>> {
        let Some(text) = self.take(name) else { return Ok(None) };
        parse_bytes(&text).map(Some).ok_or_else(|| self.bad_value(name, &text, "a size such as '64MiB'"))
    }

    /// Takes one of a closed set of words.
    pub fn parse_choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let found = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text.trim()));
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("'{word}'")).collect();
        found.map(|(_, value)| Some(*value)).ok_or_else(|| self.bad_value(name, &text, &words.join(", ")))
    }

    /// The error for a value that is not what it should be.
    pub fn bad_value(&self, name: &'static str, value: &str, expected: &str) -> Error {
        let location = self.location(name);
        Error::invalid(format!("{}: option `{name}` cannot be `{value}`", self.owner))
            .hint(format!("expected {expected}"))
            .at(location)
    }

    /// Ends consumption: anything left over is an error that lists the valid names.
    pub fn finish(self) -> Result<()> {
        let Some((name, (_, location))) = self.values.into_iter().next() else { return Ok(()) };
        let shown = |name: &&str| if name.ends_with('.') { format!("`{name}…`") } else { format!("`{name}`") };
        let known: Vec<String> = self.known.iter().map(shown).collect();
        Err(Error::invalid(format!("{}: unknown option `{name}`", self.owner))
            .hint(format!("valid here are {}", known.join(", ")))
            .at(location))
    }
}

/// Parses `64MiB`, `64 MB`, `64k` or plain bytes.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let cases =
            [("1", Some(1)), ("64MiB", Some(64 << 20)), ("900 KB", Some(900_000)), ("x", None), ("1 parsec", None)];
        for (text, expected) in cases {
            assert_eq!(parse_bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_left_over_is_an_error_that_lists_valid_names() {
        let mut options = Options::new("flows");
        options.set("path", "a.csv", None);
        options.set("fromat", "csv", Some(Location { line: 3, column: 5 }));
        assert_eq!(options.take("path").as_deref(), Some("a.csv"));
        assert_eq!(options.take("format"), None);
        let error = options.finish().expect_err("left over").to_string();
        assert_eq!(error, "line 3, column 5: table `flows`: unknown option `fromat`; valid here are `format`, `path`");
    }
}
