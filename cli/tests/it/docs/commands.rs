//! Commands on a page: every `davy <command> --flag` is in the binary's `--help`, and so is every flag and variable on its own.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::page::Page;

/// The commands that `davy` has, by their words (`""`, `run`, `model verify`), and the text of their `--help`.
pub(super) struct Help(BTreeMap<String, String>);

impl Help {
    /// Runs `--help` of every command and subcommand.
    pub(super) fn of_davy() -> Self {
        let mut known = BTreeMap::new();
        let mut open = vec![String::new()];
        while let Some(command) = open.pop() {
            let output = Command::new(env!("CARGO_BIN_EXE_davy"))
                .args(command.split_whitespace())
                .arg("--help")
                .output()
                .expect("the binary starts");
            let text = String::from_utf8(output.stdout).expect("help is UTF-8");
            open.extend(subcommands(&text).into_iter().map(|name| format!("{command} {name}").trim().to_owned()));
            known.insert(command, text);
        }
        Self(known)
    }

    fn has_flag(&self, command: &str, flag: &str) -> bool {
        flag == "--version" || self.0.get(command).is_some_and(|text| flags(text).contains(flag))
    }
}

/// The names below `Commands:`, without `help`, which has no help.
fn subcommands(help: &str) -> Vec<String> {
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = below.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

/// `-o` and `--output` of a line `  -o, --output <OUTPUT>  …`.
fn flags(help: &str) -> BTreeSet<&str> {
    let options = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    options.flat_map(|line| line.split([' ', ',']).take(3)).filter(|word| word.starts_with('-')).collect()
}

/// A word without what it is set to, and without brackets that say that it may be left out.
fn flag_of(word: &str) -> &str {
    word.trim_matches(['[', ']']).split('=').next().unwrap_or_default()
}

/// The calls of `program` in a line of shell: the words after it, up to a comment, a pipe or a redirection.
pub(super) fn calls<'a>(line: &'a str, program: &str) -> Vec<Vec<&'a str>> {
    let code = line.split(" #").next().unwrap_or_default();
    let parts = code.split(['|', ';', '>', '&', '(', ')']);
    let words =
        parts.map(|part| part.split_whitespace().skip_while(|word| is_before_program(word)).collect::<Vec<_>>());
    words.filter(|words| words.first() == Some(&program)).map(|words| words[1..].to_vec()).collect()
}

/// `$` at the begin of a line, and variables for one call.
fn is_before_program(word: &str) -> bool {
    word == "$" || word == "exec" || (word.contains('=') && !word.starts_with('-'))
}

/// Lines of shell on a page, with continued lines joined, and spans of code.
pub(super) fn shell(page: &Page) -> Vec<(usize, String)> {
    let mut lines = page.spans();
    for block in ["sh", "console", ""].into_iter().flat_map(|language| page.blocks(language)) {
        let mut joined = String::new();
        for (index, line) in block.code.lines().enumerate() {
            joined.push_str(line.trim_end_matches('\\'));
            if !line.ends_with('\\') {
                lines.push((block.line + index, std::mem::take(&mut joined)));
            }
        }
    }
    lines
}

/// Complaints about calls of `davy`.
pub(super) fn unknown(page: &Page, help: &Help) -> Vec<String> {
    let lines = shell(page);
    let calls = lines.iter().flat_map(|(line, text)| calls(text, "davy").into_iter().map(move |words| (*line, words)));
    calls
        .flat_map(|(line, words)| check(&words, help).into_iter().map(move |why| (line, why)))
        .map(|(line, why)| format!("{}:{line}: {why}", page.path))
        .collect()
}

fn check(words: &[&str], help: &Help) -> Vec<String> {
    let mut command = String::new();
    for word in words {
        let longer = format!("{command} {word}").trim().to_owned();
        if !help.0.contains_key(&longer) {
            break;
        }
        command = longer;
    }
    let is_name = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
    let has_commands = help.0.get(&command).is_some_and(|text| text.contains("\nCommands:\n"));
    let next = words.get(command.split_whitespace().count());
    if let Some(name) = next.filter(|word| has_commands && is_name(word)) {
        return vec![format!("`{}` has no command `{name}`", format!("davy {command}").trim_end())];
    }
    let flags = words.iter().map(|word| flag_of(word)).filter(|flag| flag.starts_with('-') && 1 < flag.len());
    let unknown = flags.filter(|flag| !help.has_flag(&command, flag));
    unknown.map(|flag| format!("`davy {command}` has no flag `{flag}`; see `davy {command} --help`")).collect()
}

/// Complaints about flags and variables that stand alone in a span, and which no command has.
pub(super) fn unknown_alone(page: &Page, help: &Help) -> Vec<String> {
    let mut complaints = Vec::new();
    for (line, span) in page.spans() {
        let name = flag_of(span.split_whitespace().next().unwrap_or_default());
        let is_known = match () {
            () if name.starts_with("--") => help.0.keys().any(|command| help.has_flag(command, name)),
            () if name.starts_with("DAVY_") => help.0.values().any(|text| text.contains(name)),
            () => true,
        };
        if !is_known {
            complaints.push(format!("{}:{line}: no command of `davy` knows `{name}`", page.path));
        }
    }
    complaints
}

#[cfg(test)]
fn made_up() -> Help {
    let top = "Finds miners\n\nCommands:\n  run    Runs\n           it\n  model  Looks\n  help   Helps\n\nOptions:\n  -h, --help  Print\n";
    let run = "Options:\n  -o, --output <OUTPUT>  How [env: DAVY_OUTPUT=]\n      --tasks <N>  How many\n";
    let model = "Looks\n\nCommands:\n  info  Shows\n\n";
    let all = [("", top), ("run", run), ("model", model), ("model info", "Options:\n  -h, --help  Print\n")];
    Help(all.map(|(command, text)| (command.to_owned(), text.to_owned())).into())
}

#[test]
fn commands_are_read_from_the_help() {
    assert_eq!(subcommands(&made_up().0[""]), ["run", "model"]);
    let real = Help::of_davy();
    assert!(real.0.contains_key("model verify") && real.has_flag("run", "--commit-interval"), "help was not read");
}

#[test]
fn a_command_or_a_flag_that_does_not_exist_is_shown_with_file_and_line() {
    let page = Page::new(
        "docs/a.md",
        "`davy run x.sql -o json` `davy run --lag` `davy walk`\n\n```sh\nA=1 davy run x \\\n  --quick # --slow\n\
         cat x | davy model info x | davy model sing > --no\n```\n`--tasks 3` `--nothing` `DAVY_OUTPUT` `DAVY_X`\n",
    );
    assert_eq!(
        unknown(&page, &made_up()),
        [
            "docs/a.md:1: `davy run` has no flag `--lag`; see `davy run --help`",
            "docs/a.md:1: `davy` has no command `walk`",
            "docs/a.md:5: `davy run` has no flag `--quick`; see `davy run --help`",
            "docs/a.md:6: `davy model` has no command `sing`",
        ]
    );
    assert_eq!(
        unknown_alone(&page, &made_up()),
        ["docs/a.md:8: no command of `davy` knows `--nothing`", "docs/a.md:8: no command of `davy` knows `DAVY_X`",]
    );
}
