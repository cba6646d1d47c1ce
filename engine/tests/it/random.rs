//! Random streams, crashes and owners: whatever the cut and whatever dies, the rows are those of the batch oracle.
//!
//! Every case follows from one seed: script, rows, their order in the splits, polls, commits, crashes. A failing test prints
//! its seed, the rows that still fail after shrinking, and the line that replays exactly that case. `CASES=1000` runs more seeds.

pub mod agree;
mod canary;
mod crash;
mod cut;
mod fencing;
mod held;
mod model;
pub mod rig;
pub mod schedule;
pub mod scripts;
mod source;
pub mod stream;

use stream::Input;

/// SplitMix64: small, seedable, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// In `[0, end)`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// In `[from, to]`.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        from + (self.next() % (to - from + 1) as u64) as i64
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

pub fn number_from_environment(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "tests have no command line of their own")]
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Whether only the case of `SEED` is run.
pub fn is_one_seed() -> bool {
    number_from_environment("SEED").is_some()
}

/// Says how to replay, also when a check panics.
struct Replay<'a> {
    test: &'a str,
    seed: u64,
}

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "the test harness shows it with the panic")]
            {
                eprintln!("replay: SEED={} cargo test -p davy-engine --test it {}", self.seed, self.test);
            }
        }
    }
}

/// Runs `check` for seeds `0..n_cases` (`CASES` says otherwise), or only for `SEED`.
pub fn for_seeds(test: &str, n_cases: u64, check: impl Fn(u64) -> Result<(), String>) {
    let seeds = match number_from_environment("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number_from_environment("CASES").unwrap_or(n_cases),
    };
    for seed in seeds {
        let _replay = Replay { test, seed };
        if let Err(problem) = check(seed) {
            panic!("{problem}");
        }
    }
}

/// Checks an input; when that fails, drops rows for as long as it still does, and says which are left.
pub fn check_shrunk(input: Input, check: impl Fn(&Input) -> Result<(), String>) -> Result<(), String> {
    let Err(mut problem) = check(&input) else { return Ok(()) };
    let mut input = input;
    let mut at = input.len();
    while 0 < at {
        at -= 1;
        let smaller = input.without(at);
        if let Err(still) = check(&smaller) {
            (input, problem) = (smaller, still);
        }
    }
    Err(format!("{problem}\ninput, shrunk:\n{input}"))
}

/// The same of a list of anything.
pub fn check_shrunk_list<T: Clone + std::fmt::Debug>(
    list: Vec<T>,
    check: impl Fn(&[T]) -> Result<(), String>,
) -> Result<(), String> {
    let Err(mut problem) = check(&list) else { return Ok(()) };
    let mut list = list;
    for at in (0..list.len()).rev() {
        let mut smaller = list.clone();
        smaller.remove(at);
        if let Err(still) = check(&smaller) {
            (list, problem) = (smaller, still);
        }
    }
    Err(format!("{problem}\nshrunk: {list:#?}"))
}
