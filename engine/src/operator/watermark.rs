//! Watermarks: what is known of event time, per split and over all of them.
//!
//! A split's watermark is the greatest value its watermark expression has had. It is kept per row, not per batch: a row is late
//! or not by the rows before it in its split, wherever batches and commits happen to be cut, so a replay decides the same.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::log::{SplitId, SplitTime};
use crate::time::Watermark;

/// The watermark of one split while it is read.
#[derive(Clone, Copy, Debug)]
pub struct SplitWatermark {
    watermark: i64,
    last_data: Duration,
    idle: bool,
}

impl SplitWatermark {
    /// A split first seen at `now`, with the watermark of its last commit.
    pub fn new(watermark: i64, now: Duration) -> Self {
        Self { watermark, last_data: now, idle: false }
    }

    /// Advances over rows; `before[i]` becomes the watermark that held before row i. `lateness` keeps windows open longer.
    pub fn advance(&mut self, candidates: &[i64], lateness: i64, now: Duration, before: &mut Vec<i64>) {
        before.reserve(candidates.len());
        let mut watermark = self.watermark;
        for &candidate in candidates {
            before.push(watermark);
            watermark = watermark.max(candidate.saturating_sub(lateness));
        }
        self.watermark = watermark;
        self.last_data = now;
        self.idle = false;
    }

    /// The input of this split has ended.
    pub fn end(&mut self) {
        self.watermark = i64::MAX;
        self.idle = false;
    }

    /// Data has come that says nothing of event time.
    pub fn touch(&mut self, now: Duration) {
        self.last_data = now;
        self.idle = false;
    }

    /// Whether nothing has come for `timeout`. It is idle then only if nothing waits either: a slow broker is not silence.
    pub fn is_silent(&self, timeout: Option<Duration>, now: Duration) -> bool {
        let is_over = |timeout| timeout <= now.saturating_sub(self.last_data);
        !self.idle && self.watermark != i64::MAX && timeout.is_some_and(is_over)
    }

    /// Sets the split aside until it has data again.
    pub fn set_aside(&mut self) {
        self.idle = true;
    }

    /// Whether data has come lately, so that more may be waiting.
    pub fn has_data(&self, now: Duration) -> bool {
        const LATELY: Duration = Duration::from_secs(1);
        self.watermark != i64::MAX && now.saturating_sub(self.last_data) < LATELY
    }

    pub fn value(&self) -> i64 {
        self.watermark
    }

    /// What is told to the next stage.
    pub fn time(&self) -> SplitTime {
        let watermark = Watermark(self.watermark);
        if self.idle { SplitTime::Idle(watermark) } else { SplitTime::Active(watermark) }
    }
}

/// Watermarks of all the splits behind a stage, as its senders told them.
///
/// Part of stage 2's commit: a sender that has said its last word will not say it again after a recovery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatermarkVector {
    /// By sender and split: two tables may name their splits alike.
    splits: BTreeMap<(u32, SplitId), SplitTime>,
    heard: BTreeMap<u32, u32>,
    reached: Option<Watermark>,
}

impl WatermarkVector {
    /// Takes in what sender `sender` of `senders` says; its last word on a split wins.
    pub fn hear(&mut self, sender: u32, senders: u32, told: &BTreeMap<SplitId, SplitTime>) {
        self.heard.insert(sender, senders);
        for (split, time) in told {
            self.splits.insert((sender, split.clone()), *time);
        }
    }

    /// The watermark over all splits: the least of those that are not idle, and never less than before. `MIN` until every
    /// sender has been heard, since a split that nobody has spoken of may hold anything.
    pub fn combined(&mut self) -> Watermark {
        let all_heard = self.heard.values().max().is_some_and(|senders| self.heard.len() == *senders as usize);
        let reached = self.reached.unwrap_or(Watermark::MIN);
        if !all_heard {
            return reached;
        }
        let active = self.splits.values().filter_map(|time| match time {
            SplitTime::Active(watermark) => Some(*watermark),
            SplitTime::Idle(_) => None,
        });
        // When every split is idle nothing moves: idleness says nothing about event time. A sender without splits ends.
        let least = if self.splits.is_empty() { Some(Watermark::END) } else { active.min() };
        let combined = least.map_or(reached, |least| least.max(reached));
        self.reached = Some(combined);
        combined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(rows: &[(&str, SplitTime)]) -> BTreeMap<SplitId, SplitTime> {
        rows.iter().map(|(name, time)| (SplitId::from(*name), *time)).collect()
    }

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
    fn the_slowest_active_split_holds_the_others_back() {
        use SplitTime::{Active, Idle};
        let at = |ns| Watermark(ns);
        let mut vector = WatermarkVector::default();
        vector.hear(0, 2, &told(&[("a", Active(at(10)))]));
        assert_eq!(vector.combined(), Watermark::MIN, "sender 1 has not been heard");
        vector.hear(1, 2, &told(&[("b", Active(at(5)))]));
        assert_eq!(vector.combined(), at(5));
        vector.hear(1, 2, &told(&[("b", Idle(at(5)))]));
        assert_eq!(vector.combined(), at(10), "an idle split is set aside");
        vector.hear(1, 2, &told(&[("b", Active(at(6)))]));
        assert_eq!(vector.combined(), at(10), "never backwards");
        vector.hear(0, 2, &told(&[("a", Idle(at(10)))]));
        vector.hear(1, 2, &told(&[("b", Idle(at(6)))]));
        assert_eq!(vector.combined(), at(10), "all idle: nothing moves");
        vector.hear(0, 2, &told(&[("a", Active(Watermark::END))]));
        vector.hear(1, 2, &told(&[("b", Active(Watermark::END))]));
        assert_eq!(vector.combined(), Watermark::END);
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
