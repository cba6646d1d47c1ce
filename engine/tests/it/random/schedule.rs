//! What is left to chance in a run, as data.

use super::Rng;
use super::canary::Broken;

#[derive(Clone, Copy, Debug)]
pub enum Commits {
    /// A task commits after every so many of its own steps.
    Every(usize),
    /// After each step, so many times in a hundred.
    Random(usize),
}

#[derive(Clone, Copy, Debug)]
pub enum Crashes {
    Never,
    /// At the point with this number, counted from 0 over the run.
    At(usize),
    /// At each point, so many times in a hundred; at most so often. Some take down all tasks, those that had ended too.
    Random(usize, usize),
}

/// How a run goes.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    pub seed: u64,
    /// A poll gives from one to so many records; when `exact`, just so many where they are there.
    pub records_per_poll: usize,
    pub exact: bool,
    pub commits: Commits,
    pub crashes: Crashes,
    /// About how many rows of closed windows a commit has.
    pub rows_per_advance: usize,
    /// Tasks of each stage that reads a table.
    pub source_tasks: u32,
    /// Whether replaced owners go on.
    pub zombies: bool,
    pub broken: Broken,
}

impl Schedule {
    /// Everything random but faults.
    pub fn random(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let commits = match rng.below(3) {
            0 => Commits::Every(1 + rng.below(8)),
            _ => Commits::Random(*rng.pick(&[5, 30, 70])),
        };
        Self {
            seed,
            records_per_poll: *rng.pick(&[1, 2, 7, 1_000]),
            exact: rng.percent(20),
            commits,
            crashes: Crashes::Never,
            source_tasks: 1 + rng.below(2) as u32,
            rows_per_advance: *rng.pick(&[1, 3, 1 << 18]),
            zombies: false,
            broken: Broken::Nothing,
        }
    }
}
