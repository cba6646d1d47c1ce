//! Watermarks: what is known of event time, per split and over all of them.
//!
//! A split's watermark is the greatest value its watermark expression has had. It is kept per row, not per batch: a row is late
//! or not by the rows before it in its split, wherever batches and commits happen to be cut, so a replay decides the same.

use std::time::Duration;

use crate::error::Result;
use crate::log::{Position, SplitTime};
use crate::time::Watermark;

/// The watermark of one split while it is read.
#[derive(Clone, Copy, Debug)]
pub struct SplitWatermark {
    watermark: i64,
    /// When a row last came that has an event time: bad records say nothing of it.
    last_data: Duration,
    /// Where the split ended when it had been silent for long enough.
    silent_end: Option<Position>,
    /// It was idle when its last owner left: it need not be silent for as long again.
    was_idle: bool,
    idle: bool,
}

impl SplitWatermark {
    /// A split first seen at `now`, with the watermark of its last commit.
    pub fn new(watermark: i64, now: Duration) -> Self {
        Self { watermark, last_data: now, silent_end: None, was_idle: false, idle: false }
    }

    /// As [`Self::new`], of a split that was idle.
    pub fn new_idle(watermark: i64, now: Duration) -> Self {
        Self { was_idle: true, ..Self::new(watermark, now) }
    }

    /// Advances over rows; `before[i]` becomes the watermark that held before row i. `lateness` keeps windows open longer.
    pub fn advance(&mut self, candidates: &[i64], lateness: i64, now: Duration, before: &mut Vec<i64>) {
        before.reserve(candidates.len());
        let mut watermark = self.watermark;
        for &candidate in candidates {
            before.push(watermark);
            watermark = watermark.max(candidate.saturating_sub(lateness).min(Watermark::LATEST.0));
        }
        self.watermark = watermark;
        self.touch(now);
    }

    /// The input of this split has ended.
    pub fn end(&mut self) {
        self.watermark = i64::MAX;
        self.idle = false;
    }

    /// Nothing before `watermark` is expected any more, whatever the rows said. The split stays idle if it is.
    pub fn raise(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(watermark.min(Watermark::LATEST.0));
    }

    /// Takes it back that data has come: it was read again, and `before` says how the last owner left the split.
    pub fn replayed(&mut self, before: Self) {
        self.was_idle = before.was_idle;
    }

    /// Data has come that says nothing of event time.
    pub fn touch(&mut self, now: Duration) {
        self.last_data = now;
        (self.was_idle, self.idle) = (false, false);
    }

    /// Sets the split aside if it has had no row for `timeout`, and if what waited then has been read too: a slow broker is not silence.
    /// Bad records may come without a pause, so where the split ended then is remembered. `end` may cost a round trip.
    pub fn update_idle(
        &mut self,
        timeout: Option<Duration>,
        now: Duration,
        position: Position,
        end: impl FnOnce() -> Result<Option<Position>>,
    ) -> Result<()> {
        if !self.is_silent(timeout, now) {
            self.silent_end = None;
            return Ok(());
        }
        if self.silent_end.is_none() {
            self.silent_end = end()?;
        }
        if self.silent_end.is_some_and(|end| end <= position) {
            self.set_aside();
        }
        Ok(())
    }

    fn is_silent(&self, timeout: Option<Duration>, now: Duration) -> bool {
        let is_over = |timeout| self.was_idle || timeout <= now.saturating_sub(self.last_data);
        !self.idle && self.watermark != i64::MAX && timeout.is_some_and(is_over)
    }

    /// Sets the split aside until it has rows again.
    pub fn set_aside(&mut self) {
        self.idle = true;
    }

    /// Whether data has come lately, so that more may be waiting.
    pub fn has_data(&self, now: Duration) -> bool {
        const LATELY: Duration = Duration::from_secs(1);
        self.watermark != i64::MAX && now.saturating_sub(self.last_data) < LATELY
    }

    pub fn is_idle(&self) -> bool {
        self.idle
    }

    /// Whether the next owner need not wait for the timeout again: nothing new has come since the split was idle.
    pub fn is_left_idle(&self) -> bool {
        self.idle || self.was_idle
    }

    pub fn value(&self) -> i64 {
        self.watermark
    }

