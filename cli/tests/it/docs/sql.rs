//! SQL on a page: `davy validate` accepts every block.
//!
//! A block is a script of its own. An HTML comment before it says otherwise: `<!-- continues -->` puts the blocks before it in front of it;
//! `<!-- not validated: reason -->` leaves it out.

use std::io::Write;
use std::process::{Command, Stdio};

use super::page::{Block, Page};
use crate::repository::root;

/// Complaints about the blocks of `page`, with the page's own line numbers.
pub(super) fn invalid(page: &Page) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut script = String::new();
    for block in page.blocks("sql") {
        match block.comment.as_deref() {
            None => script = at_its_line(String::new(), &block),
            Some("continues") => script = at_its_line(script, &block),
            Some(comment) if comment.strip_prefix("not validated:").is_some_and(|reason| !reason.trim().is_empty()) => {
                continue;
            }
            Some(comment) => {
                let location = format!("{}:{}", page.path, block.line);
                complaints.push(format!(
                    "{location}: `{comment}` says nothing of SQL; write `continues` or `not validated: reason`"
                ));
                continue;
            }
        }
        complaints.extend(validate(&page.path, &script));
    }
    complaints
}

/// Appends `block` so that its lines keep the numbers that they have on the page.
fn at_its_line(mut script: String, block: &Block) -> String {
    let n_lines = script.lines().count();
    script.push_str(&"\n".repeat(block.line - 1 - n_lines));
    script.push_str(&block.code);
    script
}

/// What `davy validate` says against `script`, as a complaint about `path`.
pub(super) fn validate(path: &str, script: &str) -> Option<String> {
    // The shell's own settings have no say; the variables are those that examples name.
    let mut davy = Command::new(env!("CARGO_BIN_EXE_davy"))
        .args(["validate", "-"])
        .current_dir(root())
        .env_remove("DAVY_CONFIG")
        .env("DAVY_KAFKA", "localhost:9092")
        .env("KAFKA_PASSWORD", "secret")
        .env("DAVY_ANONYMIZE_KEY", crate::run::ANONYMIZE_KEY)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    davy.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("davy reads its script");
    let output = davy.wait_with_output().expect("the binary ends");
    if output.status.success() {
        return None;
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().trim_start_matches("error: ").to_owned();
    let located = said.strip_prefix("-:").map_or_else(|| format!(" {said}"), str::to_owned);
    Some(format!("{path}:{located}"))
}

#[test]
fn a_block_that_is_not_valid_is_shown_with_the_line_on_its_page() {
    const TABLE: &str = "CREATE TABLE t WITH (connector = 'impulse', message_count = '1');";
    let page = format!(
        "# A\n```sql\n{TABLE}\nSELECT counter FROM t;\n```\n<!-- continues -->\n```sql\nSELECT nothing FROM t;\n```\n\
         ```sql\nSELECT 1 FROM t;\n```\n<!-- not validated: made up -->\n```sql\n…\n```\n<!-- later -->\n```sql\nSELECT 1\n```\n"
    );
    let complaints = invalid(&Page::new("docs/a.md", &page));
    let begins = ["docs/a.md:8:8: ", "docs/a.md:11:15: ", "docs/a.md:19: `later` says nothing of SQL"];
    assert_eq!(complaints.len(), begins.len(), "{complaints:#?}");
    for (complaint, begin) in complaints.iter().zip(begins) {
        assert!(complaint.starts_with(begin), "{complaint}");
    }
}
