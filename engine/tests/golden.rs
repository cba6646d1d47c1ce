//! Golden scripts: one test for each `tests/golden/*.sql`, which holds its input and its expected rows in comment blocks.
//!
//! ```sql
//! /* input flows          records in order of arrival; `a> …` for split a (default `0>`). The oracle does not see `late> …` and
//! 00:01,x,1               `bad> …`. `raw> …`: a record in which `\r` and `\n` are line ends. `@quiet 10s` advances the clock,
//! */                      `@commit` commits
//! CREATE TABLE … ; SELECT … ;
//! /* expected results     rows of a sink, sorted; or: expected error
//! */
//! ```
//! `cargo test --workspace --locked --test golden session` runs the scripts with `session` in their name; `-- --list` lists all.
//! `UPDATE_GOLDEN=1` before the command rewrites the expected blocks.
//!
//! Batch DataFusion also runs every script that succeeds, over the whole input, and must give the same rows. `/* no oracle: reason
//! */` leaves that out. `/* oracle */` holds other SQL for it, where a clause has a meaning per window. `/* oracle input flows`
//! holds plain lines for it, where the records are in a layout that arrow's readers do not know. `/* list miners.csv` holds the list
//! of a lookup table, and `/* next list miners.csv` what replaces it at `@list miners.csv`.
#![allow(unreachable_pub, dead_code, reason = "the modules belong to the other test binary too")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and read their scripts from disk"
)]

#[path = "it/oracle.rs"]
mod oracle;
#[path = "it/support.rs"]
mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use davy_engine::log::SplitId;
use libtest_mimic::{Arguments, Failed};

use crate::support::{Event, World, run};

/// A `/* kind name … */` block.
struct Block {
    head: String,
    body: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("/* ") {
        let Some((block, after)) = after.split_once("*/") else { break };
        let mut lines = block.lines();
        let head = lines.next().unwrap_or_default().trim().to_owned();
        found.push(Block { head, body: lines.map(str::to_owned).collect() });
        rest = after;
    }
    found
}

/// The input of every table.
#[derive(Default)]
struct Inputs {
    events: BTreeMap<String, Vec<Event>>,
    /// Without the records that the oracle must not see.
    for_oracle: BTreeMap<String, Vec<String>>,
}

fn inputs(blocks: &[Block]) -> Inputs {
    let mut inputs = Inputs::default();
    for block in blocks {
        let Some(table) = block.head.strip_prefix("input ") else { continue };
        let events = inputs.events.entry(table.to_owned()).or_default();
        let for_oracle = inputs.for_oracle.entry(table.to_owned()).or_default();
        for line in &block.body {
            if let Some(time) = line.strip_prefix("@quiet ") {
                events.push(Event::Quiet(seconds(time)));
            } else if line == "@commit" {
                events.push(Event::Commit);
            } else if let Some(path) = line.strip_prefix("@list ") {
                let head = format!("next list {path}");
                let next = blocks.iter().find(|block| block.head == head).expect("a block `next list …`");
                events.push(Event::List { path: path.to_owned(), content: next.body.join("\n") });
            } else {
                let record = record(line);
                for_oracle.extend((!record.is_hidden).then(|| record.text.clone()));
                events.push(Event::Record(SplitId::from(record.split), record.text));
            }
        }
    }
    for block in blocks {
        if let Some(table) = block.head.strip_prefix("oracle input ") {
            inputs.for_oracle.insert(table.to_owned(), block.body.clone());
        }
    }
    inputs
}

/// One record of an input block.
struct Record<'a> {
    split: &'a str,
    text: String,
    /// From the oracle.
    is_hidden: bool,
}

fn record(line: &str) -> Record<'_> {
    let mut rest = line;
    let mut record = Record { split: "0", text: String::new(), is_hidden: false };
    let mut is_raw = false;
    while let Some((prefix, after)) = rest.split_once("> ") {
        match prefix {
            "late" | "bad" => record.is_hidden = true,
            "raw" => is_raw = true,
            name if name.len() <= 2 => record.split = name,
            _ => break,
        }
        rest = after;
    }
    record.text = if is_raw { rest.replace("\\r", "\r").replace("\\n", "\n") } else { rest.to_owned() };
    record
}

