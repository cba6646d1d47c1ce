//! What goes wrong in a run, as data.

use crate::random::Rng;

/// Which protection is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    Nothing,
    /// The broker accepts requests of older epochs.
    NoFencing,
    /// Positions are committed first, rows in a second transaction.
    OffsetsFirst,
    /// Damaged partials are accepted.
    NoChecksum,
    /// A producer that has seen trouble goes on.
    NeverTrouble,
    /// A producer that has seen trouble is replaced, without a check whether another owner has committed since.
    BlindRefresh,
    /// Records of open windows are not read again.
    NoReplay,
    /// A new owner does not know its splits' watermarks.
    ForgetsWatermarks,
    /// Rows are not measured against the timestamps of their messages: any may be from the future.
    NoTimestamps,
    /// Batches for which the disk has no room are dropped.
    LosesSpilled,
}

/// How often things happen: requests' faults in a thousand, events' by weight.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    pub lose_request: usize,
    pub lose_answer: usize,
    pub delay: usize,
    /// The same, of requests that end a transaction or carry its positions.
    pub delay_last: usize,
    pub crash: usize,
    pub pause: usize,
    /// A record of partials that is read is damaged.
    pub damage: usize,
    pub deliver_late: usize,
    pub kill: usize,
    pub duplicate: usize,
    pub time_jump: usize,
    pub join: usize,
    pub purge: usize,
    /// The disk for spilled state becomes full, or has room again.
    pub disk: usize,
    /// Of a hundred steps, those of any owner, not the newest.
    pub any_owner: usize,
}

impl Faults {
    /// Each kind is left out, rare or frequent: runs differ in what they are rich in.
    pub fn random(rng: &mut Rng) -> Self {
        let mut pick = |rare: usize, frequent: usize| *rng.pick(&[0, rare, frequent]);
        Self {
            lose_request: pick(10, 60),
            lose_answer: pick(10, 60),
            delay: pick(10, 60),
            delay_last: pick(40, 200),
            crash: pick(3, 15),
            pause: pick(3, 15),
            damage: 0,
            deliver_late: pick(4, 20).max(2),
            kill: pick(1, 4),
            duplicate: pick(1, 5),
            time_jump: pick(1, 3),
            join: pick(1, 4),
            purge: pick(2, 10),
            any_owner: pick(20, 50),
            disk: pick(2, 8),
        }
    }
}

/// Everything else that differs between runs.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    pub broken: Broken,
    pub faults: Faults,
    pub n_exchange_partitions: u32,
    pub record_bytes_max: usize,
    /// About how many rows of closed windows a commit has.
    pub rows_per_advance: usize,
    pub messages_per_poll: usize,
    /// Of a hundred turns of an owner, those that end with a commit.
    pub commit_percent: usize,
    pub n_turns: usize,
}

impl Plan {
    pub fn random(seed: u64, broken: Broken) -> Self {
        let mut rng = Rng::new(seed);
        let faults = Faults::random(&mut rng);
        Self {
            seed,
            broken,
            faults,
            n_exchange_partitions: 4 + rng.below(5) as u32,
            record_bytes_max: *rng.pick(&[1 << 20, 1 << 20, 1 << 20, 300, 900]),
            messages_per_poll: *rng.pick(&[1, 3, 10]),
            commit_percent: *rng.pick(&[15, 40, 80]),
            n_turns: 60 + rng.below(80),
            rows_per_advance: *rng.pick(&[1, 3, 1 << 18]),
        }
    }
}
