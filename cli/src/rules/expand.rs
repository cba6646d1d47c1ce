//! A rule's condition without macros, without `not` above anything but a comparison, and without what a flow cannot know.

use super::condition::{Comparison, Condition, parse};
use super::definitions::{Definitions, Text};
use super::field::{Known, known};

/// A condition in which only comparisons are negated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    And(Vec<Test>),
    Or(Vec<Test>),
    /// Whatever the flow.
    Always(bool),
    /// A comparison with a field that a flow has.
    Compare {
        comparison: Comparison,
        is_negated: bool,
    },
    /// A comparison with a field that a flow does not have.
    Unknown {
        comparison: Comparison,
        is_negated: bool,
    },
}

/// What was found about a condition on the way.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Comparisons that hold for every flow, or for none.
    pub(super) constant: Vec<(Comparison, bool)>,
    /// Comparisons that were left out.
    pub(super) dropped: Vec<Comparison>,
}

/// The test of a rule; an error says why the rule cannot be translated.
pub(super) fn expand(condition: &Text, definitions: &Definitions, findings: &mut Findings) -> Result<Test, String> {
    let mut expansion = Expansion { definitions, findings, open: Vec::new() };
    let parsed = parse_text(condition, "the condition")?;
    let test = expansion.test(&parsed, false)?;
    let test = simplify(test);
    let known = without_unknown(test, findings)?;
    match known {
        Some(Test::Always(false)) => Err("the condition is true of no flow".to_owned()),
        Some(Test::Always(true)) | None => {
            Err("nothing of the condition is left that a flow could be compared with".to_owned())
        }
        Some(test) => Ok(test),
    }
}

fn parse_text(text: &Text, what: &str) -> Result<Condition, String> {
    parse(&text.text).map_err(|error| {
        let near: String = text.text.chars().skip(error.at).take(30).collect();
        let near = near.split_whitespace().collect::<Vec<_>>().join(" ");
        let near = if near.is_empty() { String::new() } else { format!(", before `{near}`") };
        format!("{what} (line {}) at character {}{near}: {}", text.line, error.at + 1, error.message)
    })
}

struct Expansion<'a> {
    definitions: &'a Definitions,
    findings: &'a mut Findings,
    /// The macros around what is expanded.
    open: Vec<String>,
}

impl Expansion<'_> {
    fn test(&mut self, condition: &Condition, is_negated: bool) -> Result<Test, String> {
        let all = |expansion: &mut Self, parts: &[Condition]| -> Result<Vec<Test>, String> {
            parts.iter().map(|part| expansion.test(part, is_negated)).collect()
        };
        match (condition, is_negated) {
            (Condition::And(parts), false) | (Condition::Or(parts), true) => Ok(Test::And(all(self, parts)?)),
            (Condition::Or(parts), false) | (Condition::And(parts), true) => Ok(Test::Or(all(self, parts)?)),
            (Condition::Not(inner), _) => self.test(inner, !is_negated),
            (Condition::Macro(name), _) => self.expand_macro(name, is_negated),
            (Condition::Compare(comparison), _) => {
                let comparison = comparison.clone();
                match known(&comparison) {
                    Known::Constant(holds) => {
                        self.findings.constant.push((comparison, holds));
                        Ok(Test::Always(holds != is_negated))
                    }
                    Known::OfFlow(_) => Ok(Test::Compare { comparison, is_negated }),
                    Known::No => Ok(Test::Unknown { comparison, is_negated }),
                }
            }
        }
    }

    fn expand_macro(&mut self, name: &str, is_negated: bool) -> Result<Test, String> {
        const DEPTH_MAX: usize = 50;
        let Some(text) = self.definitions.macros.get(name) else {
            return Err(format!("the macro `{name}` is not in the file; add its definition from Falco's own rules"));
        };
        if self.open.iter().any(|open| open == name) || self.open.len() == DEPTH_MAX {
            return Err(format!("the macro `{name}` contains itself"));
        }
        let parsed = parse_text(text, &format!("the macro `{name}`"))?;
        self.open.push(name.to_owned());
        let test = self.test(&parsed, is_negated);
        self.open.pop();
        test
    }
}

/// Without constants and nesting of one kind.
fn simplify(test: Test) -> Test {
    let (parts, is_and) = match test {
        Test::And(parts) => (parts, true),
        Test::Or(parts) => (parts, false),
        other => return other,
    };
    let mut kept = Vec::new();
    for part in parts.into_iter().map(simplify) {
        match part {
            Test::Always(holds) if holds == is_and => {}
            Test::Always(holds) => return Test::Always(holds),
            Test::And(inner) if is_and => kept.extend(inner),
            Test::Or(inner) if !is_and => kept.extend(inner),
            other => kept.push(other),
        }
    }
    match (kept.len(), is_and) {
        (0, _) => Test::Always(is_and),
        (1, _) => kept.remove(0),
        (_, true) => Test::And(kept),
        (_, false) => Test::Or(kept),
    }
}

/// What is left of a test without comparisons that a flow cannot answer; `None` where nothing is.
///
/// A part of a conjunction that consists of such comparisons alone can be left out: the rule is true of more flows then, never of fewer.
/// Beside something else under `or` it cannot: with it the rule would be true of nearly everything, without it of too little.
fn without_unknown(test: Test, findings: &mut Findings) -> Result<Option<Test>, String> {
    if is_all_unknown(&test) {
        note_unknown(&test, &mut findings.dropped);
        return Ok(None);
    }
    match test {
        Test::And(parts) => {
            let mut kept = Vec::new();
            for part in parts {
                kept.extend(without_unknown(part, findings)?);
            }
            Ok(Some(simplify(Test::And(kept))))
        }
        Test::Or(parts) => {
            let mut unknown = Vec::new();
            parts.iter().for_each(|part| note_unknown(part, &mut unknown));
            match unknown.first() {
                Some(comparison) => Err(format!(
                    "`{comparison}` is not known of a flow, and stands under `or` or `not` beside what is known, so it cannot be left out"
                )),
                None => Ok(Some(Test::Or(parts))),
            }
        }
        other => Ok(Some(other)),
    }
}

fn is_all_unknown(test: &Test) -> bool {
    match test {
        Test::And(parts) | Test::Or(parts) => parts.iter().all(is_all_unknown),
        Test::Unknown { .. } => true,
        Test::Always(_) | Test::Compare { .. } => false,
    }
}

fn note_unknown(test: &Test, found: &mut Vec<Comparison>) {
    match test {
        Test::And(parts) | Test::Or(parts) => parts.iter().for_each(|part| note_unknown(part, found)),
        Test::Unknown { comparison, .. } => found.push(comparison.clone()),
        Test::Always(_) | Test::Compare { .. } => {}
    }
}