fn seconds(text: &str) -> std::time::Duration {
    std::time::Duration::from_secs(text.trim().trim_end_matches('s').parse().expect("seconds such as 10s"))
}

fn expected(blocks: &[Block]) -> BTreeMap<String, Vec<String>> {
    blocks
        .iter()
        .filter_map(|block| Some((block.head.strip_prefix("expected ")?.to_owned(), block.body.clone())))
        .collect()
}

/// What the script does, as expected blocks.
fn actual(text: &str, world: &World) -> BTreeMap<String, Vec<String>> {
    let outcome = world.plan(text).and_then(|pipeline| run(world, pipeline));
    match outcome {
        Err(error) => BTreeMap::from([("error".to_owned(), vec![without_numbers(&error.to_string())])]),
        Ok(outcome) => {
            let mut found = outcome.rows;
            let late = outcome.metrics.late_rows.get();
            let mut counts = Vec::new();
            if 0 < late {
                counts.push(format!("late rows: {late}"));
            }
            let dropped = (outcome.metrics.dropped_keys.get(), outcome.metrics.dropped_rows.get());
            if dropped != (0, 0) {
                counts.push(format!("beyond the limit: {} keys, {} rows", dropped.0, dropped.1));
            }
            for (split, n) in outcome.metrics.late_at_merge() {
                counts.push(format!("late at the merge, {split}: {n}"));
            }
            for (reason, n) in outcome.metrics.bad_records() {
                counts.push(format!("bad records, {}: {n}", reason.label()));
            }
            if !counts.is_empty() {
                found.insert("counts".to_owned(), counts);
            }
            found
        }
    }
}

/// DataFusion numbers the holders of memory (`window`#7(can spill…`) through the whole process.
fn without_numbers(message: &str) -> String {
    let mut parts = message.split("`#");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| format!("{text}`#…{}", part.trim_start_matches(|c: char| c.is_ascii_digit())))
}

fn update(path: &Path, text: &str, found: &BTreeMap<String, Vec<String>>) {
    let kept = text.find("/* expected ").map_or(text, |at| &text[..at]);
    let mut out = kept.trim_end().to_owned();
    for (name, lines) in found {
        write!(out, "\n/* expected {name}").unwrap();
        for line in lines {
            write!(out, "\n{line}").unwrap();
        }
        out.push_str("\n*/");
    }
    std::fs::write(path, out + "\n").unwrap();
}

fn check(path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = blocks(&text);
    let Inputs { events, for_oracle } = inputs(&blocks);
    let world = World::new(events);
    for block in &blocks {
        if let Some(path) = block.head.strip_prefix("list ") {
            world.lists.0.lock().unwrap().insert(path.to_owned(), block.body.join("\n"));
        }
    }
    let found = actual(&text, &world);
    let must_fail = path.file_stem().is_some_and(|name| name.to_string_lossy().ends_with("_error"));
    if must_fail != found.contains_key("error") {
        return Err(format!("a script fails exactly if its name ends with _error; found {found:#?}"));
    }
    if !must_fail && !blocks.iter().any(|block| block.head.starts_with("no oracle: ")) {
        let other_sql = blocks.iter().find_map(|block| (block.head == "oracle").then(|| block.body.join("\n")));
        on_a_deep_stack(|| oracle::check(&world, &text, other_sql.as_deref(), &for_oracle, &found))?;
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        update(path, &text, &found);
        return Ok(());
    }
    let expected = expected(&blocks);
    if expected != found {
        return Err(format!("expected {expected:#?}\nfound {found:#?}\n(UPDATE_GOLDEN=1 takes what was found)"));
    }
    Ok(())
}

/// A deep script is planned on a deep stack, here as in the engine.
fn on_a_deep_stack(check: impl FnOnce() -> Result<(), String> + Send) -> Result<(), String> {
    std::thread::scope(|scope| {
        let deep = std::thread::Builder::new().stack_size(512 << 20).spawn_scoped(scope, check).unwrap();
        deep.join().unwrap_or_else(|_| Err("the oracle panicked; see above".to_owned()))
    })
}

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|ending| ending == "sql")).collect();
    paths.sort();
    let tests = paths.into_iter().map(|path| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        libtest_mimic::Trial::test(name, move || check(&path).map_err(Failed::from))
    });
    libtest_mimic::run(&Arguments::from_args(), tests.collect()).exit_code()
}
