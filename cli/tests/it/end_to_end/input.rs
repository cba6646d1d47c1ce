//! The rows of the input: flows in about the order of their time, some of them late, some of them no flows at all.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Partitions of the input.
pub(crate) const N_PARTITIONS: i32 = 4;
/// How wide the windows are.
pub(crate) const WINDOW_MS: i64 = 10_000;
/// How far the watermark stays behind.
pub(crate) const DELAY_MS: i64 = 1_000;
/// Midday of the first of the month that all rows are in.
const BEGIN_MS: i64 = 12 * 3_600_000;
/// Event time from one row to the next.
const STEP_MS: i64 = 10;
const N_KEYS: u32 = 20;
/// What a wrong clock says: every window would close.
const FUTURE: &str = "2999-01-01 00:00:00.000";
/// One row in so many fails in an expression below the windows.
pub(crate) const FAILS: i64 = 997;

/// A made-up row and where it goes.
pub(crate) struct Row {
    pub(crate) partition: i32,
    pub(crate) line: String,
}

/// Makes rows, the same ones for the same seed.
pub(crate) struct Rows {
    random: ChaCha8Rng,
    n: u64,
}

impl Rows {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), n: 0 }
    }

    /// The next row: one in 200 is late, one in 200 cannot be read, and the clock behind one in 400 is wrong.
    pub(crate) fn next(&mut self) -> Row {
        let n = self.n as i64;
        self.n += 1;
        let at = BEGIN_MS + n * STEP_MS - i64::from(self.random.next_u32() % 500);
        let key = self.random.next_u32() % N_KEYS;
        let line = match self.random.next_u32() % 400 {
            0 | 1 => format!("{},k{key},{n}", time(at - 3_600_000)),
            2 => format!("{},k{key}", time(at)),
            3 => format!("yesterday,k{key},{n}"),
            4 => format!("{FUTURE},k{key},{n}"),
            _ => format!("{},k{key},{n}", time(at)),
        };
        Row { partition: (n % i64::from(N_PARTITIONS)) as i32, line }
    }

    /// One row per partition, so late that every window before it closes.
    pub(crate) fn last() -> Vec<Row> {
        let line = format!("{},close,1", time(28 * 86_400_000));
        (0..N_PARTITIONS).map(|partition| Row { partition, line: line.clone() }).collect()
    }
}

/// Milliseconds since the month began, as text.
fn time(ms: i64) -> String {
    let (day, ms) = (ms / 86_400_000, ms % 86_400_000);
    let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
    format!("2024-05-{:02} {hour:02}:{minute:02}:{:02}.{:03}", day + 1, ms / 1_000 % 60, ms % 1_000)
}

/// Text as milliseconds since the month began: `time` backwards, also with a `T` or without a fraction.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let rest = text.strip_prefix("2024-05-")?;
    let (day, clock) = rest.split_once(['T', ' '])?;
    let mut parts = clock.trim_end_matches('Z').split(':');
    let day: i64 = day.parse().ok()?;
    let hour: i64 = parts.next()?.parse().ok()?;
    let minute: i64 = parts.next()?.parse().ok()?;
    let (second, fraction) = parts.next().map(|seconds| seconds.split_once('.').unwrap_or((seconds, "0")))?;
    let fraction: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    Some((day - 1) * 86_400_000 + hour * 3_600_000 + minute * 60_000 + second.parse::<i64>().ok()? * 1_000 + fraction)
}

#[test]
fn times_are_read_as_they_are_written() {
    for ms in [0, 43_200_010, 86_399_999, 27 * 86_400_000 + 1] {
        assert_eq!(parse_time(&time(ms)), Some(ms));
    }
    assert_eq!(parse_time("2024-05-01T12:00:10"), Some(43_210_000));
}
