//! Sources of generated rows: a position is a row number, splits take turns, and a throttle bounds the rows per second.

use crate::clock;

use std::time::Instant;

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use davy_engine::connector::Share;
use davy_engine::log::{Payload, Polled, Position, Source, SplitId};
use davy_engine::options::Options;
use davy_engine::{Error, Result};

use super::background::POLL_WAIT;
use super::splits::{Piece, shared};

/// 2024-01-01T00:00:00: generated rows are the same on every run by default.
const START_NS_DEFAULT: i64 = 1_704_067_200_000_000_000;

/// Option `start_time`: the event time of the first row, in nanoseconds since the epoch.
pub(crate) fn take_start_time(options: &mut Options) -> Result<i64> {
    let Some(text) = options.take("start_time") else { return Ok(START_NS_DEFAULT) };
    string_to_timestamp_nanos(text.trim())
        .map_err(|_| options.bad_value("start_time", &text, "a time such as '2024-05-01T10:00:00'"))
}

/// Takes a number above zero.
pub(crate) fn take_rate(name: &'static str, options: &mut Options) -> Result<Option<f64>> {
    const WHAT: &str = "a number of rows per second, above 0";
    let Some(rate) = options.parse::<f64>(name, WHAT)? else { return Ok(None) };
    let is_rate = rate.is_finite() && rate > 0.0;
    if is_rate { Ok(Some(rate)) } else { Err(options.bad_value(name, &rate.to_string(), WHAT)) }
}

/// Option `splits`: in how many splits the rows come, from 1.
pub(crate) fn take_n_splits(options: &mut Options) -> Result<u64> {
    const WHAT: &str = "a number from 1 to 4096";
    let n_splits = options.parse("splits", WHAT)?.unwrap_or(1);
    let is_sane = (1..=4096).contains(&n_splits);
    if is_sane { Ok(n_splits) } else { Err(options.bad_value("splits", &n_splits.to_string(), WHAT)) }
}

/// Generates rows: the same rows for the same position, independent of earlier calls.
pub(crate) trait MakeRows: Send {
    /// Up to `n_rows_max` rows of a split, from row `from` on; at least one when `n_rows_max` is.
    fn make(&mut self, split: u64, from: u64, n_rows_max: usize) -> Result<(usize, Payload)>;
}

/// How many rows are generated, and how fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    pub(crate) n_splits: u64,
    /// Over all splits; `None` never ends.
    pub(crate) n_rows: Option<u64>,
    /// Over all splits, by the wall clock; `None` is as fast as possible.
    pub(crate) rows_per_second: Option<f64>,
}

impl Amount {
    /// The rows of one split: they differ by one at most.
    fn n_rows_of(&self, split: u64) -> Option<u64> {
        let n_rows = self.n_rows?;
        Some(n_rows / self.n_splits + u64::from(split < n_rows % self.n_splits))
    }
}

/// A source over [`MakeRows`]. Splits take turns, so that their event times advance together.
pub(crate) struct RowSource<M> {
    maker: M,
    amount: Amount,
    n_rows_max: usize,
    /// Those of this task, with their numbers.
    splits: Vec<(u64, SplitId)>,
    /// One per split, once assigned.
    cursors: Vec<Option<Cursor>>,
    turn: usize,
}

impl<M: MakeRows> RowSource<M> {
    /// Splits are named `<name>/<number>`; pieces have up to `n_rows_max` rows.
    pub(crate) fn new(name: &str, share: Share, amount: Amount, n_rows_max: usize, maker: M) -> Self {
        let all = (0..amount.n_splits).map(|split| (split, SplitId::from(format!("{name}/{split}").as_str())));
        let splits = shared(all, share);
        let cursors = splits.iter().map(|_| None).collect();
        Self { maker, amount, n_rows_max, splits, cursors, turn: 0 }
    }

    /// The next split in turn that has rows to give, and how many.
    fn next_due(&mut self, now: Instant) -> Option<(usize, usize)> {
        for step in 0..self.cursors.len() {
            let index = (self.turn + step) % self.cursors.len();
            let Some(cursor) = &mut self.cursors[index] else { continue };
            let n_left = cursor.end.map_or(u64::MAX, |end| end.saturating_sub(cursor.position));
            let n_due = cursor.n_due(now).min(n_left).min(self.n_rows_max as u64);
            if n_due > 0 || n_left == 0 {
                self.turn = index + 1;
                return Some((index, usize::try_from(n_due).unwrap_or(self.n_rows_max)));
            }
        }
        None
    }
}

struct Cursor {
    position: u64,
    end: Option<u64>,
    rows_per_second: Option<f64>,
    /// The first poll, and the position at that time.
    began: Option<(Instant, u64)>,
}

impl Cursor {
    /// How many rows the throttle allows now.
    fn n_due(&mut self, now: Instant) -> u64 {
        let Some(rows_per_second) = self.rows_per_second else { return u64::MAX };
        let (began, from) = *self.began.get_or_insert((now, self.position));
        let n_due_since = (now.duration_since(began).as_secs_f64() * rows_per_second) as u64;
        (from + n_due_since).saturating_sub(self.position)
    }
}

impl<M: MakeRows> Source for RowSource<M> {
    fn splits(&mut self) -> Result<Vec<SplitId>> {
        Ok(self.splits.iter().map(|(_, id)| id.clone()).collect())
    }

    fn assign(&mut self, split: &SplitId, from: Position) -> Result<()> {
        let Some(index) = self.splits.iter().position(|(_, id)| id == split) else {
            return Err(Error::internal(format!("split `{split}` was assigned but is not in this task's share")));
        };
        let end = self.amount.n_rows_of(self.splits[index].0);
        let rows_per_second = self.amount.rows_per_second.map(|rate| rate / self.amount.n_splits as f64);
        self.cursors[index] = Some(Cursor { position: from.0, end, rows_per_second, began: None });
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled> {
        if self.cursors.iter().all(Option::is_none) {
            return Ok(Polled::End);
        }
        let Some((index, n_rows_max)) = self.next_due(clock::now()) else {
            clock::rest(POLL_WAIT);
            return Ok(Polled::Pending);
        };
        let Some(cursor) = &mut self.cursors[index] else { return Ok(Polled::Pending) };
        let (number, id) = &self.splits[index];
        let start = cursor.position;
        let (n_rows, payload) = self.maker.make(*number, start, n_rows_max)?;
        cursor.position += n_rows as u64;
        let end_of_split = cursor.end.is_some_and(|end| end <= cursor.position);
        let next = Position(cursor.position);
        if end_of_split {
            self.cursors[index] = None;
        }
        let piece = Piece { start: Position(start), next, preamble: None, payload, end_of_split };
        Ok(Polled::Data(piece.fetched(id.clone())))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rows_are_dealt_to_splits_evenly() {
        let amount = Amount { n_splits: 3, n_rows: Some(8), rows_per_second: None };
        let dealt: Vec<_> = (0..3).map(|split| amount.n_rows_of(split)).collect();
        assert_eq!(dealt, [Some(3), Some(3), Some(2)]);
    }

    #[test]
    fn a_throttle_counts_from_the_first_poll() {
        let began = clock::now();
        let mut cursor = Cursor { position: 5, end: None, rows_per_second: Some(10.0), began: None };
        assert_eq!(cursor.n_due(began), 0);
        assert_eq!(cursor.n_due(began + Duration::from_millis(250)), 2);
        cursor.position = 7;
        assert_eq!(cursor.n_due(began + Duration::from_millis(299)), 0);
        assert_eq!(cursor.n_due(began + Duration::from_millis(300)), 1);
    }
}