    /// What the next stage receives.
    pub fn time(&self) -> SplitTime {
        let watermark = Watermark(self.watermark);
        if self.idle { SplitTime::Idle(watermark) } else { SplitTime::Active(watermark) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_judged_by_the_rows_before_it() {
        let mut split = SplitWatermark::new(i64::MIN, Duration::ZERO);
        let mut before = Vec::new();
        split.advance(&[10, 30, 20], 5, Duration::ZERO, &mut before);
        split.advance(&[40], 5, Duration::ZERO, &mut before);
        assert_eq!(before, [i64::MIN, 5, 25, 25]);
        assert_eq!(split.value(), 35);
    }

    #[test]
    fn no_row_ends_its_split() {
        let mut split = SplitWatermark::new(i64::MIN, Duration::ZERO);
        split.advance(&[i64::MAX], 0, Duration::ZERO, &mut Vec::new());
        assert_eq!(split.time(), SplitTime::Active(Watermark::LATEST));
        split.end();
        assert_eq!(split.time(), SplitTime::Active(Watermark::END));
    }

    #[test]
    fn bad_records_without_a_pause_do_not_keep_a_split_from_being_idle() {
        let timeout = Some(Duration::from_secs(5));
        let mut split = SplitWatermark::new(7, Duration::ZERO);
        let update = |split: &mut SplitWatermark, seconds, position, end| {
            let now = Duration::from_secs(seconds);
            split.update_idle(timeout, now, Position(position), || Ok(Some(Position(end)))).expect("an end");
            split.time()
        };
        let (active, idle) = (SplitTime::Active(Watermark(7)), SplitTime::Idle(Watermark(7)));
        assert_eq!(update(&mut split, 4, 10, 10), active, "too early");
        assert_eq!(update(&mut split, 5, 10, 20), active, "records wait");
        assert_eq!(update(&mut split, 6, 19, 30), active, "and may be good");
        assert_eq!(update(&mut split, 7, 20, 30), idle, "they were not; those that came since do not count");
        split.advance(&[7], 0, Duration::from_secs(8), &mut Vec::new());
        assert_eq!(update(&mut split, 12, 40, 40), active, "a row came");
        assert_eq!(update(&mut split, 13, 40, 41), active);
        split.advance(&[7], 0, Duration::from_secs(14), &mut Vec::new());
        assert_eq!(update(&mut split, 15, 41, 41), active, "the good one was among those that waited");
    }

    #[test]
    fn a_split_that_was_idle_is_idle_again_once_what_waits_is_read() {
        let timeout = Some(Duration::from_secs(5));
        let update = |split: &mut SplitWatermark, timeout, position| {
            split.update_idle(timeout, Duration::ZERO, Position(position), || Ok(Some(Position(10)))).expect("an end");
            split.is_idle()
        };
        let mut split = SplitWatermark::new_idle(7, Duration::ZERO);
        assert!(!update(&mut split, timeout, 9), "a record waits, and may be a good one");
        assert!(update(&mut split, timeout, 10));
        assert!(
            !update(&mut SplitWatermark::new_idle(7, Duration::ZERO), None, 10),
            "the table has no timeout any more"
        );
        let mut split = SplitWatermark::new_idle(7, Duration::ZERO);
        split.advance(&[8], 0, Duration::ZERO, &mut Vec::new());
        assert!(!update(&mut split, timeout, 10), "a row has come");
        let mut split = SplitWatermark::new_idle(7, Duration::ZERO);
        let before = split;
        split.advance(&[8], 0, Duration::ZERO, &mut Vec::new());
        split.replayed(before);
        assert!(update(&mut split, timeout, 10), "the row had come before");
    }

    #[test]
    fn a_split_whose_end_is_not_known_is_not_idle() {
        let mut split = SplitWatermark::new(7, Duration::ZERO);
        split.update_idle(Some(Duration::ZERO), Duration::ZERO, Position(5), || Ok(None)).expect("no end");
        assert_eq!(split.time(), SplitTime::Active(Watermark(7)));
    }

    #[test]
    fn a_split_is_idle_only_after_its_timeout() {
        let mut split = SplitWatermark::new(7, Duration::from_secs(1));
        let timeout = Some(Duration::from_secs(5));
        assert!(!split.is_silent(None, Duration::from_secs(100)));
        assert!(!split.is_silent(timeout, Duration::from_secs(5)));
        assert!(split.is_silent(timeout, Duration::from_secs(6)));
        assert_eq!(split.time(), SplitTime::Active(Watermark(7)));
        split.set_aside();
        assert_eq!(split.time(), SplitTime::Idle(Watermark(7)));
        assert!(!split.is_silent(timeout, Duration::from_secs(9)), "it is set aside already");
        split.advance(&[9], 0, Duration::from_secs(7), &mut Vec::new());
        assert_eq!(split.time(), SplitTime::Active(Watermark(9)));
    }
}
