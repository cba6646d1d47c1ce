//! Names on a page: targets of make, paths of the repository, and functions of its source.

use std::collections::BTreeSet;

use super::commands::{calls, shell};
use super::page::Page;
use crate::repository::File;

/// What can be named.
pub(super) struct Sources {
    targets: BTreeSet<String>,
    paths: BTreeSet<String>,
    /// All Rust source, to find a function in.
    code: String,
}

/// Commands on pages write these, so they need not exist.
const MADE_BY_EXAMPLES: [&str; 1] = ["models/mine"];

impl Sources {
    pub(super) fn of(files: &[File]) -> Self {
        let makefile = files.iter().find(|file| file.path == "Makefile").map(File::text).unwrap_or_default();
        let code = files.iter().filter(|file| file.path.ends_with(".rs")).map(File::text).collect();
        Self { targets: targets(&makefile), paths: files.iter().map(|file| file.path.clone()).collect(), code }
    }

    fn has_path(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        self.paths.contains(path) || self.paths.iter().any(|known| known.starts_with(&folder))
    }

    /// Whether `path` begins with a folder of the root.
    fn is_inside(&self, path: &str) -> bool {
        path.split_once('/').is_some_and(|(folder, _)| self.has_path(folder) && !folder.is_empty())
    }

    fn has_function(&self, name: &str) -> bool {
        ["(", "<"].iter().any(|after| self.code.contains(&format!("fn {name}{after}")))
    }
}

fn targets(makefile: &str) -> BTreeSet<String> {
    let is_name = |name: &&str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    makefile.lines().filter_map(|line| Some(line.split_once(':')?.0)).filter(is_name).map(str::to_owned).collect()
}

pub(super) fn unknown(page: &Page, sources: &Sources) -> Vec<String> {
    let mut complaints = Vec::new();
    for (line, text) in shell(page) {
        let mut complain = |why: String| complaints.push(format!("{}:{line}: {why}", page.path));
        for words in calls(&text, "make") {
            let named = words.iter().take_while(|word| !word.starts_with('#')).filter(|word| !word.contains('='));
            let unknown = named.filter(|word| !sources.targets.contains(**word));
            unknown.for_each(|word| complain(format!("the Makefile has no target `{word}`")));
        }
        for path in text.split([' ', '\'', '"', '=', ',', '(']).flat_map(spelled_out) {
            let is_open = path.contains(['*', '$', '<', '…', '?', ':', '|']) || MADE_BY_EXAMPLES.contains(&&*path);
            if !is_open && sources.is_inside(&path) && !sources.has_path(&path) {
                complain(format!("there is no `{path}`"));
            }
        }
        if let Some(name) = function(&text).filter(|name| !sources.has_function(name)) {
            complain(format!("no source has a function `{name}`"));
        }
    }
    complaints
}

/// `a/{b,c}` names two paths. Commas part them already, so only braces around one name are left.
fn spelled_out(word: &str) -> Vec<String> {
    let word = word.trim_end_matches(['.', ';', ')', ':']);
    if word.contains(['{', '}']) { Vec::new() } else { vec![word.to_owned()] }
}

/// `name` of a span `name()` or `path::name()`; functions of SQL have no `_` and no path, and are not meant.
fn function(span: &str) -> Option<&str> {
    let path = span.strip_suffix("()")?;
    let is_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    (path.chars().all(is_path) && path.contains(['_', ':'])).then(|| path.rsplit(':').next().unwrap_or(path))
}

#[test]
fn a_target_a_path_and_a_function_that_do_not_exist_are_shown() {
    let files = [
        File::new("Makefile", "demo: setup ## x\n\tcargo y:\nX ?= 1\nkafka-up-3:\n"),
        File::new("engine/src/plan.rs", "pub fn of_plan<T>(x: T) {}\nfn spread(&self) {}"),
    ];
    let page = Page::new(
        "docs/a.md",
        "`make demo INPUT=x` `make test` `engine/src/plan.rs` `engine/src/gone.rs` `engine/src/` `other/x` `engine/*.rs`\n\
         `of_plan()` `Plan::spread()` `Plan::gone()` `gone_too()` `median()`\n\n```sh\nmake kafka-up-3   # make it\nmake now\n```\n",
    );
    assert_eq!(
        unknown(&page, &Sources::of(&files)),
        [
            "docs/a.md:1: the Makefile has no target `test`",
            "docs/a.md:1: there is no `engine/src/gone.rs`",
            "docs/a.md:2: no source has a function `gone`",
            "docs/a.md:2: no source has a function `gone_too`",
            "docs/a.md:6: the Makefile has no target `now`",
        ]
    );
}
