//! Names on a page: targets of make, paths of the repository, and functions of its source.

use std::collections::BTreeSet;

use super::commands::{calls, shell};
use super::page::Page;
use crate::repository::File;

/// What can be named.
pub(super) struct Sources {
    targets: BTreeSet<String>,
    paths: BTreeSet<String>,
    /// Files of Rust with their text, to find functions in.
    code: Vec<(String, String)>,
}

/// Commands on pages write these, so they need not exist.
const MADE_BY_EXAMPLES: [&str; 1] = ["models/mine"];

impl Sources {
    pub(super) fn of(files: &[File]) -> Self {
        let makefile = files.iter().find(|file| file.path == "Makefile").map(File::text).unwrap_or_default();
        let rust = files.iter().filter(|file| file.path.ends_with(".rs"));
        let code = rust.map(|file| (file.path.clone(), file.text())).collect();
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

    /// Whether a function of this name is in a file of the module, or in one with an `impl` of the type; `owner` is either.
    fn has_function(&self, owner: Option<&str>, name: &str) -> bool {
        let is_owned = |path: &str, text: &str| match owner {
            None => true,
            Some(owner) if owner.starts_with(char::is_uppercase) => {
                let begins = |line: &str| line.starts_with("impl") || line.contains("trait ");
                text.lines().any(|line| begins(line) && line.contains(owner))
            }
            Some(owner) => {
                ["/{}.rs", "/{}/mod.rs", "{}/src/lib.rs"].iter().any(|end| path.ends_with(&end.replace("{}", owner)))
            }
        };
        let declares = |text: &str| ["(", "<"].iter().any(|after| text.contains(&format!("fn {name}{after}")));
        self.code.iter().any(|(path, text)| is_owned(path, text) && declares(text))
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
        if let Some((owner, name)) = function(&text).filter(|(owner, name)| !sources.has_function(*owner, name)) {
            complain(owner.map_or_else(
                || format!("no source has a function `{name}`"),
                |owner| format!("`{owner}` has no function `{name}`"),
            ));
        }
    }
    complaints
}

/// `a/{b,c}` names two paths. Commas part them already, so only braces around one name are left.
fn spelled_out(word: &str) -> Vec<String> {
    let word = word.trim_end_matches(['.', ';', ')', ':']);
    if word.contains(['{', '}']) { Vec::new() } else { vec![word.to_owned()] }
}

/// Of a span `name()`, `module::name()` or `Type::name()`: what has the function, and its name. Functions of SQL are written with their
/// arguments, and are not meant.
fn function(span: &str) -> Option<(Option<&str>, &str)> {
    let path = span.strip_suffix("()")?;
    let is_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    if path.is_empty() || !path.chars().all(is_path) {
        return None;
    }
    let (owner, name) = path.rsplit_once("::").map_or((None, path), |(owner, name)| (Some(owner), name));
    Some((owner.and_then(|owner| owner.rsplit("::").next()), name))
}

#[test]
fn a_target_a_path_and_a_function_that_do_not_exist_are_shown() {
    let files = [
        File::new("Makefile", "demo: setup ## x\n\tcargo y:\nX ?= 1\nkafka-up-3:\n"),
        File::new("engine/src/plan.rs", "pub fn of_plan<T>(x: T) {}\nimpl Plan {\nfn spread(&self) {} }"),
    ];
    let page = Page::new(
        "docs/a.md",
        "`make demo INPUT=x` `make test` `engine/src/plan.rs` `engine/src/gone.rs` `engine/src/` `other/x` `engine/*.rs`\n\
         `of_plan()` `plan::of_plan()` `Plan::spread()` `Plan::gone()` `Other::spread()` `gone_too()` `median(x)`\n\n```sh\nmake kafka-up-3   # make it\nmake now\n```\n",
    );
    assert_eq!(
        unknown(&page, &Sources::of(&files)),
        [
            "docs/a.md:1: the Makefile has no target `test`",
            "docs/a.md:1: there is no `engine/src/gone.rs`",
            "docs/a.md:2: `Plan` has no function `gone`",
            "docs/a.md:2: `Other` has no function `spread`",
            "docs/a.md:2: no source has a function `gone_too`",
            "docs/a.md:6: the Makefile has no target `now`",
        ]
    );
}
