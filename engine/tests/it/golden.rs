//! Golden scripts: `tests/golden/*.sql` with their input and expected rows in comment blocks.
//!
//! ```sql
//! /* input flows          records in order of arrival; `a> …` for split a (default `0>`), `late> …` and `bad> …` begin what the
//! 00:01,x,1               oracle does not see, `raw> …` a record in which `\r` and `\n` are line ends; `@quiet 10s` lets time
//! */                      pass, `@commit` commits
//! CREATE TABLE … ; SELECT … ;
//! /* expected results     rows of a sink, sorted; or: expected error
//! */
//! ```
//! `UPDATE_GOLDEN=1 cargo test -p davy-engine --test it golden` rewrites the expected blocks. Every script that runs is also run
//! by batch DataFusion over the whole input, which must give the same rows; `/* no oracle: reason */` says why one is not, and
//! `/* oracle SQL */` gives it other SQL to run where a clause means something per window, and `/* oracle input flows` gives it
//! plain lines where the records are in a layout that arrow's readers do not know.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use davy_engine::log::SplitId;

use crate::oracle;
use crate::support::{Event, World, run};

/// A `/* kind name … */` block.
pub struct Block {
    pub head: String,
    pub body: Vec<String>,
}

pub fn blocks(text: &str) -> Vec<Block> {
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

/// The tables' events, and the same without what the oracle must not see.
pub fn inputs(blocks: &[Block]) -> (BTreeMap<String, Vec<Event>>, BTreeMap<String, Vec<String>>) {
    let mut events: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for block in blocks {
        let Some(table) = block.head.strip_prefix("input ") else { continue };
        let events = events.entry(table.to_owned()).or_default();
        let seen = seen.entry(table.to_owned()).or_default();
        for line in &block.body {
            if let Some(time) = line.strip_prefix("@quiet ") {
                events.push(Event::Quiet(humantime(time)));
                continue;
            }
            if line == "@commit" {
                events.push(Event::Commit);
                continue;
            }
            let mut record = line.as_str();
            let mut split = "0";
            let mut is_seen = true;
            let mut is_raw = false;
            while let Some((prefix, rest)) = record.split_once("> ") {
                match prefix {
                    "late" | "bad" => is_seen = false,
                    "raw" => is_raw = true,
                    name if name.len() <= 2 => split = &line[line.find(name).unwrap()..][..name.len()],
                    _ => break,
                }
                record = rest;
            }
            let unescape = |record: &str| record.replace("\\r", "\r").replace("\\n", "\n");
            let record = if is_raw { unescape(record) } else { record.to_owned() };
            events.push(Event::Record(SplitId::from(split), record.clone()));
            if is_seen {
                seen.push(record);
            }
        }
    }
    for block in blocks {
        if let Some(table) = block.head.strip_prefix("oracle input ") {
            seen.insert(table.to_owned(), block.body.clone());
        }
    }
    (events, seen)
}

fn humantime(text: &str) -> std::time::Duration {
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
    let (events, seen) = inputs(&blocks);
    let world = World::new(events);
    let found = actual(&text, &world);
    let name = path.file_stem().unwrap().to_string_lossy();
    if name.ends_with("_error") != found.contains_key("error") {
        return Err(format!("only scripts named *_error fail, and they do: {found:?}"));
    }
    if !name.ends_with("_error") && !blocks.iter().any(|block| block.head.starts_with("no oracle: ")) {
        let other_sql = blocks.iter().find_map(|block| (block.head == "oracle").then(|| block.body.join("\n")));
        // A deep script is planned on a deep stack, here as in the engine.
        std::thread::scope(|scope| {
            let check = || oracle::check(&world, &text, other_sql.as_deref(), &seen, &found);
            let deep = std::thread::Builder::new().stack_size(512 << 20).spawn_scoped(scope, check).unwrap();
            deep.join().unwrap_or_else(|_| Err("the oracle panicked; see above".to_owned()))
        })?;
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

#[test]
fn golden_scripts_give_their_rows_and_the_oracles() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let only = std::env::var("GOLDEN").unwrap_or_default();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| {
        path.extension().is_some_and(|ending| ending == "sql") && path.to_string_lossy().contains(&only)
    });
    paths.sort();
    let mut failed = Vec::new();
    for path in &paths {
        let checked =
            std::panic::catch_unwind(|| check(path)).unwrap_or_else(|_| Err("it panicked; see above".to_owned()));
        if let Err(problem) = checked {
            failed.push(format!("== {}\n{problem}", path.file_name().unwrap().to_string_lossy()));
        }
    }
    assert!(failed.is_empty(), "{} of {} scripts failed\n{}", failed.len(), paths.len(), failed.join("\n"));
}
