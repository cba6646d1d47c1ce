//! Golden scripts with tokens dropped, doubled, swapped and thrown in are planned or refused, never
//! an internal error, never a panic. `MUTATION_SECONDS=600` sets how long; `SEED=…` replays one case.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use davy_engine::Error;

use crate::random::number_from_environment;
use crate::support::World;

/// Words of the dialect.
const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "HAVING",
    "ORDER",
    "LIMIT",
    "UNION",
    "ALL",
    "JOIN",
    "ON",
    "WITH",
    "AS",
    "OVER",
    "PARTITION",
    "tumble(INTERVAL '1 minute')",
    "hop(INTERVAL '1 second', INTERVAL '1 minute')",
    "session(INTERVAL '9 s')",
    "window",
    "window.start",
    "count(*)",
    "sum(v)",
    "unnest(",
    "CASE",
    "END",
    "CAST(",
    "INTERVAL",
    "'1 month'",
    "NULL",
    "*",
    "(",
    ")",
    ",",
    ";",
    "''",
    "\"",
    "1e999",
    "-9223372036854775808",
    "flows",
    "ts",
    "k",
    "v",
    "CREATE",
    "TABLE",
    "VIEW",
    "INSERT",
    "INTO",
    "WATERMARK FOR",
    "METADATA FROM",
    "GENERATED ALWAYS AS",
    "DISTINCT",
    "ROLLUP",
    "LATERAL",
    "EXISTS",
    "IN",
    "NOT",
    "->",
    "->>",
    "[",
    "]",
    "{",
    "}",
    "\u{1F525}",
    "\0",
];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }
}

fn scripts() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.metadata().is_ok_and(|about| about.len() < 5_000));
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

fn mutate(script: &str, random: &mut Random) -> String {
    let mut tokens: Vec<String> =
        script.split_inclusive([' ', '\n', '(', ')', ',', ';', '\'']).map(str::to_owned).collect();
    for _ in 0..=random.below(4) {
        let at = random.below(tokens.len());
        match random.below(5) {
            0 => drop(tokens.remove(at)),
            1 => tokens.insert(at, tokens[at].clone()),
            2 => {
                let other = random.below(tokens.len());
                tokens.swap(at, other);
            }
            3 => tokens[at] = format!(" {} ", WORDS[random.below(WORDS.len())]),
            _ => tokens.insert(at, format!(" {} ", WORDS[random.below(WORDS.len())])),
        }
        if tokens.is_empty() {
            break;
        }
    }
    tokens.concat()
}

fn now() -> Instant {
    Instant::now()
}

#[test]
fn mutated_scripts_are_planned_or_refused() {
    let scripts = scripts();
    let world = World::new(BTreeMap::new());
    let begun = now();
    let length = number_from_environment("MUTATION_SECONDS").map(Duration::from_secs);
    let seeds = number_from_environment("SEED").map_or(0..u64::MAX, |seed| seed..seed.saturating_add(1));
    let mut n_planned = 0;
    let mut n_cases = 0_u64;
    for seed in seeds {
        let is_over = length.map_or(400 <= n_cases, |length| length <= begun.elapsed());
        if is_over {
            break;
        }
        n_cases += 1;
        let mut random = Random(seed);
        let script = mutate(&scripts[random.below(scripts.len())], &mut random);
        match world.plan(&script) {
            Ok(_) => n_planned += 1,
            Err(Error::Internal(message)) => panic!("SEED={seed}: {message}\n{script}"),
            Err(_) => {}
        }
    }
    println!("{n_cases} scripts, {n_planned} of them planned");
}
