//! What the documentation promises: its links lead somewhere, its SQL is valid, and what it names exists.
//!
//! Covers every Markdown page of the repository for links, commands, make targets, paths and functions; README.md and docs/ also for
//! SQL and single flags. Whether a sentence is true, no test can see.

mod commands;
mod links;
mod names;
mod page;
mod sql;

use self::commands::Help;
use self::names::Sources;
use self::page::Page;
use crate::repository::{File, files};

/// A reader should see what Davy is, and where to go on, in a few minutes.
const README_LINES_MAX: usize = 200;

/// All Markdown pages among `files`.
fn pages(files: &[File]) -> Vec<Page> {
    files.iter().filter(|file| file.path.ends_with(".md")).map(|file| Page::new(&file.path, &file.text())).collect()
}

/// The pages that a user reads first: README.md and docs/.
fn is_user_page(page: &Page) -> bool {
    page.path == "README.md" || page.path.starts_with("docs/")
}

fn too_long(page: &Page) -> Vec<String> {
    let n_lines = page.lines().count();
    if n_lines <= README_LINES_MAX {
        return Vec::new();
    }
    vec![format!("{}: has {n_lines} lines, at most {README_LINES_MAX} are allowed; move something to docs/", page.path)]
}

#[test]
fn the_readme_is_short() {
    let pages = pages(&files());
    let readme = pages.iter().find(|page| page.path == "README.md").expect("README.md");
    assert_eq!(too_long(readme), [""; 0]);
}

#[test]
fn a_readme_that_grows_is_named() {
    assert_eq!(too_long(&Page::new("README.md", &"line\n".repeat(200))), [""; 0]);
    assert_eq!(
        too_long(&Page::new("README.md", &"line\n".repeat(201))),
        ["README.md: has 201 lines, at most 200 are allowed; move something to docs/"]
    );
}

#[test]
fn every_link_leads_somewhere() {
    let files = files();
    assert_eq!(links::broken(&pages(&files), &files), [""; 0]);
}

#[test]
fn every_page_of_docs_is_linked_both_ways() {
    assert_eq!(links::lonely(&pages(&files())), [""; 0]);
}

#[test]
fn every_sql_block_is_valid() {
    let pages: Vec<Page> = pages(&files()).into_iter().filter(is_user_page).collect();
    assert!(pages.iter().any(|page| !page.blocks("sql").is_empty()), "no SQL was read");
    assert_eq!(pages.iter().flat_map(sql::invalid).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn every_example_script_is_valid() {
    let is_example = |file: &&File| file.path.starts_with("docs/examples/") && file.path.ends_with(".sql");
    let files = files();
    let invalid = files.iter().filter(is_example).filter_map(|file| sql::validate(&file.path, &file.text()));
    assert_eq!(invalid.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn every_command_and_flag_exists() {
    let help = Help::of_davy();
    let pages = pages(&files());
    let mut unknown: Vec<String> = pages.iter().flat_map(|page| commands::unknown(page, &help)).collect();
    unknown
        .extend(pages.iter().filter(|page| is_user_page(page)).flat_map(|page| commands::unknown_alone(page, &help)));
    assert_eq!(unknown, [""; 0]);
}

#[test]
fn every_make_target_path_and_function_exists() {
    let sources = Sources::of(&files());
    assert_eq!(pages(&files()).iter().flat_map(|page| names::unknown(page, &sources)).collect::<Vec<_>>(), [""; 0]);
}
