//! What an import has to say, in the order of the file: each line says where, about which rule, and what.

use std::collections::BTreeSet;

/// A line of the report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    line: usize,
    level: Level,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Note,
    Warning,
    Refused,
}

/// Notes, warnings and refusals; each is said once.
#[derive(Debug, Default)]
pub(super) struct Report {
    entries: BTreeSet<Entry>,
}

impl Report {
    /// What was decided, and changes nothing.
    pub(super) fn note(&mut self, line: usize, text: impl Into<String>) {
        self.add(line, Level::Note, text.into());
    }

    /// What makes a rule other than it is in Falco.
    pub(super) fn warn(&mut self, line: usize, text: impl Into<String>) {
        self.add(line, Level::Warning, text.into());
    }

    /// Why a rule is left out.
    pub(super) fn refuse(&mut self, line: usize, text: impl Into<String>) {
        self.add(line, Level::Refused, text.into());
    }

    fn add(&mut self, line: usize, level: Level, text: String) {
        self.entries.insert(Entry { line, level, text });
    }

    /// Lines such as `rules.yaml:12: warning: …`.
    pub(super) fn lines(&self, file: &str) -> Vec<String> {
        let line = |Entry { line, level, text }: &Entry| {
            let level = match level {
                Level::Note => "note",
                Level::Warning => "warning",
                Level::Refused => "error",
            };
            format!("{file}:{line}: {level}: {text}")
        };
        self.entries.iter().map(line).collect()
    }
}
